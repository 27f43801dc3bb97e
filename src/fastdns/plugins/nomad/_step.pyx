"""The nomad step: answers from the registrations that the watcher has copied from Nomad.

A name is SERVICE.NAMESPACE.ZONE; as in CoreDNS, what is between NAMESPACE and ZONE does not matter. Names with
fewer labels, and those of other zones, are the next plugin's. The store has for each service its addresses, as A
and AAAA records, and its ports: a port is an SRV record whose target is the name that was asked.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy

from fastdns._wire cimport (
    CLASS_ANY, CLASS_IN, HEADER_BYTES, NOERROR, NXDOMAIN, REFUSED, RR, SERVFAIL, TYPE_A, TYPE_AAAA, TYPE_SOA,
    TYPE_SRV, Query, Section, add_rr, in_zone, put_u16, put_u32, scratch,
)
from fastdns.memory._atomics cimport load
from fastdns.memory._store cimport source_state
from fastdns.metrics._stats cimport PLUGIN_COUNTERS, zone_counters
from fastdns.plugins.nomad._namespaces cimport COUNTED, Namespace, Namespaces, number_of
from fastdns.rrsets._layout cimport Body, RRset, Walk, find_set, next_rdata, walk_rrs
from fastdns.rrsets._lookup cimport ZoneView, find_name, open_zone
from fastdns.serve._context cimport NEXT, NO_SLOT, Context, Outcome, bare, written
from fastdns.serve._replies cimport was_here
from fastdns.serve._zones cimport NativeStep

cdef enum:
    TYPE_PORT = 65401           # source.py: the rdata is a port
    SRV_PRIORITY = 10
    SRV_WEIGHT = 10
    DENIAL_TTL_S = 30

cdef struct Conf:
    uint32_t source
    uint32_t ttl_s
    uint16_t unread             # the reason of a failure before the first listing
    uint16_t zone_len
    const uint8_t* zone
    uint32_t first_counter      # of the plugin's, in a zone: successes, then failures, by number of the namespace
    Namespace* namespaces


cdef void count(Context* ctx, const Conf* conf, const uint8_t* namespace, bint success, bint exists) noexcept nogil:
    """One query. Only a namespace that exists gets a number."""
    cdef uint32_t number
    if ctx.zone_banks == NULL or ctx.zone_slot == NO_SLOT or was_here(ctx):
        return
    number = number_of(conf.namespaces, namespace, exists)
    if not success:
        number += COUNTED + 1
    zone_counters(ctx.zone_banks, ctx.zone_slot).plugins[conf.first_counter + number] += 1


cdef void put_addresses(Context* ctx, const Conf* conf, const Body* body, uint16_t rrtype,
                        Section* section) noexcept nogil:
    cdef RRset s
    cdef Walk walk
    cdef RR* rr
    cdef const uint8_t* rdata
    cdef uint16_t size
    if not find_set(body, rrtype, &s):
        return
    walk_rrs(&s, &walk)
    while True:
        rdata = next_rdata(&walk, &size)
        if rdata == NULL:
            return
        rr = add_rr(ctx.reply, section, rrtype, conf.ttl_s)
        if rr == NULL:
            return
        rr.fixed = rdata
        rr.fixed_len = size


cdef void put_servers(Context* ctx, const Conf* conf, const Body* body) noexcept nogil:
    cdef RRset s
    cdef Walk walk
    cdef RR* rr
    cdef const uint8_t* rdata
    cdef uint16_t size
    if not find_set(body, TYPE_PORT, &s):
        return
    walk_rrs(&s, &walk)
    while True:
        rdata = next_rdata(&walk, &size)
        if rdata == NULL:
            break
        if size != 2:
            continue
        rr = add_rr(ctx.reply, &ctx.reply.answer, TYPE_SRV, conf.ttl_s)
        if rr == NULL:
            return
        put_u16(rr.inline_fixed, SRV_PRIORITY)
        put_u16(rr.inline_fixed + 2, SRV_WEIGHT)
        memcpy(rr.inline_fixed + 4, rdata, 2)
        rr.fixed_len = 6
        # The sender's own spelling.
        rr.name = ctx.q.msg + HEADER_BYTES
        rr.name_len = ctx.q.name_len
    put_addresses(ctx, conf, body, TYPE_A, &ctx.reply.additional)
    put_addresses(ctx, conf, body, TYPE_AAAA, &ctx.reply.additional)


cdef Outcome negative(Context* ctx, const Conf* conf, uint16_t rcode) noexcept nogil:
    """RFC 2308: the zone's SOA record. Its serial is the time of the last change."""
    cdef RR* rr = add_rr(ctx.reply, &ctx.reply.authority, TYPE_SOA, min(conf.ttl_s, DENIAL_TTL_S))
    cdef uint8_t* at = scratch(ctx.reply, 2 * conf.zone_len + 4 + 11 + 20)
    cdef uint32_t size = 4
    ctx.reply.rcode = rcode
    ctx.reply.aa = True
    if rr == NULL or at == NULL:
        return written(ctx)
    memcpy(at, b"\x03ns1", 4)
    memcpy(at + size, conf.zone, conf.zone_len)
    size += conf.zone_len
    memcpy(at + size, b"\x0ahostmaster", 11)
    size += 11
    memcpy(at + size, conf.zone, conf.zone_len)
    size += conf.zone_len
    put_u32(at + size, <uint32_t>load(&source_state(ctx.store, conf.source).soa_serial))
    put_u32(at + size + 4, 3600)
    put_u32(at + size + 8, 600)
    put_u32(at + size + 12, 86400)
    put_u32(at + size + 16, DENIAL_TTL_S)
    rr.owner_at = <uint16_t>(HEADER_BYTES + ctx.q.name_len - conf.zone_len)
    rr.fixed = at
    rr.fixed_len = <uint16_t>(size + 20)
    return written(ctx)


cdef Outcome before(Context* ctx, const void* opaque) noexcept nogil:
    cdef const Conf* conf = <const Conf*>opaque
    cdef const Query* q = ctx.q
    cdef const uint8_t* namespace
    cdef ZoneView view
    cdef Body body
    cdef uint32_t ends
    cdef bint exists
    if q.label_count < 2 or not in_zone(q, conf.zone, conf.zone_len):
        return NEXT
    # Where the first two labels end.
    ends = q.label_at[1] + q.name[q.label_at[1]] + 1
    if ends > <uint32_t>(q.name_len - conf.zone_len):
        return NEXT
    if q.qclass != CLASS_IN and q.qclass != CLASS_ANY:
        return bare(ctx, REFUSED)
    namespace = &q.name[q.label_at[1]]
    if not load(&source_state(ctx.store, conf.source).synced) & 1 \
            or not open_zone(ctx.store, conf.source, b"\0", 1, &view):
        ctx.error = conf.unread
        count(ctx, conf, namespace, False, False)
        return bare(ctx, SERVFAIL)
    exists = find_name(&view, q.name, ends, &body)
    if not exists:
        count(ctx, conf, namespace, False, False)
        return negative(ctx, conf, NXDOMAIN)
    if q.qtype == TYPE_A or q.qtype == TYPE_AAAA:
        put_addresses(ctx, conf, &body, q.qtype, &ctx.reply.answer)
    elif q.qtype == TYPE_SRV:
        put_servers(ctx, conf, &body)
    count(ctx, conf, namespace, q.qtype == TYPE_A or q.qtype == TYPE_AAAA or q.qtype == TYPE_SRV, True)
    if ctx.reply.answer.count == 0:
        return negative(ctx, conf, NOERROR)
    ctx.reply.aa = True
    return written(ctx)


cdef class NomadStep(NativeStep):
    """The step of one nomad block.

    source: of the zone store. zone: lowercased wire name. unread: the reason of a failure before Nomad has been
    read. first_counter: of the plugin's, in a zone.
    """
    cdef Conf conf
    cdef tuple keep

    def __init__(self, *, uint32_t source, bytes zone not None, uint32_t ttl_s, uint16_t unread,
                 uint32_t first_counter, Namespaces namespaces not None):
        if first_counter + 2 * (COUNTED + 1) > PLUGIN_COUNTERS:
            raise ValueError(f"there is no room for counters from {first_counter} on")
        self.keep = (zone, namespaces)
        self.conf.source = source
        self.conf.zone = zone
        self.conf.zone_len = <uint16_t>len(zone)
        self.conf.ttl_s = ttl_s
        self.conf.unread = unread
        self.conf.first_counter = first_counter
        self.conf.namespaces = namespaces.table
        self.step.before = before
        self.step.conf = &self.conf
