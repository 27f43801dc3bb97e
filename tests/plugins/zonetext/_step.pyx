"""The zonetext step: answers from the zones of one source, as RFC 1034 section 4.3.2 says.

A transfer (AXFR over TCP) is one message: whatever does not fit is left out. A question for NSEC gets the first
name that is not before its own, and in the authority section the last one that is.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from fastdns._wire cimport (
    HEADER_BYTES, NOERROR, NXDOMAIN, REFUSED, RR, SERVFAIL, TYPE_AXFR, TYPE_CNAME, TYPE_DNAME, TYPE_DS, TYPE_NS,
    TYPE_SOA, Query, Section, add_rr, scratch,
)
from fastdns.memory._atomics cimport load
from fastdns.memory._store cimport prefetch_record, prefetch_slot, source_state
from fastdns.rrsets._layout cimport Body, RRset, Walk, find_set, next_rdata, next_set, walk_rrs, walk_sets
from fastdns.rrsets._lookup cimport (
    NAME_DELEGATED, NAME_MISSING, NAME_RENAMED, Lookup, Place, ZoneView, find_name, find_zone, look_up, name_hash,
    next_name, put_rdata, seek,
)
from fastdns.rrsets._order cimport Key, key_of_name, name_of_key
from fastdns.serve._context cimport NEXT, OVER_UDP, Context, Outcome, bare, written
from fastdns.serve._zones cimport NativeStep

cdef enum:
    TYPE_NSEC = 47

cdef struct Conf:
    uint32_t source


cdef bint add_set(Context* ctx, Section* section, const RRset* s, uint32_t ttl_s, const uint8_t* owner,
                  uint32_t owner_len, uint16_t owner_at) noexcept nogil:
    """Add an RRset. owner: NULL, and it begins at owner_at of the message."""
    cdef Walk walk
    cdef const uint8_t* rdata
    cdef uint16_t size
    cdef RR* rr
    walk_rrs(s, &walk)
    while True:
        rdata = next_rdata(&walk, &size)
        if rdata == NULL:
            return True
        rr = add_rr(ctx.reply, section, s.rrtype, ttl_s)
        if rr == NULL:
            return False
        rr.owner = owner
        rr.owner_len = <uint16_t>owner_len
        rr.owner_at = owner_at
        if not put_rdata(rr, s.rrtype, rdata, size):
            section.count -= 1


cdef bint soa_of(const ZoneView* z, RRset* s) noexcept nogil:
    cdef Body body
    return find_name(z, b"", 0, &body) and find_set(&body, TYPE_SOA, s)


cdef Outcome negative(Context* ctx, const ZoneView* z, uint16_t rcode) noexcept nogil:
    """RFC 2308 section 3: the SOA record, with the lower of its TTL and its minimum."""
    cdef RRset s
    cdef uint32_t minimum
    cdef const uint8_t* end
    ctx.reply.rcode = rcode
    ctx.reply.aa = True
    if soa_of(z, &s):
        # The last of its numbers.
        end = s.rrs + s.size - 4
        minimum = <uint32_t>end[0] << 24 | <uint32_t>end[1] << 16 | <uint32_t>end[2] << 8 | end[3]
        add_set(ctx, &ctx.reply.authority, &s, min(s.ttl_s, minimum), NULL, 0,
                <uint16_t>(HEADER_BYTES + ctx.q.name_len - z.name_len))
    return written(ctx)


cdef uint8_t* owner_of(Context* ctx, const ZoneView* z, const Key* key, uint32_t* size) noexcept nogil:
    """The whole name of an order key."""
    cdef uint8_t* owner = scratch(ctx.reply, 512)
    cdef int relative
    if owner == NULL:
        return NULL
    relative = name_of_key(key, owner)
    if relative < 0 or relative + z.name_len > 255:
        return NULL
    memcpy(owner + relative, ctx.q.name + ctx.q.name_len - z.name_len, z.name_len)
    size[0] = relative + z.name_len
    return owner


cdef Outcome transfer(Context* ctx, const ZoneView* z) noexcept nogil:
    """All names of the zone in order, between its SOA record and the same once more."""
    cdef Place place
    cdef RRset soa
    cdef RRset s
    cdef Walk sets
    cdef Body body
    cdef uint8_t name[256]
    cdef uint8_t* owner
    cdef uint32_t size = 0
    cdef int relative
    if ctx.transport == OVER_UDP or ctx.q.name_len != z.name_len or not soa_of(z, &soa):
        return bare(ctx, REFUSED)
    add_set(ctx, &ctx.reply.answer, &soa, soa.ttl_s, NULL, 0, HEADER_BYTES)
    if seek(z, NULL, 0, &place):
        while next_name(&place):
            owner = owner_of(ctx, z, &place.chunk.key, &size)
            relative = name_of_key(&place.chunk.key, name)
            if owner == NULL or relative < 0 or not find_name(z, name, relative, &body):
                # The order has a name that has no RRsets.
                return bare(ctx, SERVFAIL)
            walk_sets(&body, &sets)
            while next_set(&sets, &s):
                if s.rrtype != TYPE_SOA:
                    add_set(ctx, &ctx.reply.answer, &s, s.ttl_s, owner, size, HEADER_BYTES)
    add_set(ctx, &ctx.reply.answer, &soa, soa.ttl_s, NULL, 0, HEADER_BYTES)
    ctx.reply.aa = True
    return written(ctx)


cdef void add_neighbour(Context* ctx, Section* section, const ZoneView* z, const Key* key) noexcept nogil:
    cdef uint32_t size = 0
    cdef uint8_t* next = owner_of(ctx, z, key, &size)
    cdef RR* rr
    if next == NULL:
        return
    rr = add_rr(ctx.reply, section, TYPE_NSEC, 0)
    if rr != NULL:
        rr.name = next
        rr.name_len = <uint16_t>size


cdef Outcome neighbours(Context* ctx, const ZoneView* z) noexcept nogil:
    cdef Place place
    cdef Key key
    if key_of_name(ctx.q.name, ctx.q.name_len - z.name_len, &key) and seek(z, key.bytes, key.size, &place):
        if place.has_before:
            add_neighbour(ctx, &ctx.reply.authority, z, &place.before)
        if next_name(&place):
            add_neighbour(ctx, &ctx.reply.answer, z, &place.chunk.key)
    ctx.reply.aa = True
    return written(ctx)


cdef Outcome before(Context* ctx, const void* opaque) noexcept nogil:
    cdef const Conf* conf = <const Conf*>opaque
    cdef ZoneView z
    cdef Lookup found
    cdef RRset s
    cdef uint16_t at
    if not find_zone(ctx.store, conf.source, ctx.q, &z):
        if not load(&source_state(ctx.store, conf.source).synced) & 1:
            return bare(ctx, SERVFAIL)
        return NEXT
    if ctx.q.qtype == TYPE_AXFR:
        return transfer(ctx, &z)
    if ctx.q.qtype == TYPE_NSEC:
        return neighbours(ctx, &z)
    look_up(&z, ctx.q, &found)
    at = <uint16_t>(HEADER_BYTES + found.at)
    if found.found == NAME_MISSING:
        return negative(ctx, &z, NXDOMAIN)
    if found.found == NAME_DELEGATED and (ctx.q.qtype != TYPE_DS or found.at) \
            and find_set(&found.body, TYPE_NS, &s):
        add_set(ctx, &ctx.reply.authority, &s, s.ttl_s, NULL, 0, at)
        return written(ctx)
    ctx.reply.aa = True
    if found.found == NAME_RENAMED and find_set(&found.body, TYPE_DNAME, &s):
        add_set(ctx, &ctx.reply.answer, &s, s.ttl_s, NULL, 0, at)
        return written(ctx)
    if find_set(&found.body, ctx.q.qtype, &s) or find_set(&found.body, TYPE_CNAME, &s):
        add_set(ctx, &ctx.reply.answer, &s, s.ttl_s, NULL, 0, HEADER_BYTES)
        return written(ctx)
    return negative(ctx, &z, NOERROR)


cdef void ahead(const Context* ctx, const Query* q, uint64_t* hash, const void* opaque) noexcept nogil:
    cdef ZoneView z
    if find_zone(ctx.store, (<const Conf*>opaque).source, q, &z):
        hash[0] = name_hash(&z, q)
        prefetch_slot(ctx.store, hash[0])


cdef void again(const Context* ctx, const Query* q, uint64_t* hash, const void* opaque) noexcept nogil:
    prefetch_record(ctx.store, hash[0])


cdef class ZoneTextStep(NativeStep):
    cdef Conf conf

    def __init__(self, uint32_t source):
        self.conf.source = source
        self.step.before = before
        self.step.ahead = ahead
        self.step.again = again
        self.step.conf = &self.conf
