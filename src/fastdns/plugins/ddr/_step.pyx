"""The ddr step: it answers all names in resolver.arpa, and one name by which clients know the server.

    _dns.resolver.arpa SVCB      the records (RFC 9462 section 4)
    _dns.NAME SVCB               the same (RFC 9461 section 2, RFC 9462 section 5)
    anything else in resolver.arpa      no data, with the SOA record of a locally served zone (RFC 9462 section 6.4,
                                        RFC 6303 section 3)
"""

from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp

from fastdns._wire cimport RR, TYPE_SOA, add_rr
from fastdns.dns.names import wire_name
from fastdns.serve._context cimport NEXT, Context, Outcome, written
from fastdns.serve._zones cimport NativeStep

cdef enum:
    TYPE_SVCB = 64
    ZONE_BYTES = 15
    DNS_BYTES = 5               # the label _dns
    SOA_TTL_S = 10800

cdef const uint8_t* ZONE = <const uint8_t*>b"\x08resolver\x04arpa\0"

cdef struct Rdata:
    const uint8_t* data
    uint32_t size

cdef struct Conf:
    uint32_t ttl_s
    uint32_t count
    Rdata* records
    const uint8_t* name             # _dns.NAME, lowercased wire form
    uint32_t name_len
    const uint8_t* soa
    uint32_t soa_len


cdef inline bint ends_with_zone(const uint8_t* name, uint32_t size) noexcept nogil:
    """Whether a name is the zone or in it. It is looked at from label to label."""
    cdef uint32_t at = 0
    while size - at > ZONE_BYTES:
        at += 1 + name[at]
    return size - at == ZONE_BYTES and memcmp(name + at, ZONE, ZONE_BYTES) == 0


cdef Outcome before(Context* ctx, const void* conf) noexcept nogil:
    cdef const Conf* c = <const Conf*>conf
    cdef const uint8_t* name = ctx.q.name
    cdef bint in_zone = ends_with_zone(name, ctx.q.name_len)
    cdef bint named = (
        in_zone and ctx.q.name_len == DNS_BYTES + ZONE_BYTES and memcmp(name, b"\x04_dns", DNS_BYTES) == 0
    ) or (ctx.q.name_len == c.name_len and memcmp(name, c.name, c.name_len) == 0)
    cdef uint32_t i
    cdef RR* rr
    if not (in_zone or (named and ctx.q.qtype == TYPE_SVCB)):
        return NEXT
    ctx.reply.aa = True
    if named and ctx.q.qtype == TYPE_SVCB:
        for i in range(c.count):
            rr = add_rr(ctx.reply, &ctx.reply.answer, TYPE_SVCB, c.ttl_s)
            if rr == NULL:
                break
            rr.fixed = c.records[i].data
            rr.fixed_len = c.records[i].size
    if in_zone and ctx.reply.answer.count == 0:
        rr = add_rr(ctx.reply, &ctx.reply.authority, TYPE_SOA, SOA_TTL_S)
        if rr != NULL:
            rr.owner = ZONE
            rr.owner_len = ZONE_BYTES
            rr.fixed = c.soa
            rr.fixed_len = c.soa_len
    return written(ctx)


cdef class DdrStep(NativeStep):
    """records: rdata of SVCB records. name: of the server."""
    cdef Conf conf
    cdef list keep

    def __cinit__(self, str name not None, list records not None, uint32_t ttl_s):
        cdef uint32_t i
        cdef bytes record, own
        cdef bytes soa = (
            ZONE[:ZONE_BYTES] + b"\x06nobody\x07invalid\0"
            + b"".join(number.to_bytes(4, "big") for number in (1, 3600, 1200, 604800, SOA_TTL_S))
        )
        # A longer name than names may be is nobody's question.
        own = b"\x04_dns" + wire_name(name)
        self.keep = [own, soa, records]
        self.conf.ttl_s = ttl_s
        self.conf.name = <const uint8_t*>own
        self.conf.name_len = len(own)
        self.conf.soa = <const uint8_t*>soa
        self.conf.soa_len = len(soa)
        self.conf.records = <Rdata*>calloc(max(1, len(records)), sizeof(Rdata))
        if self.conf.records == NULL:
            raise MemoryError
        for i, record in enumerate(records):
            self.conf.records[i].data = <const uint8_t*>record
            self.conf.records[i].size = len(record)
        self.conf.count = len(records)
        self.step.before = before
        self.step.conf = &self.conf

    def __dealloc__(self):
        free(self.conf.records)
