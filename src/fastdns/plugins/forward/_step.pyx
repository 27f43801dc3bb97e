"""The forward step: which stanza takes a question, and what becomes of the upstream's reply.

Stanzas are tried in order. One takes a name that is in its zone and in none of its exceptions. With ``next`` and
``next_on_nodata`` it passes the question on to the next stanza for the sake of the reply that it got.
"""

from libc.stdlib cimport calloc, free
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy

from fastdns.serve._context cimport (
    NEXT, Context, Outcome, ServiceReply, add_memory, bare, find_memory, over_stream, written,
)
from fastdns.plugins.forward.engine._reasons cimport (
    CLIENT_SHARE, IN_FLIGHT, MAX_CONCURRENT, NO_HEALTHY, TOO_LONG,
)
from fastdns.serve._zones cimport NativeStep
from fastdns.plugins.forward._relay cimport leave_options
from fastdns._wire cimport (
    CLASS_ANY, FLAG_RA, NOERROR, NOTIMP, OPCODE_QUERY, REFUSED, SERVFAIL, forget_records, in_zone,
)
from fastdns.dns._replies cimport parse_reply
from fastdns.plugins.forward.engine._stanza cimport (
    MAX_STANZAS, MAX_UPSTREAMS, RANDOM, ROUND_ROBIN, SEQUENTIAL, Stanza,
)
from fastdns.serve._exchanges cimport BlockObservers
from fastdns.serve._replies cimport find_reply
from fastdns.serve._slots cimport slot_of
from fastdns.serve._suspend cimport Service, suspend
from fastdns.serve._values cimport NativeValue

from fastdns.metrics.reasons import first_reason

POLICIES = {"random": RANDOM, "round_robin": ROUND_ROBIN, "sequential": SEQUENTIAL}

# By slot; the length 0: there is no such upstream.
cdef struct Addresses:
    uint32_t count
    const uint8_t** texts
    uint32_t* lengths

# Whose memory of a question the slot of its upstream is.
cdef uint8_t NOTED = 0

cdef struct Conf:
    uint32_t slot               # of the thread's engine
    uint16_t first_reason
    uint32_t count
    Stanza* stanzas


cdef bint takes(const Stanza* stanza, Context* ctx) noexcept nogil:
    cdef uint32_t i
    if not in_zone(ctx.q, stanza.zone, stanza.zone_len):
        return False
    if ctx.q.name_len == stanza.zone_len:
        # The zone itself is nobody's exception.
        return True
    for i in range(stanza.except_count):
        if in_zone(ctx.q, stanza.excepted[i], stanza.excepted_len[i]):
            return False
    return True


cdef bint passes_on(const Stanza* stanza, Context* ctx) noexcept nogil:
    cdef uint16_t rcode = ctx.reply.rcode
    if rcode < 32 and (stanza.next_rcodes >> rcode) & 1:
        return True
    return stanza.next_on_nodata and rcode == NOERROR and ctx.reply.answer.count == 0


cdef void note_upstream(Context* ctx, uint16_t slot) noexcept nogil:
    """Remember who was asked last, for the value."""
    cdef uint16_t* noted = <uint16_t*>find_memory(ctx, &NOTED)
    if noted == NULL:
        noted = <uint16_t*>add_memory(ctx, &NOTED, sizeof(uint16_t))
    if noted != NULL:
        noted[0] = slot


cdef uint32_t upstream_text(Context* ctx, const void* conf, uint8_t* out, uint32_t room) noexcept nogil:
    """Address and port of the upstream that has replied, or failed last."""
    cdef const Addresses* a = <const Addresses*>conf
    cdef const uint16_t* noted = <const uint16_t*>find_memory(ctx, &NOTED)
    if noted == NULL or noted[0] >= a.count or a.lengths[noted[0]] > room:
        return 0
    memcpy(out, a.texts[noted[0]], a.lengths[noted[0]])
    return a.lengths[noted[0]]


cdef class UpstreamValue(NativeValue):
    """The value forward/upstream. addresses: slots and texts."""
    cdef Addresses addresses
    cdef list keep

    def __cinit__(self, list addresses not None):
        cdef uint16_t slot
        cdef bytes text
        self.keep = [text for _, text in addresses]
        self.addresses.count = max((slot for slot, _ in addresses), default=-1) + 1
        self.addresses.texts = <const uint8_t**>calloc(self.addresses.count + 1, sizeof(uint8_t*))
        self.addresses.lengths = <uint32_t*>calloc(self.addresses.count + 1, sizeof(uint32_t))
        if self.addresses.texts == NULL or self.addresses.lengths == NULL:
            raise MemoryError
        for slot, text in addresses:
            self.addresses.texts[slot] = text
            self.addresses.lengths[slot] = len(text)
        self.value.compute = upstream_text
        self.value.conf = &self.addresses
        self.value.everywhere = True

    def __dealloc__(self):
        free(self.addresses.texts)
        free(self.addresses.lengths)


cdef inline bint is_upstreams(const Conf* c, const ServiceReply* reply) noexcept nogil:
    """Whether an upstream has said it, or failed."""
    cdef int32_t reason = reply.error - c.first_reason + 1
    return reply.msg != NULL or not (reason == NO_HEALTHY or reason == MAX_CONCURRENT or reason == IN_FLIGHT
                                     or reason == CLIENT_SHARE or reason == TOO_LONG)


cdef Outcome take_reply(Context* ctx, const Conf* c, const ServiceReply* reply) noexcept nogil:
    ctx.error_upstream = reply.error_upstream
    if is_upstreams(c, reply):
        note_upstream(ctx, reply.error_upstream)
    # Over TCP there is no other way for a client to take when it is told that a reply was too long.
    if reply.msg == NULL or (reply.cut and over_stream(ctx.transport)):
        ctx.error = reply.error
        return bare(ctx, SERVFAIL)
    if not parse_reply(reply.msg, reply.msg_len, ctx.q, ctx.reply):
        # Nobody gets what had been read so far.
        reset_reply(ctx)
        if not reply.cut:
            ctx.error = reply.error
            return bare(ctx, SERVFAIL)
        # Where it was cut, a record may end in its midst: that there is more is all that it says.
        ctx.reply.ra = (reply.msg[3] & FLAG_RA) != 0
        ctx.reply.tc = True
    leave_options(ctx.q, ctx.reply)
    ctx.from_upstream = True
    return written(ctx)


cdef Outcome ask(Context* ctx, const Conf* c, const Stanza* stanza) noexcept nogil:
    """Let an upstream of the stanza answer."""
    cdef Service* engine = <Service*>ctx.slots[c.slot]
    if engine == NULL:
        ctx.error = c.first_reason + NO_HEALTHY - 1
        return bare(ctx, SERVFAIL)
    return suspend(ctx, engine, stanza)


cdef Outcome before(Context* ctx, const void* conf) noexcept nogil:
    cdef const Conf* c = <const Conf*>conf
    cdef const ServiceReply* reply
    cdef Outcome outcome
    cdef uint32_t i
    if ctx.q.opcode != OPCODE_QUERY:
        # A NOTIFY that came from us would be believed by who trusts our address.
        return bare(ctx, NOTIMP)
    if ctx.q.qclass == CLASS_ANY:
        # What an upstream has of any class would have to be told apart.
        return bare(ctx, REFUSED)
    for i in range(c.count):
        if not takes(&c.stanzas[i], ctx):
            continue
        reply = find_reply(ctx, &c.stanzas[i])
        if reply == NULL:
            return ask(ctx, c, &c.stanzas[i])
        outcome = take_reply(ctx, c, reply)
        if reply.msg == NULL or not passes_on(&c.stanzas[i], ctx) or not any_takes(c, i + 1, ctx):
            return outcome
        reset_reply(ctx)
    return NEXT


cdef bint any_takes(const Conf* c, uint32_t first, Context* ctx) noexcept nogil:
    cdef uint32_t i
    for i in range(first, c.count):
        if takes(&c.stanzas[i], ctx):
            return True
    return False


cdef void reset_reply(Context* ctx) noexcept nogil:
    """Forget a reply that is passed on."""
    ctx.from_upstream = False
    ctx.written = False
    forget_records(ctx.reply)


cdef uint32_t rcode_bits(rcodes) except? 0xFFFFFFFF:
    cdef uint32_t bits = 0
    for rcode in rcodes:
        bits |= <uint32_t>1 << <uint32_t>rcode
    return bits


cdef class ForwardStep(NativeStep):
    """stanzas: a dict each, with the fields of engine/_stanza.pxd; times in seconds; names in wire form.

    number, zone, excepted, upstreams (places in the table of the thread), policy, force_tcp, prefer_udp,
    max_fails, max_attempts, max_concurrent, read_timeout_s, probe_interval_s, probe_name, probe_rd, next_rcodes,
    next_on_nodata, failover_rcodes, failfast, randomize_case, observers (BlockObservers).
    """
    cdef Conf conf
    cdef list keep

    def __cinit__(self, list stanzas):
        self.conf.stanzas = <Stanza*>calloc(max(1, len(stanzas)), sizeof(Stanza))
        if self.conf.stanzas == NULL:
            raise MemoryError

    def __init__(self, list stanzas):
        cdef uint32_t i
        self.keep = []
        for i in range(len(stanzas)):
            self.fill(&self.conf.stanzas[i], stanzas[i])
        self.conf.count = len(stanzas)
        self.conf.slot = slot_of("forward")
        self.conf.first_reason = first_reason("forward")
        self.step.before = before
        self.step.conf = &self.conf

    def __dealloc__(self):
        cdef uint32_t i
        for i in range(self.conf.count):
            free(<void*>self.conf.stanzas[i].excepted)
            free(<void*>self.conf.stanzas[i].excepted_len)
        free(self.conf.stanzas)

    cdef int fill(self, Stanza* s, dict given) except -1:
        cdef uint32_t i
        cdef BlockObservers observers
        if not 0 <= given["number"] < MAX_STANZAS:
            raise ValueError(f"at most {MAX_STANZAS} forward stanzas in a Corefile")
        if not 0 < len(given["upstreams"]) <= MAX_UPSTREAMS:
            raise ValueError(f"1 to {MAX_UPSTREAMS} upstreams a stanza")
        self.keep.append(given)
        s.number = given["number"]
        s.policy = POLICIES[given["policy"]]
        s.force_tcp = given["force_tcp"]
        s.prefer_udp = given["prefer_udp"]
        s.failfast = given["failfast"]
        s.next_on_nodata = given["next_on_nodata"]
        s.randomize_case = given["randomize_case"]
        s.probe_rd = given["probe_rd"]
        s.max_fails = given["max_fails"]
        s.max_attempts = given["max_attempts"]
        s.max_concurrent = given["max_concurrent"]
        s.next_rcodes = rcode_bits(given["next_rcodes"])
        s.failover_rcodes = rcode_bits(given["failover_rcodes"])
        s.read_timeout_ns = int(given["read_timeout_s"] * 1e9)
        s.probe_interval_ns = int(given["probe_interval_s"] * 1e9)
        s.upstream_count = len(given["upstreams"])
        for i in range(s.upstream_count):
            s.upstreams[i] = given["upstreams"][i]
        s.probe_name = <const uint8_t*><bytes>given["probe_name"]
        s.probe_name_len = len(given["probe_name"])
        s.zone = <const uint8_t*><bytes>given["zone"]
        s.zone_len = len(given["zone"])
        excepted = given["excepted"]
        s.excepted = <const uint8_t**>calloc(max(1, len(excepted)), sizeof(uint8_t*))
        s.excepted_len = <const uint16_t*>calloc(max(1, len(excepted)), sizeof(uint16_t))
        if s.excepted == NULL or s.excepted_len == NULL:
            raise MemoryError
        for i in range(len(excepted)):
            s.excepted[i] = <const uint8_t*><bytes>excepted[i]
            (<uint16_t*>s.excepted_len)[i] = len(excepted[i])
        s.except_count = len(excepted)
        observers = given["observers"]
        s.observers = observers.observers
        return 0
