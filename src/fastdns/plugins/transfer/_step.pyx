"""The transfer step: AXFR and IXFR are answered with zones of the block's other plugins (serve/_transfers.pxd).

The rule with the longest zone around the question's name decides, as in CoreDNS. A zone must have the question's
name: names below it are the next plugin's, which refuses them.

What is refused over a stream is said in the log: there the client's address is its own. Over UDP it is counted.
"""

import logging
from socket import AF_INET, AF_INET6, inet_ntop

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy

from fastdns._wire cimport (
    CLASS_IN, HEADER_BYTES, OPCODE_QUERY, REFUSED, SERVFAIL, TYPE_AXFR, TYPE_IXFR, TYPE_SOA, Cursor, Query, in_zone,
    read_u16, read_u32, skip,
)
from fastdns.dns.names import text_name
from fastdns.metrics._stats cimport PLUGIN_COUNTERS, zone_counters
from fastdns.plugins.transfer.counters import NAMES
from fastdns.plugins.transfer.said import Said
from fastdns.serve._context cimport NEXT, NO_SLOT, Context, Outcome, bare, over_stream, written
from fastdns.serve._errors cimport PROHIBITED, add_extended_error
from fastdns.serve._following cimport (
    ALL_SENT, CLIENT_CLOSED, CLIENT_READS_TOO_SLOWLY, FOLLOWING_WORDS, Following, following_of,
)
from fastdns.serve._slots cimport slot_of
from fastdns.serve._transfers cimport (
    CUT_CHANGED, CUT_GONE, CUT_RECORD, NOT_HERE, NOT_LOADED, UP_TO_DATE, Given, NativeTransfer, Outgoing,
    Transferable, start_outgoing,
)
from fastdns.serve._zones cimport NativeStep

log = logging.getLogger("plugin/transfer")
said = Said()

# At a time, of one worker: each takes 64 KiB of what its client has not read, and some more.
MAX_AT_ONCE = 64

cdef enum:
    IPV6_BYTES = 16
    MAPPED_BYTES = 12           # of an IPv6 address, before an IPv4 address
    SOA_NUMBERS_BYTES = 20

# What is counted, in the order of counters.NAMES.
cdef enum Counter:
    FIRST_GIVEN = 0             # by Kind
    FAILED_CHANGED = 3
    FAILED_GONE = 4
    FAILED_RECORD = 5
    FAILED_CLOSED = 6
    FAILED_SLOW = 7
    FAILED_STOPPED = 8
    FAILED_NOT_ALLOWED = 9
    FAILED_UDP = 10
    FAILED_SERIAL = 11
    FAILED_NOT_LOADED = 12
    FAILED_TOO_MANY = 13
    FAILED_NOT_A_CLIENT = 14
    COUNTERS = 15

WHY = {
    FAILED_CHANGED: "the zone has changed meanwhile",
    FAILED_GONE: "the zone is no longer served",
    FAILED_RECORD: "a record of the zone cannot be sent",
    FAILED_CLOSED: "the client has closed the connection",
    FAILED_SLOW: "the client reads too slowly",
    FAILED_STOPPED: "the server has closed the connection",
    FAILED_NOT_ALLOWED: "the client is not named by to",
    FAILED_SERIAL: "the query has no SOA record with the serial of the client",
    FAILED_NOT_LOADED: "the zone is not loaded",
    FAILED_TOO_MANY: f"{MAX_AT_ONCE} transfers are going on",
    FAILED_NOT_A_CLIENT: "a reply of several messages cannot be sent here",
}

cdef const uint8_t* MAPPED = <const uint8_t*>b"\0\0\0\0\0\0\0\0\0\0\xff\xff"

# How many transfers this process has begun and not ended. All are of one thread, that of the event loop.
cdef uint32_t going_on = 0
cdef uint32_t most_at_once = MAX_AT_ONCE

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
    Transferable* transfers
    uint32_t transfer_count
    uint32_t slot               # of the replies of several messages
    uint32_t counter            # the first one, in a zone

# What is kept of a transfer that goes on.
cdef struct Going:
    const Transferable* by
    uint64_t* counters          # NULL: nothing is counted
    uint32_t client_len
    uint8_t client[16]
    Outgoing out


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


cdef inline uint64_t* counters_of(const Context* ctx, const Conf* conf) noexcept nogil:
    if ctx.counters == NULL or ctx.zone_slot == NO_SLOT:
        return NULL
    return zone_counters(ctx.zone_banks, ctx.zone_slot).plugins + conf.counter


cdef inline void count(uint64_t* counters, uint32_t counter) noexcept nogil:
    if counters != NULL:
        counters[counter] += 1


cdef str address_text(const uint8_t* client, uint32_t size):
    return inet_ntop(AF_INET6 if size == IPV6_BYTES else AF_INET, client[:size])


cdef void log_refused(const Context* ctx, Counter why) noexcept with gil:
    client = address_text(ctx.client, ctx.client_len)
    zone = text_name(ctx.q.name[:ctx.q.name_len])
    if said.is_new((client, zone, why)):
        log.warning('Outgoing transfer of zone "%s" to %s refused: %s', zone, client, WHY[why])


cdef void refused(const Context* ctx, const Conf* conf, Counter why) noexcept nogil:
    count(counters_of(ctx, conf), why)
    if over_stream(ctx.transport):
        log_refused(ctx, why)


cdef int32_t next_of(Following* following, Context* ctx, uint8_t* out, uint32_t room) noexcept nogil:
    cdef Going* going = <Going*>following.state
    return going.by.next(&going.out, ctx, going.by.conf, out, room)


cdef Counter counter_of(int32_t why) noexcept nogil:
    """Why a transfer has ended before its end."""
    if why == CUT_CHANGED:
        return FAILED_CHANGED
    if why == CUT_GONE:
        return FAILED_GONE
    if why == CUT_RECORD:
        return FAILED_RECORD
    if why == CLIENT_CLOSED:
        return FAILED_CLOSED
    return FAILED_SLOW if why == CLIENT_READS_TOO_SLOWLY else FAILED_STOPPED


cdef void log_end(Going* going, Counter counter) noexcept with gil:
    cdef Outgoing* t = &going.out
    client = address_text(going.client, going.client_len)
    zone = text_name(t.name[:t.name_len])
    if counter >= FAILED_CHANGED:
        log.warning('Outgoing transfer of zone "%s" to %s cut off after %d records: %s', zone, client, t.records,
                    WHY[counter])
    elif t.kind == UP_TO_DATE:
        log.info('Outgoing noop, incremental transfer for up to date zone "%s" to %s for %d SOA serial', zone,
                 client, t.serial)
    else:
        log.info('Outgoing transfer of %d records of zone "%s" to %s for %d SOA serial', t.records, zone, client,
                 t.serial)


cdef void ended(Following* following, int32_t why) noexcept nogil:
    global going_on
    cdef Going* going = <Going*>following.state
    cdef Counter counter = <Counter>(FIRST_GIVEN + going.out.kind) if why == ALL_SENT else counter_of(why)
    going_on -= 1
    count(going.counters, counter)
    log_end(going, counter)


cdef Outcome give(Context* ctx, const Conf* conf, const Transferable* by, Going* going) noexcept nogil:
    """A transfer that has begun."""
    global going_on
    cdef Following* following = following_of(ctx, conf.slot)
    if following == NULL:
        refused(ctx, conf, FAILED_NOT_A_CLIENT)
        return bare(ctx, REFUSED)
    if going_on >= most_at_once:
        refused(ctx, conf, FAILED_TOO_MANY)
        return bare(ctx, SERVFAIL)
    going_on += 1
    going.by = by
    going.counters = counters_of(ctx, conf)
    going.client_len = ctx.client_len
    memcpy(going.client, ctx.client, ctx.client_len)
    memcpy(following.state, going, sizeof(Going))
    following.next = next_of
    following.ended = ended
    ctx.reply.aa = True
    return written(ctx)


cdef Outcome before(Context* ctx, const void* opaque) noexcept nogil:
    cdef const Conf* conf = <const Conf*>opaque
    cdef const Query* q = ctx.q
    cdef const Transferable* by
    cdef const Rule* rule
    cdef Going going
    cdef Given given
    cdef uint32_t serial = 0, i
    if (q.qtype != TYPE_AXFR and q.qtype != TYPE_IXFR) or q.opcode != OPCODE_QUERY or q.qclass != CLASS_IN:
        return NEXT
    if not over_stream(ctx.transport):
        refused(ctx, conf, FAILED_UDP)
        return bare(ctx, REFUSED)
    rule = rule_for(conf, q)
    if rule == NULL:
        return NEXT
    if not is_allowed(conf, rule, ctx):
        refused(ctx, conf, FAILED_NOT_ALLOWED)
        ctx.reply.rcode = REFUSED
        add_extended_error(ctx.reply, PROHIBITED)
        return written(ctx)
    if q.qtype == TYPE_IXFR and not read_serial(q, &serial):
        refused(ctx, conf, FAILED_SERIAL)
        return bare(ctx, SERVFAIL)
    start_outgoing(&going.out, q)
    for i in range(conf.transfer_count):
        by = &conf.transfers[i]
        given = by.begin(ctx, by.conf, &going.out, q.qtype == TYPE_IXFR, serial)
        if given == NOT_LOADED:
            refused(ctx, conf, FAILED_NOT_LOADED)
            return bare(ctx, SERVFAIL)
        if given != NOT_HERE:
            return give(ctx, conf, by, &going)
    return NEXT


cdef class TransferStep(NativeStep):
    """rules: of each directive its zones (lowercased wire names), whether everybody may have them, and the
    addresses (4 or 16 bytes) of those who may. transfers: of the plugins with zones, in the order in which they are
    asked. first_counter: where in a zone the counters begin."""
    cdef Conf conf
    cdef list keep

    def __init__(self, list rules not None, list transfers not None, uint32_t first_counter=0):
        cdef uint32_t i = 0, next_host = 0
        cdef Host* host
        cdef NativeTransfer transfer
        assert sizeof(Going) <= FOLLOWING_WORDS * 8 and len(NAMES) == COUNTERS
        if first_counter + COUNTERS > PLUGIN_COUNTERS:
            raise ValueError("no such counters")
        self.conf.counter = first_counter
        self.keep = [transfers, *(zone for zones, _, _ in rules for zone in zones)]
        self.conf.slot = slot_of("following")
        self.conf.rules = <Rule*>calloc(len(self.keep) + 1, sizeof(Rule))
        self.conf.hosts = <Host*>calloc(sum(len(hosts) for _, _, hosts in rules) + 1, sizeof(Host))
        self.conf.transfers = <Transferable*>calloc(len(transfers) + 1, sizeof(Transferable))
        if self.conf.rules == NULL or self.conf.hosts == NULL or self.conf.transfers == NULL:
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
        for i, transfer in enumerate(transfers):
            self.conf.transfers[i] = transfer.transfer
        self.conf.transfer_count = <uint32_t>len(transfers)
        self.step.before = before
        self.step.conf = &self.conf

    def __dealloc__(self):
        free(self.conf.rules)
        free(self.conf.hosts)
        free(self.conf.transfers)
