"""The hosts step: answers A, AAAA and PTR from what a source has published of hosts files.

All names of a source are in one zone of RRsets, the root. A block answers those that are in its zones. What a name
has is decided by its addresses alone: a name that has only PTR records does not exist.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from fastdns._wire cimport (
    CLASS_ANY, CLASS_IN, RR, SERVFAIL, TYPE_A, TYPE_AAAA, TYPE_PTR, Query, add_rr, in_zone,
)
from fastdns.memory._store cimport prefetch_record, prefetch_slot
from fastdns.rrsets._layout cimport Body, RRset, Walk, find_set, next_rdata, walk_rrs
from fastdns.rrsets._lookup cimport ZoneView, find_name, name_hash, open_zone, put_rdata
from fastdns.serve._context cimport NEXT, Context, Outcome, bare, written
from fastdns.serve._zones cimport NativeStep

cdef struct Names:
    const uint8_t** at          # names in wire form
    uint32_t count

cdef struct Conf:
    uint32_t source
    uint32_t ttl_s
    Names zones
    Names fall                  # where a query that is not answered is the next plugin's
    bint fall_unsupported
    bint reverse                # answers for addresses


cdef inline uint32_t size_of(const uint8_t* name) noexcept nogil:
    cdef uint32_t at = 0
    while name[at]:
        at += name[at] + 1
    return at + 1


cdef inline bint is_in(const Query* q, const Names* zones) noexcept nogil:
    cdef uint32_t i
    for i in range(zones.count):
        if in_zone(q, zones.at[i], size_of(zones.at[i])):
            return True
    return False


cdef bint ends_in(const uint8_t* name, uint32_t size, const Names* zones) noexcept nogil:
    """Whether a name in wire form is in one of the zones."""
    cdef uint32_t i, j, at, zone_len
    for i in range(zones.count):
        zone_len = size_of(zones.at[i])
        at = 0
        while at < size and size - at > zone_len:
            at += name[at] + 1
        if size - at != zone_len:
            continue
        j = 0
        while j < zone_len and name[at + j] == zones.at[i][j]:
            j += 1
        if j == zone_len:
            return True
    return False


cdef uint32_t add_set(Context* ctx, const RRset* s, const Conf* conf) noexcept nogil:
    """Add the RRs of a set; of PTR those that point into the block's zones. Returns how many."""
    cdef Walk walk
    cdef const uint8_t* rdata
    cdef uint16_t size
    cdef uint32_t added = 0
    cdef RR* rr
    walk_rrs(s, &walk)
    while True:
        rdata = next_rdata(&walk, &size)
        if rdata == NULL:
            return added
        if s.rrtype == TYPE_PTR and not ends_in(rdata, size, &conf.zones):
            continue
        rr = add_rr(ctx.reply, &ctx.reply.answer, s.rrtype, conf.ttl_s)
        if rr == NULL:
            return added
        if put_rdata(rr, s.rrtype, rdata, size):
            added += 1
        else:
            ctx.reply.answer.count -= 1


cdef inline bint has_address(const Body* body) noexcept nogil:
    cdef RRset s
    return find_set(body, TYPE_A, &s) or find_set(body, TYPE_AAAA, &s)


cdef bint find_addresses(const ZoneView* z, const Query* q, Body* body) noexcept nogil:
    """What a name has; where it is not there, what the wildcard beside it has."""
    cdef uint8_t name[256]
    cdef uint32_t rest
    if find_name(z, q.name, q.name_len - 1, body) and has_address(body):
        return True
    if not z.head.wildcards or q.label_count == 0:
        return False
    name[0] = 1
    name[1] = 42
    rest = q.name_len - 1 - (q.name[0] + 1)
    if rest > 253:
        return False
    memcpy(name + 2, q.name + q.name[0] + 1, rest)
    return find_name(z, name, 2 + rest, body) and has_address(body)


cdef Outcome before(Context* ctx, const void* opaque) noexcept nogil:
    cdef const Conf* conf = <const Conf*>opaque
    cdef const Query* q = ctx.q
    cdef ZoneView z
    cdef Body body
    cdef RRset s
    cdef bint here = is_in(q, &conf.zones)
    if q.qclass != CLASS_IN and q.qclass != CLASS_ANY:
        return NEXT
    # A reverse name need not be in the zones: the names that it points to are.
    if not here and (q.qtype != TYPE_PTR or not conf.reverse):
        return NEXT
    if not open_zone(ctx.store, conf.source, b"", 1, &z):
        # Nothing has been read yet: to say that a name does not exist would be a lie.
        return bare(ctx, SERVFAIL) if here else NEXT
    if q.qtype == TYPE_PTR:
        if not conf.reverse or not find_name(&z, q.name, q.name_len - 1, &body) \
                or not find_set(&body, TYPE_PTR, &s) or not add_set(ctx, &s, conf):
            return NEXT
        ctx.reply.aa = True
        return written(ctx)
    if q.qtype != TYPE_A and q.qtype != TYPE_AAAA and conf.fall_unsupported and is_in(q, &conf.fall):
        return NEXT
    if not find_addresses(&z, q, &body):
        # There is no SOA record with which a name could be denied.
        return NEXT if is_in(q, &conf.fall) else bare(ctx, SERVFAIL)
    if (q.qtype == TYPE_A or q.qtype == TYPE_AAAA) and find_set(&body, q.qtype, &s):
        add_set(ctx, &s, conf)
    ctx.reply.aa = True
    return written(ctx)


cdef void ahead(const Context* ctx, const Query* q, uint64_t* hash, const void* opaque) noexcept nogil:
    cdef const Conf* conf = <const Conf*>opaque
    cdef ZoneView z
    if (q.qtype == TYPE_PTR or is_in(q, &conf.zones)) and open_zone(ctx.store, conf.source, b"", 1, &z):
        hash[0] = name_hash(&z, q)
        prefetch_slot(ctx.store, hash[0])


cdef void again(const Context* ctx, const Query* q, uint64_t* hash, const void* opaque) noexcept nogil:
    prefetch_record(ctx.store, hash[0])


cdef class HostsStep(NativeStep):
    """zones, fall: names in wire form. ttl_s: of all records."""
    cdef Conf conf
    cdef list keep

    def __init__(self, uint32_t source, list zones, list fall, *, uint32_t ttl_s, bint reverse,
                 bint fall_unsupported):
        self.keep = []
        self.conf.source = source
        self.conf.ttl_s = ttl_s
        self.conf.reverse = reverse
        self.conf.fall_unsupported = fall_unsupported
        self.names(zones, &self.conf.zones)
        self.names(fall, &self.conf.fall)
        self.step.before = before
        self.step.ahead = ahead
        self.step.again = again
        self.step.conf = &self.conf

    cdef int names(self, list names, Names* out) except -1:
        cdef bytes name
        cdef bytearray room = bytearray(len(names) * sizeof(void*))
        cdef uint32_t i
        out.at = <const uint8_t**><char*>room
        out.count = <uint32_t>len(names)
        self.keep += [room, *names]
        for i, name in enumerate(names):
            out.at[i] = name
        return 0
