"""The autopath step: a name that ends in the first suffix of the client's search path is completed here.

The question itself goes to the steps behind. Where they say that there is no such name, they are asked for the same
name with each other suffix, the last of which is the root. The first that is not denied is the answer, behind a
CNAME record from the name that was asked. Where all are denied the reply to the question stands.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from fastdns.metrics._stats cimport PLUGIN_COUNTERS, zone_counters
from fastdns.serve._chain cimport run
from fastdns.serve._context cimport ANSWERED, NEXT, NO_SLOT, Context, Outcome
from fastdns.serve._nested cimport Found, is_reply, nested, reply_with
from fastdns.serve._search cimport NativeSearch, Search, SearchPath
from fastdns.serve._zones cimport NativeStep
from fastdns._wire cimport (
    CLASS_IN, HEADER_BYTES, MAX_NAME_BYTES, NOERROR, NXDOMAIN, RR, TYPE_CNAME, add_rr, forget_records, in_zone,
    scratch,
)

cdef struct Zone:
    const uint8_t* name         # lowercased wire form
    uint16_t name_len

cdef struct Conf:
    const Search* search
    Zone* zones
    uint32_t zone_count
    uint32_t counter            # of completed names, in a zone


cdef bint is_for(const Conf* conf, const Context* ctx) noexcept nogil:
    cdef uint32_t i
    for i in range(conf.zone_count):
        if in_zone(ctx.q, conf.zones[i].name, conf.zones[i].name_len):
            return True
    return False


cdef void count(Context* ctx, const Conf* conf) noexcept nogil:
    if ctx.counters != NULL and ctx.zone_slot != NO_SLOT:
        zone_counters(ctx.zone_banks, ctx.zone_slot).plugins[conf.counter] += 1


cdef Outcome take(Context* ctx, const Found* found, const uint8_t* name, uint32_t name_len) noexcept nogil:
    """What the steps behind say to another name, as the reply to this question."""
    cdef RR* rr
    forget_records(ctx.reply)
    if found.written and found.rcode == NOERROR:
        rr = add_rr(ctx.reply, &ctx.reply.answer, TYPE_CNAME, 0)
        if rr != NULL:
            rr.name = name
            rr.name_len = <uint16_t>name_len
            rr.compress_name = True
            if found.answer.count:
                rr.ttl_s = found.answer.rr[0].ttl_s
            elif found.authority.count:
                rr.ttl_s = found.authority.rr[0].ttl_s
    return reply_with(ctx, found)


cdef Outcome before(Context* ctx, const void* opaque) noexcept nogil:
    cdef const Conf* conf = <const Conf*>opaque
    cdef SearchPath path
    cdef Found found
    cdef Outcome outcome
    cdef uint8_t* name
    cdef uint32_t i, base_len, name_len
    if ctx.q.qclass != CLASS_IN or not is_for(conf, ctx):
        return NEXT
    path.count = 0
    if not conf.search.find(ctx, conf.search.conf, &path) or path.count < 2:
        return NEXT
    if ctx.q.name_len <= path.lengths[0] or not in_zone(ctx.q, path.names[0], path.lengths[0]):
        return NEXT
    outcome = run(ctx, ctx.chain, ctx.step + 1)
    if outcome != ANSWERED or not ctx.written:
        return outcome
    if ctx.reply.rcode != NXDOMAIN:
        count(ctx, conf)
        return ANSWERED
    base_len = ctx.q.name_len - path.lengths[0]
    for i in range(1, path.count):
        name_len = base_len + path.lengths[i]
        if name_len > MAX_NAME_BYTES:
            continue
        name = scratch(ctx.reply, name_len)
        if name == NULL:
            break
        # The client's own spelling.
        memcpy(name, ctx.q.msg + HEADER_BYTES, base_len)
        memcpy(name + base_len, path.names[i], path.lengths[i])
        outcome = nested(ctx, name, name_len, ctx.q.qtype, ctx.step + 1, &found)
        if not is_reply(outcome, &found):
            return outcome
        if found.rcode != NXDOMAIN:
            if found.written:
                count(ctx, conf)
            return take(ctx, &found, name, name_len)
    return ANSWERED


cdef class AutopathStep(NativeStep):
    """zones: lowercased wire names of the questions that are completed. search: None: none is."""
    cdef Conf conf
    cdef list zones
    cdef NativeSearch search

    def __init__(self, list zones not None, NativeSearch search, uint32_t first_counter=0):
        cdef uint32_t i
        if first_counter >= PLUGIN_COUNTERS:
            raise ValueError("no such counter")
        self.zones = zones
        self.search = search
        self.conf.counter = first_counter
        self.conf.zones = <Zone*>calloc(len(zones) + 1, sizeof(Zone))
        if self.conf.zones == NULL:
            raise MemoryError
        self.conf.zone_count = len(zones)
        for i in range(self.conf.zone_count):
            self.conf.zones[i].name = <const uint8_t*><bytes>zones[i]
            self.conf.zones[i].name_len = len(zones[i])
        if search is not None:
            self.conf.search = &search.search
            self.step.before = before
            self.step.conf = &self.conf

    def __dealloc__(self):
        free(self.conf.zones)
