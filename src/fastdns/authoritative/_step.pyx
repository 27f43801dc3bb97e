"""The step of a block with zones of its own: which zone a question is for, and whether it is loaded.

A zone of the source without an SOA record is not loaded, or not any more: its names get SERVFAIL. So do the names
of all zones before the source has read them.
"""

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free

from fastdns._wire cimport (
    CLASS_ANY, CLASS_IN, OPCODE_QUERY, REFUSED, SERVFAIL, TYPE_AXFR, TYPE_DS, TYPE_IXFR, Query, in_zone,
)
from fastdns.authoritative._answer cimport answer_from
from fastdns.memory._atomics cimport load
from fastdns.memory._store cimport prefetch_record, prefetch_slot, source_state
from fastdns.rrsets._lookup cimport ZoneView, find_zone, name_hash, open_zone
from fastdns.serve._context cimport NEXT, Context, Outcome, bare


cdef bint below_any(const Names* names, const Query* q) noexcept nogil:
    cdef uint32_t i
    for i in range(names.count):
        if in_zone(q, names.names[i].wire, names.names[i].size):
            return True
    return False


cdef void find_parent(const Context* ctx, const Conf* conf, ZoneView* z) noexcept nogil:
    """The zone above the one whose apex is asked, where this source has it."""
    cdef ZoneView parent
    cdef const Query* q = ctx.q
    cdef uint32_t i, at
    for i in range(1, <uint32_t>q.label_count + 1):
        at = q.label_at[i] if i < q.label_count else q.name_len - 1
        if open_zone(ctx.store, conf.source, q.name + at, q.name_len - at, &parent):
            if parent.head.has_soa:
                z[0] = parent
            return


cdef Outcome before(Context* ctx, const void* opaque) noexcept nogil:
    cdef const Conf* conf = <const Conf*>opaque
    cdef const Query* q = ctx.q
    cdef ZoneView z
    if conf.any_zone and not below_any(&conf.zones, q):
        return NEXT
    if not find_zone(ctx.store, conf.source, q, &z):
        if load(&source_state(ctx.store, conf.source).synced) & 1 or not below_any(&conf.zones, q):
            # An authoritative server refuses what is not its own; where there is a next plugin, that may know it.
            return NEXT if ctx.step + 1 < ctx.chain.count else bare(ctx, REFUSED)
        ctx.error = conf.not_loaded
        return bare(ctx, SERVFAIL)
    if q.opcode != OPCODE_QUERY or q.qtype == TYPE_AXFR or q.qtype == TYPE_IXFR \
            or (q.qclass != CLASS_IN and q.qclass != CLASS_ANY):
        # A primary takes no NOTIFY, and transfers are another plugin's.
        return bare(ctx, REFUSED)
    if q.qtype == TYPE_DS and q.name_len == z.name_len and z.name_len > 1:
        # RFC 4035 section 3.1.4.1: they are the parent's.
        find_parent(ctx, conf, &z)
    if not z.head.has_soa:
        ctx.error = conf.not_loaded
        return bare(ctx, SERVFAIL)
    return answer_from(ctx, &z, conf.fall.count != 0 and below_any(&conf.fall, q))


cdef void ahead(const Context* ctx, const Query* q, uint64_t* hash, const void* opaque) noexcept nogil:
    cdef ZoneView z
    if find_zone(ctx.store, (<const Conf*>opaque).source, q, &z):
        hash[0] = name_hash(&z, q)
        prefetch_slot(ctx.store, hash[0])


cdef void again(const Context* ctx, const Query* q, uint64_t* hash, const void* opaque) noexcept nogil:
    prefetch_record(ctx.store, hash[0])


cdef int keep_names(Names* names, list wires) except -1:
    cdef uint32_t i
    names.names = <Name*>calloc(len(wires) + 1, sizeof(Name))
    if names.names == NULL:
        raise MemoryError
    names.count = <uint32_t>len(wires)
    for i in range(names.count):
        names.names[i].wire = <const uint8_t*><bytes>wires[i]
        names.names[i].size = <uint16_t>len(wires[i])
    return 0


cdef class ZoneStep(NativeStep):
    """Answers from the zones of a source.

    zones: lowercased wire names: of the source; with any_zone, below which its zones are served. fall: below which
    names that do not exist are the next step's. not_loaded: the reason of failures where a zone is not loaded.
    """

    def __init__(self, *, uint32_t source, list zones not None, list fall not None, bint any_zone=False,
                 uint16_t not_loaded=0):
        self.keep = [zones, fall]
        self.conf.source = source
        self.conf.not_loaded = not_loaded
        self.conf.any_zone = any_zone
        keep_names(&self.conf.zones, zones)
        keep_names(&self.conf.fall, fall)
        self.step.before = before
        self.step.ahead = ahead
        self.step.again = again
        self.step.conf = &self.conf

    def __dealloc__(self):
        free(self.conf.zones.names)
        free(self.conf.fall.names)
