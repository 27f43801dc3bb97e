"""The dns64 step: AAAA records of IPv4 addresses with a prefix in front (RFC 6147), and their reverse names.

The steps behind are asked for AAAA. Unless they deny the name or have addresses, they are asked for A as well, and
what they say to that is the reply, its A records made AAAA. A reverse name below the prefix is an alias of the one
of the IPv4 address (section 5.3.1).
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcmp, memcpy, memset

from fastdns.metrics._stats cimport NO_ERROR, PLUGIN_COUNTERS, zone_counters
from fastdns.serve._chain cimport run
from fastdns.serve._context cimport ANSWERED, NEXT, NO_SLOT, Context, Outcome
from fastdns.serve._nested cimport WHOLE_SERVER, Found, is_reply, nested, reply_with
from fastdns.serve._zones cimport NativeStep
from fastdns._wire cimport (
    CLASS_IN, FLAG_CD, HEADER_BYTES, NXDOMAIN, RR, TYPE_A, TYPE_AAAA, TYPE_CNAME, TYPE_PTR, TYPE_SOA, Section,
    add_rr, forget_records, in_zone, scratch,
)

cdef enum:
    DEFAULT_TTL_S = 600         # RFC 6147 section 5.1.7: the most where no SOA record says more
    RESERVED_OCTET = 8          # RFC 6052 section 2.2: bits 64 to 71 are zero
    NIBBLES = 32
    MAX_REVERSE_BYTES = 4 * 4 + 14

cdef struct Conf:
    uint8_t prefix[16]
    uint32_t length             # bytes
    bint translate_all
    bint allow_ipv4
    uint32_t counter            # of translated questions, in a zone


# ------------------------------------------------------------------------------------ addresses, RFC 6052

cdef void embed(const Conf* conf, const uint8_t* ipv4, uint8_t* out) noexcept nogil:
    cdef uint32_t i, at = conf.length
    memset(out, 0, 16)
    memcpy(out, conf.prefix, conf.length)
    for i in range(4):
        if at == RESERVED_OCTET:
            at += 1
        out[at] = ipv4[i]
        at += 1


cdef bint extract(const Conf* conf, const uint8_t* address, uint8_t* ipv4) noexcept nogil:
    """The IPv4 address that an address stands for. False: it has not the prefix."""
    cdef uint32_t i, at = conf.length
    if memcmp(address, conf.prefix, conf.length) != 0:
        return False
    for i in range(4):
        if at == RESERVED_OCTET:
            at += 1
        ipv4[i] = address[at]
        at += 1
    return True


cdef inline const uint8_t* address_in(const RR* rr, uint16_t rrtype, uint16_t size) noexcept nogil:
    """The address of a record of this type; NULL: it is no such record."""
    if rr.rrtype != rrtype or rr.fixed_len != size or rr.name != NULL or rr.tail_len:
        return NULL
    # AAAA records do not fit in the record itself.
    return rr.fixed if rr.fixed != NULL else rr.inline_fixed


# ------------------------------------------------------------------------------------------------- AAAA

cdef bint drop_excluded(Section* answer) noexcept nogil:
    """Leave out IPv4-mapped addresses (section 5.1.4). Whether others are there."""
    cdef uint32_t i, kept = 0
    cdef bint found = False
    cdef const uint8_t* address
    for i in range(answer.count):
        if answer.rr[i].rrtype == TYPE_AAAA:
            address = address_in(&answer.rr[i], TYPE_AAAA, 16)
            if address != NULL and memcmp(address, b"\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) == 0:
                continue
            found = True
        if kept != i:
            answer.rr[kept] = answer.rr[i]
        kept += 1
    answer.count = kept
    return found


cdef uint32_t most_ttl_s(const Section* authority) noexcept nogil:
    cdef uint32_t i
    for i in range(authority.count):
        if authority.rr[i].rrtype == TYPE_SOA:
            return authority.rr[i].ttl_s
    return DEFAULT_TTL_S


cdef void translate(Context* ctx, const Conf* conf, uint32_t first, uint32_t ttl_s) noexcept nogil:
    """Make AAAA records of the answer's A records, from first on."""
    cdef uint32_t i
    cdef const uint8_t* ipv4
    cdef uint8_t* address
    cdef RR* rr
    for i in range(first, ctx.reply.answer.count):
        rr = &ctx.reply.answer.rr[i]
        ipv4 = address_in(rr, TYPE_A, 4)
        if ipv4 == NULL:
            continue
        address = scratch(ctx.reply, 16)
        if address == NULL:
            ctx.reply.answer.count = i
            return
        embed(conf, ipv4, address)
        rr.rrtype = TYPE_AAAA
        rr.fixed = address
        rr.fixed_len = 16
        if rr.ttl_s > ttl_s:
            rr.ttl_s = ttl_s


cdef Outcome answer_aaaa(Context* ctx, const Conf* conf) noexcept nogil:
    cdef Found found
    cdef uint32_t ttl_s
    cdef Outcome outcome = run(ctx, ctx.chain, ctx.step + 1)
    if outcome != ANSWERED or ctx.reply.rcode == NXDOMAIN:
        return outcome
    if drop_excluded(&ctx.reply.answer) and not conf.translate_all:
        return ANSWERED
    # Any error is as good as an empty answer (section 5.1.2).
    ttl_s = most_ttl_s(&ctx.reply.authority)
    # They would be kept meanwhile, and thousands of records leave no room to ask.
    forget_records(ctx.reply)
    outcome = nested(ctx, ctx.q.msg + HEADER_BYTES, ctx.q.name_len, TYPE_A, ctx.step + 1, &found)
    if not is_reply(outcome, &found):
        return outcome
    if ctx.counters != NULL and ctx.zone_slot != NO_SLOT:
        zone_counters(ctx.zone_banks, ctx.zone_slot).plugins[conf.counter] += 1
    # Whatever went wrong with AAAA is not what the client is told.
    ctx.error = NO_ERROR
    outcome = reply_with(ctx, &found)
    translate(ctx, conf, 0, ttl_s)
    return outcome


# -------------------------------------------------------------------------------------------------- PTR

cdef inline int nibble(uint8_t byte) noexcept nogil:
    if byte >= 48 and byte <= 57:
        return byte - 48
    if byte >= 97 and byte <= 102:
        return byte - 87
    return -1


cdef bint reverse_address(const Context* ctx, uint8_t* address) noexcept nogil:
    """The address whose reverse name the question has (RFC 3596 section 2.5)."""
    cdef uint32_t i
    cdef const uint8_t* label
    cdef int low, high
    if ctx.q.label_count != NIBBLES + 2 or not in_zone(ctx.q, b"\x03ip6\x04arpa\0", 10):
        return False
    for i in range(16):
        label = &ctx.q.name[ctx.q.label_at[2 * i]]
        low = nibble(label[1])
        high = nibble(label[3])
        if label[0] != 1 or label[2] != 1 or low < 0 or high < 0:
            return False
        address[15 - i] = <uint8_t>(high << 4 | low)
    return True


cdef uint32_t put_reverse(const uint8_t* ipv4, uint8_t* out) noexcept nogil:
    """The reverse name of an IPv4 address. Returns its size."""
    cdef uint32_t i, value, size = 0
    cdef uint8_t digits
    for i in range(4):
        value = ipv4[3 - i]
        digits = 3 if value > 99 else 2 if value > 9 else 1
        out[size] = digits
        if digits == 3:
            out[size + 1] = <uint8_t>(48 + value // 100)
        if digits > 1:
            out[size + digits - 1] = <uint8_t>(48 + value // 10 % 10)
        out[size + digits] = <uint8_t>(48 + value % 10)
        size += digits + 1
    memcpy(out + size, b"\x07in-addr\x04arpa\0", 14)
    return size + 14


cdef Outcome answer_ptr(Context* ctx, const Conf* conf, const uint8_t* ipv4) noexcept nogil:
    cdef Found found
    cdef Outcome outcome
    cdef uint8_t* name = scratch(ctx.reply, MAX_REVERSE_BYTES)
    cdef uint32_t size
    cdef RR* rr
    if name == NULL:
        return NEXT
    size = put_reverse(ipv4, name)
    outcome = nested(ctx, name, size, TYPE_PTR, WHOLE_SERVER, &found)
    if not is_reply(outcome, &found):
        return outcome
    rr = add_rr(ctx.reply, &ctx.reply.answer, TYPE_CNAME, DEFAULT_TTL_S)
    if rr != NULL:
        rr.name = name
        rr.name_len = <uint16_t>size
        rr.compress_name = True
    return reply_with(ctx, &found)


cdef Outcome before(Context* ctx, const void* opaque) noexcept nogil:
    cdef const Conf* conf = <const Conf*>opaque
    cdef uint8_t address[16]
    cdef uint8_t ipv4[4]
    if (ctx.client_len != 16 and not conf.allow_ipv4) or ctx.q.qclass != CLASS_IN:
        return NEXT
    if ctx.q.qtype == TYPE_AAAA:
        # Who validates by itself must see what is signed (section 5.5).
        if ctx.q.do_bit and ctx.q.flags & FLAG_CD:
            return NEXT
        return answer_aaaa(ctx, conf)
    if ctx.q.qtype == TYPE_PTR and reverse_address(ctx, address) and extract(conf, address, ipv4):
        return answer_ptr(ctx, conf, ipv4)
    return NEXT


cdef class Dns64Step(NativeStep):
    """prefix: 16 bytes, of which the first ``length`` bits count: 32 to 96, a multiple of 8."""
    cdef Conf conf

    def __init__(self, bytes prefix not None, uint32_t length, *, bint translate_all=False, bint allow_ipv4=False,
                 uint32_t first_counter=0):
        if len(prefix) != 16 or length % 8 or not 32 <= length <= 96:
            raise ValueError("no prefix of RFC 6052")
        if first_counter >= PLUGIN_COUNTERS:
            raise ValueError("no such counter")
        memcpy(self.conf.prefix, <const uint8_t*>prefix, 16)
        self.conf.length = length // 8
        self.conf.translate_all = translate_all
        self.conf.allow_ipv4 = allow_ipv4
        self.conf.counter = first_counter
        self.step.before = before
        self.step.conf = &self.conf
