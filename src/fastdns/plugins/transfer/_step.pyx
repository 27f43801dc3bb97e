"""The transfer step: AXFR and IXFR are answered with zones of the block's other plugins (authoritative/_transfer).

The rule with the longest zone around the question's name decides, as in CoreDNS. A zone must have the question's
name: names below it are the next plugin's, which refuses them.
"""

import logging
from socket import AF_INET, AF_INET6, inet_ntop

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy

from fastdns._wire cimport (
    CLASS_IN, HEADER_BYTES, OPCODE_QUERY, REFUSED, SERVFAIL, TYPE_AXFR, TYPE_IXFR, TYPE_SOA, Cursor, Query, in_zone,
    read_u16, read_u32, skip,
)
from fastdns.authoritative._transfer cimport Transfer, begin_transfer, next_message
from fastdns.dns.names import text_name
from fastdns.memory._store cimport StoreHeader
from fastdns.rrsets._lookup cimport ZoneView, open_zone
from fastdns.serve._context cimport NEXT, Context, Outcome, bare, over_stream, written
from fastdns.serve._following cimport FOLLOWING_WORDS, Following, following_of
from fastdns.serve._slots cimport slot_of
from fastdns.serve._zones cimport NativeStep

log = logging.getLogger("plugin/transfer")

cdef enum:
    IPV6_BYTES = 16
    MAPPED_BYTES = 12           # of an IPv6 address, before an IPv4 address
    SOA_NUMBERS_BYTES = 20

cdef const uint8_t* MAPPED = <const uint8_t*>b"\0\0\0\0\0\0\0\0\0\0\xff\xff"

# A zone, and who may have it.
cdef struct Rule:
    const uint8_t* zone         # lowercased
    uint16_t zone_len
    bint everybody
    uint32_t first_host         # among all
    uint32_t hosts

cdef struct Host:
    uint8_t size
    uint8_t address[16]

cdef struct Conf:
    Rule* rules
    uint32_t rule_count
    Host* hosts
    uint32_t* sources
    uint32_t source_count
    uint32_t slot               # of the replies of several messages

# What is kept of a transfer that goes on.
cdef struct Going:
    Transfer transfer
    uint8_t client[16]
    uint32_t client_len


cdef const Rule* rule_for(const Conf* conf, const Query* q) noexcept nogil:
    """The rule with the longest zone that the question is in; of several the first."""
    cdef const Rule* best = NULL
    cdef uint32_t i
    for i in range(conf.rule_count):
        if in_zone(q, conf.rules[i].zone, conf.rules[i].zone_len) \
                and (best == NULL or conf.rules[i].zone_len > best.zone_len):
            best = &conf.rules[i]
    return best


cdef bint is_allowed(const Conf* conf, const Rule* rule, const Context* ctx) noexcept nogil:
    cdef const uint8_t* client = ctx.client
    cdef uint32_t size = ctx.client_len, i
    cdef const Host* host
    if rule.everybody:
        return True
    if size == IPV6_BYTES and memcmp(client, MAPPED, MAPPED_BYTES) == 0:
        client += MAPPED_BYTES
        size -= MAPPED_BYTES
    for i in range(rule.first_host, rule.first_host + rule.hosts):
        host = &conf.hosts[i]
        if host.size == size and memcmp(host.address, client, size) == 0:
            return True
    return False


cdef void skip_name(Cursor* c) noexcept nogil:
    """Step over a name, which may be compressed."""
    cdef uint8_t size
    while not c.failed and c.pos < c.length:
        size = c.msg[c.pos]
        if size >= 0xC0:
            skip(c, 2)
            return
        if size > 63:
            break
        skip(c, <uint32_t>size + 1)
        if size == 0:
            return
    c.failed = True


cdef bint read_serial(const Query* q, uint32_t* serial) noexcept nogil:
    """The serial of the SOA record in the authority section, which an IXFR query has (RFC 1995 section 3)."""
    cdef Cursor c
    cdef uint16_t answers, authorities, size
    cdef uint32_t ends
    c.msg = q.msg
    c.length = q.msg_len
    c.pos = 6
    c.failed = False
    answers = read_u16(&c)
    authorities = read_u16(&c)
    c.pos = HEADER_BYTES
    skip(&c, <uint32_t>q.name_len + 4)
    if c.failed or answers != 0 or authorities != 1:
        return False
    skip_name(&c)
    if c.failed or read_u16(&c) != TYPE_SOA:
        return False
    skip(&c, 6)
    size = read_u16(&c)
    ends = c.pos + size
    skip_name(&c)
    skip_name(&c)
    if c.failed or c.pos + SOA_NUMBERS_BYTES != ends or ends > c.length:
        return False
    serial[0] = read_u32(&c)
    return not c.failed


cdef int32_t next_of(Following* following, const StoreHeader* store, uint8_t* out, uint32_t room) noexcept nogil:
    return next_message(&(<Going*>following.state).transfer, store, out, room)


cdef void log_end(Going* going, bint whole) noexcept with gil:
    cdef Transfer* t = &going.transfer
    client = inet_ntop(AF_INET6 if going.client_len == IPV6_BYTES else AF_INET, going.client[:going.client_len])
    zone = text_name(t.name[:t.name_len])
    if not whole:
        log.warning('Outgoing transfer of zone "%s" to %s ended after %d records: it was read too slowly, or the '
                    "zone has changed meanwhile", zone, client, t.records)
    elif t.records == 1:
        log.info('Outgoing noop, incremental transfer for up to date zone "%s" to %s for %d SOA serial', zone,
                 client, t.serial)
    else:
        log.info('Outgoing transfer of %d records of zone "%s" to %s for %d SOA serial', t.records, zone, client,
                 t.serial)


cdef void ended(Following* following, bint whole) noexcept nogil:
    log_end(<Going*>following.state, whole)


cdef Outcome give(Context* ctx, const Conf* conf, const ZoneView* z, bint has_serial,
                  uint32_t serial) noexcept nogil:
    cdef Following* following = following_of(ctx, conf.slot)
    cdef Going* going
    if following == NULL:
        return bare(ctx, REFUSED)
    going = <Going*>following.state
    begin_transfer(&going.transfer, z, ctx.q, has_serial, serial)
    going.client_len = ctx.client_len
    memcpy(going.client, ctx.client, ctx.client_len)
    following.next = next_of
    following.ended = ended
    ctx.reply.aa = True
    return written(ctx)


cdef Outcome before(Context* ctx, const void* opaque) noexcept nogil:
    cdef const Conf* conf = <const Conf*>opaque
    cdef const Query* q = ctx.q
    cdef const Rule* rule
    cdef ZoneView z
    cdef uint32_t serial = 0, i
    if (q.qtype != TYPE_AXFR and q.qtype != TYPE_IXFR) or q.opcode != OPCODE_QUERY or q.qclass != CLASS_IN:
        return NEXT
    if not over_stream(ctx.transport):
        return bare(ctx, REFUSED)
    rule = rule_for(conf, q)
    if rule == NULL:
        return NEXT
    if not is_allowed(conf, rule, ctx):
        ctx.reply.rcode = REFUSED
        return written(ctx)
    if q.qtype == TYPE_IXFR and not read_serial(q, &serial):
        return bare(ctx, SERVFAIL)
    for i in range(conf.source_count):
        if open_zone(ctx.store, conf.sources[i], q.name, q.name_len, &z):
            if not z.head.has_soa:
                return bare(ctx, SERVFAIL)
            return give(ctx, conf, &z, q.qtype == TYPE_IXFR, serial)
    return NEXT


cdef class TransferStep(NativeStep):
    """rules: of each directive its zones (lowercased wire names), whether everybody may have them, and the
    addresses (4 or 16 bytes) of those who may. sources: numbers of sources with zones, in the order in which they
    are asked."""
    cdef Conf conf
    cdef list keep

    def __init__(self, list rules not None, list sources not None):
        cdef uint32_t i = 0, next_host = 0
        cdef Host* host
        assert sizeof(Going) <= FOLLOWING_WORDS * 8
        self.keep = [zone for zones, _, _ in rules for zone in zones]
        self.conf.slot = slot_of("following")
        self.conf.rules = <Rule*>calloc(len(self.keep) + 1, sizeof(Rule))
        self.conf.hosts = <Host*>calloc(sum(len(hosts) for _, _, hosts in rules) + 1, sizeof(Host))
        self.conf.sources = <uint32_t*>calloc(len(sources) + 1, sizeof(uint32_t))
        if self.conf.rules == NULL or self.conf.hosts == NULL or self.conf.sources == NULL:
            raise MemoryError
        for zones, everybody, hosts in rules:
            for zone in zones:
                self.conf.rules[i].zone = <const uint8_t*><bytes>zone
                self.conf.rules[i].zone_len = <uint16_t>len(zone)
                self.conf.rules[i].everybody = everybody
                self.conf.rules[i].first_host = next_host
                self.conf.rules[i].hosts = <uint32_t>len(hosts)
                i += 1
            for address in hosts:
                host = &self.conf.hosts[next_host]
                host.size = <uint8_t>len(address)
                memcpy(host.address, <const uint8_t*><bytes>address, host.size)
                next_host += 1
        self.conf.rule_count = i
        for i in range(<uint32_t>len(sources)):
            self.conf.sources[i] = sources[i]
        self.conf.source_count = <uint32_t>len(sources)
        self.step.before = before
        self.step.conf = &self.conf

    def __dealloc__(self):
        free(self.conf.rules)
        free(self.conf.hosts)
        free(self.conf.sources)
