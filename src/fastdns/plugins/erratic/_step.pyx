"""The erratic step: the same answer to every query, some of them dropped, truncated or late.

Queries are numbered in memory that all workers share, so that of so many exactly one is dropped, truncated or
delayed, whichever worker it came to. A number is drawn once: a query that was delayed finds in the reply that it
has waited for whether it was to be truncated.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from fastdns.memory._atomics cimport fetch_add
from fastdns.plugins.erratic._delays cimport Delay
from fastdns.serve._context cimport DROPPED, Context, Outcome, bare, written
from fastdns.serve._replies cimport find_reply, was_here
from fastdns.serve._slots cimport slot_of
from fastdns.serve._suspend cimport Service, suspend
from fastdns.serve._zones cimport NativeStep
from fastdns._wire cimport (
    HEADER_BYTES, MAX_NAME_BYTES, RR, SERVFAIL, TYPE_A, TYPE_AAAA, TYPE_AXFR, TYPE_NS, TYPE_SOA, add_rr, scratch,
)

from fastdns.plugins.erratic._delays import NAME

cdef enum:
    LARGE_RECORDS = 30
    SOA_BYTES = 58

# 192.0.2.53 and 2001:db8::53; of the zone that is transferred b has 2001:500::54, and a 2001:bd8::53.
cdef const uint8_t* ADDRESS = <const uint8_t*>b"\xc0\x00\x02\x35"
cdef const uint8_t* ADDRESS_IPV6 = <const uint8_t*>b"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x53"
cdef const uint8_t* ADDRESS_OF_A = <const uint8_t*>b"\x20\x01\x0b\xd8\0\0\0\0\0\0\0\0\0\0\0\x53"
cdef const uint8_t* ADDRESS_OF_B = <const uint8_t*>b"\x20\x01\x05\x00\0\0\0\0\0\0\0\0\0\0\0\x54"
# sns.dns.icann.org. noc.dns.icann.org. 2018050825 7200 3600 1209600 3600
cdef const uint8_t* SOA = (
    <const uint8_t*>b"\x03sns\x03dns\x05icann\x03org\x00\x03noc\x03dns\x05icann\x03org\x00"
                    b"\x78\x49\x03\x09\x00\x00\x1c\x20\x00\x00\x0e\x10\x00\x12\x75\x00\x00\x00\x0e\x10")

cdef struct Conf:
    uint64_t* counter           # of queries; shared
    uint64_t drop               # of so many one; 0: none
    uint64_t truncate
    uint64_t delay
    bint large
    uint32_t slot               # of the thread's service
    Delay delayed[2]            # of a query that is truncated afterwards the second


cdef inline bint is_due(uint64_t number, uint64_t amount) noexcept nogil:
    return amount != 0 and number % amount == 0


cdef RR* add(Context* ctx, uint16_t rrtype, const uint8_t* rdata, uint16_t length) noexcept nogil:
    cdef RR* rr = add_rr(ctx.reply, &ctx.reply.answer, rrtype, 0)
    if rr != NULL:
        rr.fixed = rdata
        rr.fixed_len = length
    return rr


cdef const uint8_t* name_below(Context* ctx, uint8_t label) noexcept nogil:
    """The question's name behind a label of one letter; NULL: it is too long."""
    cdef uint8_t* name = NULL
    if ctx.q.name_len + 2 <= MAX_NAME_BYTES:
        name = scratch(ctx.reply, ctx.q.name_len + 2)
    if name != NULL:
        name[0] = 1
        name[1] = label
        memcpy(name + 2, ctx.q.msg + HEADER_BYTES, ctx.q.name_len)
    return name


cdef void add_name_server(Context* ctx, const uint8_t* name) noexcept nogil:
    cdef RR* rr = add_rr(ctx.reply, &ctx.reply.answer, TYPE_NS, 0)
    if rr != NULL:
        rr.name = name
        rr.name_len = ctx.q.name_len + 2
        rr.compress_name = True


cdef void add_address(Context* ctx, const uint8_t* name, const uint8_t* address) noexcept nogil:
    cdef RR* rr = add(ctx, TYPE_AAAA, address, 16)
    if rr != NULL:
        rr.owner = name
        rr.owner_len = ctx.q.name_len + 2


cdef void transfer(Context* ctx, bint truncated) noexcept nogil:
    """A small zone; truncated: without the SOA record that ends a transfer."""
    cdef const uint8_t* a = name_below(ctx, 97)
    cdef const uint8_t* b = name_below(ctx, 98)
    add(ctx, TYPE_SOA, SOA, SOA_BYTES)
    if a != NULL and b != NULL:
        add_name_server(ctx, b)
        add_name_server(ctx, a)
        add_address(ctx, a, ADDRESS_OF_A)
        add_address(ctx, b, ADDRESS_OF_B)
    if not truncated:
        add(ctx, TYPE_SOA, SOA, SOA_BYTES)


cdef Outcome answer(Context* ctx, const Conf* c, bint truncated) noexcept nogil:
    cdef uint32_t count = LARGE_RECORDS if c.large else 1
    cdef uint32_t _i
    if ctx.q.qtype == TYPE_A:
        for _i in range(count):
            add(ctx, TYPE_A, ADDRESS, 4)
    elif ctx.q.qtype == TYPE_AAAA:
        add(ctx, TYPE_AAAA, ADDRESS_IPV6, 16)
    elif ctx.q.qtype == TYPE_AXFR:
        transfer(ctx, truncated)
        truncated = False
    else:
        return bare(ctx, SERVFAIL)
    ctx.reply.aa = True
    ctx.reply.tc |= truncated
    return written(ctx)


cdef Outcome wait(Context* ctx, const Conf* c, bint truncated) noexcept nogil:
    cdef Service* service = <Service*>ctx.slots[c.slot]
    if service == NULL:
        return bare(ctx, SERVFAIL)
    return suspend(ctx, service, &c.delayed[truncated])


cdef Outcome go_on(Context* ctx, const Conf* c) noexcept nogil:
    """A query that has its number already."""
    cdef uint32_t i
    for i in range(2):
        if find_reply(ctx, &c.delayed[i]) != NULL:
            return answer(ctx, c, i == 1)
    if ctx.replies != NULL and ctx.replies.stale:
        # It has to be answered before its time; there was nothing stale.
        return wait(ctx, c, False)
    return answer(ctx, c, False)


cdef Outcome before(Context* ctx, const void* conf) noexcept nogil:
    cdef const Conf* c = <const Conf*>conf
    cdef uint64_t number
    cdef bint truncated
    if was_here(ctx):
        return go_on(ctx, c)
    number = fetch_add(c.counter, 1)
    if is_due(number, c.drop):
        return DROPPED
    truncated = is_due(number, c.truncate)
    if is_due(number, c.delay):
        return wait(ctx, c, truncated)
    return answer(ctx, c, truncated)


cdef class ErraticStep(NativeStep):
    """counter: memory of 8 bytes, the number of the next query, shared by all workers. drop, truncate, delay: of so
    many queries one; 0: none. large: a question for A gets 30 records."""
    cdef Conf conf
    cdef uint8_t[::1] counter

    def __init__(self, counter not None, uint64_t drop, uint64_t truncate, uint64_t delay, uint64_t delay_ns,
                 bint large):
        self.counter = counter
        if self.counter.shape[0] < <Py_ssize_t>sizeof(uint64_t):
            raise ValueError("a counter of 8 bytes expected")
        self.conf.counter = <uint64_t*>&self.counter[0]
        self.conf.drop = drop
        self.conf.truncate = truncate
        self.conf.delay = delay
        self.conf.large = large
        self.conf.slot = slot_of(NAME)
        self.conf.delayed[0].ns = self.conf.delayed[1].ns = delay_ns
        self.step.before = before
        self.step.conf = &self.conf
