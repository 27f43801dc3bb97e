"""The local step: names that mean the host itself get an answer here, and never leave (RFC 6303, RFC 6761).

    localhost, and names below it         127.0.0.1 and ::1
    localhost.example.org                 the same, where the prefix counts
    0, 127 and 255 of in-addr.arpa        zones with SOA and NS, and a name for 127.0.0.1
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcmp

from fastdns.metrics._stats cimport PLUGIN_COUNTERS, zone_counters
from fastdns.serve._context cimport NEXT, NO_SLOT, Context, Outcome, written
from fastdns.serve._replies cimport was_here
from fastdns.serve._zones cimport NativeStep
from fastdns._wire cimport (
    CLASS_ANY, CLASS_IN, HEADER_BYTES, NXDOMAIN, RR, TYPE_A, TYPE_AAAA, TYPE_NS, TYPE_PTR, TYPE_SOA, Query, add_rr,
    in_zone,
)

cdef enum:
    TTL_S = 604800              # a week; CoreDNS's
    LOCALHOST_BYTES = 11
    ZONE_0_BYTES = 16
    ZONE_127_BYTES = 18
    ZONE_255_BYTES = 18
    LOOPBACK_NAME_BYTES = 24
    SOA_BYTES = LOCALHOST_BYTES + 5 + LOCALHOST_BYTES + 20

cdef const uint8_t* LOCALHOST = <const uint8_t*>b"\x09localhost\x00"
# localhost. root.localhost. 1 0 0 0 604800
cdef const uint8_t* SOA = (
    <const uint8_t*>b"\x09localhost\x00\x04root\x09localhost\x00\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\x00\x09\x3a\x80")
cdef const uint8_t* LOOPBACK = <const uint8_t*>b"\x7f\0\0\1"
cdef const uint8_t* LOOPBACK_IPV6 = <const uint8_t*>b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1"

cdef const uint8_t* ZONE_0 = <const uint8_t*>b"\x010\x07in-addr\x04arpa\x00"
cdef const uint8_t* ZONE_127 = <const uint8_t*>b"\x03127\x07in-addr\x04arpa\x00"
cdef const uint8_t* ZONE_255 = <const uint8_t*>b"\x03255\x07in-addr\x04arpa\x00"
cdef const uint8_t* LOOPBACK_NAME = <const uint8_t*>b"\x011\x010\x010\x03127\x07in-addr\x04arpa\x00"

cdef struct Conf:
    bint prefix
    uint32_t first_counter      # of the plugin's, in a zone


cdef void add(Context* ctx, uint16_t rrtype, const uint8_t* rdata, uint16_t length) noexcept nogil:
    cdef RR* rr = add_rr(ctx.reply, &ctx.reply.answer, rrtype, TTL_S)
    if rr != NULL:
        rr.fixed = rdata
        rr.fixed_len = length


cdef void deny(Context* ctx, uint32_t zone_bytes) noexcept nogil:
    """The SOA record of the zone, whose name is the end of the question's."""
    cdef RR* rr = add_rr(ctx.reply, &ctx.reply.authority, TYPE_SOA, TTL_S)
    if rr != NULL:
        rr.owner_at = HEADER_BYTES + ctx.q.name_len - zone_bytes
        rr.fixed = SOA
        rr.fixed_len = SOA_BYTES


cdef bint addresses(Context* ctx) noexcept nogil:
    """The host's own; False: the question is for another type."""
    if ctx.q.qtype == TYPE_A:
        add(ctx, TYPE_A, LOOPBACK, 4)
    elif ctx.q.qtype == TYPE_AAAA:
        add(ctx, TYPE_AAAA, LOOPBACK_IPV6, 16)
    else:
        return False
    return True


cdef bint apex(Context* ctx) noexcept nogil:
    """What a zone has at its name; False: nothing of that type."""
    if ctx.q.qtype == TYPE_SOA:
        add(ctx, TYPE_SOA, SOA, SOA_BYTES)
    elif ctx.q.qtype == TYPE_NS:
        add(ctx, TYPE_NS, LOCALHOST, LOCALHOST_BYTES)
    else:
        return False
    return True


cdef bint leads_to_loopback(const Query* q) noexcept nogil:
    """Whether the name is 1.0.0.127.in-addr.arpa, or above it: such names exist (RFC 8020)."""
    return (q.name_len <= LOOPBACK_NAME_BYTES
            and memcmp(q.name, LOOPBACK_NAME + LOOPBACK_NAME_BYTES - q.name_len, q.name_len) == 0)


cdef uint32_t reverse_zone(const Query* q) noexcept nogil:
    """The bytes of the zone of addresses that a name is in; 0: in none."""
    if in_zone(q, ZONE_0, ZONE_0_BYTES):
        return ZONE_0_BYTES
    if in_zone(q, ZONE_127, ZONE_127_BYTES):
        return ZONE_127_BYTES
    return ZONE_255_BYTES if in_zone(q, ZONE_255, ZONE_255_BYTES) else 0


cdef Outcome answer_address(Context* ctx, uint32_t zone_bytes) noexcept nogil:
    """A name in a zone of addresses."""
    if ctx.q.name_len == zone_bytes:
        if not apex(ctx):
            deny(ctx, zone_bytes)
    elif not leads_to_loopback(ctx.q):
        ctx.reply.rcode = NXDOMAIN
        deny(ctx, zone_bytes)
    elif ctx.q.name_len == LOOPBACK_NAME_BYTES and ctx.q.qtype == TYPE_PTR:
        add(ctx, TYPE_PTR, LOCALHOST, LOCALHOST_BYTES)
    else:
        deny(ctx, zone_bytes)
    return written(ctx)


cdef Outcome answer_subdomain(Context* ctx, const Conf* c) noexcept nogil:
    """A name that has localhost in it: each is like a zone of its own."""
    if ctx.counters != NULL and ctx.zone_slot != NO_SLOT and not was_here(ctx):
        zone_counters(ctx.zone_banks, ctx.zone_slot).plugins[c.first_counter] += 1
    if not addresses(ctx):
        deny(ctx, ctx.q.name_len)
    return written(ctx)


cdef Outcome before(Context* ctx, const void* conf) noexcept nogil:
    cdef const Conf* c = <const Conf*>conf
    cdef const Query* q = ctx.q
    cdef uint32_t zone_bytes
    if q.name_len < LOCALHOST_BYTES or (q.qclass != CLASS_IN and q.qclass != CLASS_ANY):
        return NEXT
    if in_zone(q, LOCALHOST, LOCALHOST_BYTES):
        if q.name_len > LOCALHOST_BYTES:
            return answer_subdomain(ctx, c)
        if not addresses(ctx) and not apex(ctx):
            deny(ctx, LOCALHOST_BYTES)
        return written(ctx)
    # The first label, without the root.
    if c.prefix and memcmp(q.name, LOCALHOST, LOCALHOST_BYTES - 1) == 0:
        return answer_subdomain(ctx, c)
    zone_bytes = reverse_zone(q)
    return answer_address(ctx, zone_bytes) if zone_bytes else NEXT


cdef class LocalStep(NativeStep):
    """prefix: localhost.example.org is local. first_counter: where its counter stands in a zone."""
    cdef Conf conf

    def __init__(self, bint prefix, uint32_t first_counter):
        if first_counter >= PLUGIN_COUNTERS:
            raise ValueError("counter out of range")
        self.conf.prefix = prefix
        self.conf.first_counter = first_counter
        self.step.before = before
        self.step.conf = &self.conf
