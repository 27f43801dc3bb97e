"""The trace step: of so many queries one has its steps timed, and is told to the event-loop thread at its end.

A query is chosen by a hash of what it keeps while it waits: so it is chosen again, with the same number, when it is
served again. Where it is not chosen, the hash is all that it costs.
"""

cimport cython
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from fastdns.memory._atomics cimport load_relaxed, publish_u64, store_relaxed
from fastdns.memory._clock cimport monotonic_ns
from fastdns.memory._mapping cimport map_private, unmap
from fastdns.memory._ring cimport ByteRing, ring_done, ring_next, ring_room
from fastdns.serve._chain cimport MAX_TIMED_STEPS, StepTimes, run_timed
from fastdns.serve._context cimport NEXT, Context, Outcome, ServiceReply, add_memory, find_memory
from fastdns.serve._slots cimport slot_of
from fastdns.serve._values cimport NativeValue
from fastdns.serve._worker cimport Worker
from fastdns.serve._zones cimport NativeStep

cdef enum:
    MAX_WAITS = 16

# What a thread has of traces. Memory of its own process, but for the ring's reader on the other thread.
cdef struct Thread:
    uint64_t seed
    uint64_t dropped
    ByteRing ring

# Of a query that is traced: what its step remembers.
cdef struct Traced:
    uint64_t high
    uint64_t low
    StepTimes times

# In the ring. The name and the spans follow.
cdef struct Event:
    uint64_t high
    uint64_t low
    uint64_t received_ns
    uint64_t ended_ns
    uint16_t block
    uint16_t qtype
    uint16_t rcode
    uint16_t client_port
    uint8_t client_len
    uint8_t transport
    uint16_t name_len
    uint32_t span_count
    uint8_t client[16]

cdef struct Span:
    uint64_t began_ns
    uint64_t ended_ns
    uint16_t step
    uint16_t is_wait            # it is the time in which the step has waited

cdef struct Conf:
    uint32_t slot
    uint16_t block
    uint64_t every

# Whose memory of a question it is.
cdef uint8_t TRACED = 0


cdef inline uint64_t mixed(uint64_t x) noexcept nogil:
    # splitmix64
    x += <uint64_t>0x9E3779B97F4A7C15u
    x = (x ^ (x >> 30)) * <uint64_t>0xBF58476D1CE4E5B9u
    x = (x ^ (x >> 27)) * <uint64_t>0x94D049BB133111EBu
    return x ^ (x >> 31)


cdef inline uint64_t number_of(const Context* ctx, const Thread* thread) noexcept nogil:
    """The same for each time that a query is served. Several may come in one moment."""
    return mixed(ctx.received_ns ^ mixed(thread.seed ^ (<uint64_t>ctx.client_port << 16) ^ ctx.q.id))


cdef Outcome before(Context* ctx, const void* opaque) noexcept nogil:
    cdef const Conf* conf = <const Conf*>opaque
    cdef Thread* thread = <Thread*>ctx.slots[conf.slot]
    cdef Traced* traced
    cdef uint64_t low
    if thread == NULL or ctx.depth or ctx.background or conf.every == 0:
        return NEXT
    low = number_of(ctx, thread)
    if conf.every > 1 and low % conf.every != 0:
        return NEXT
    traced = <Traced*>add_memory(ctx, &TRACED, sizeof(Traced))
    if traced == NULL:
        return NEXT
    traced.high = mixed(low)
    # Numbers that are chosen have a divisor in common.
    traced.low = mixed(traced.high ^ low)
    return run_timed(ctx, ctx.chain, ctx.step + 1, &traced.times)


cdef uint32_t put_steps(Span* spans, const Traced* traced) noexcept nogil:
    cdef uint32_t i
    cdef uint32_t count = 0
    for i in range(MAX_TIMED_STEPS):
        if traced.times.began_ns[i] != 0 and traced.times.ended_ns[i] != 0:
            spans[count].began_ns = traced.times.began_ns[i]
            spans[count].ended_ns = traced.times.ended_ns[i]
            spans[count].step = i
            spans[count].is_wait = 0
            count += 1
    return count


cdef uint32_t put_waits(Span* spans, const Context* ctx) noexcept nogil:
    """What the query has waited for: each wait begins where the one before has ended."""
    cdef const ServiceReply* reply = ctx.replies
    cdef uint32_t count = 0
    while reply != NULL and count < MAX_WAITS:
        if reply.chain == ctx.chain and reply.step < MAX_TIMED_STEPS:
            spans[count].began_ns = reply.previous.received_ns if reply.previous != NULL else ctx.received_ns
            spans[count].ended_ns = reply.received_ns
            spans[count].step = reply.step
            spans[count].is_wait = 1
            if spans[count].began_ns <= spans[count].ended_ns:
                count += 1
        reply = reply.previous
    return count


cdef uint32_t finish(Context* ctx, uint8_t* out, uint32_t size, uint32_t room, const void* opaque) noexcept nogil:
    cdef const Conf* conf = <const Conf*>opaque
    cdef Thread* thread = <Thread*>ctx.slots[conf.slot]
    cdef const Traced* traced = <const Traced*>find_memory(ctx, &TRACED)
    cdef Span spans[MAX_TIMED_STEPS + MAX_WAITS]
    cdef Event event
    cdef uint64_t end = 0
    cdef uint32_t count
    cdef uint8_t* at
    if traced == NULL or thread == NULL or size < 4:
        return size
    count = put_steps(spans, traced)
    count += put_waits(&spans[count], ctx)
    event.high = traced.high
    event.low = traced.low
    event.received_ns = ctx.received_ns
    event.ended_ns = monotonic_ns()
    event.block = conf.block
    event.qtype = ctx.q.qtype
    event.rcode = out[3] & 0xF
    event.client_port = ctx.client_port
    event.client_len = <uint8_t>ctx.client_len
    event.transport = ctx.transport
    event.name_len = ctx.q.name_len
    event.span_count = count
    memcpy(event.client, ctx.client, ctx.client_len)
    at = ring_room(&thread.ring, sizeof(Event) + event.name_len + count * sizeof(Span), &end)
    if at == NULL:
        store_relaxed(&thread.dropped, thread.dropped + 1)
        return size
    memcpy(at, &event, sizeof(Event))
    memcpy(at + sizeof(Event), ctx.q.name, event.name_len)
    memcpy(at + sizeof(Event) + event.name_len, spans, count * sizeof(Span))
    publish_u64(&thread.ring.head, end)
    return size


cdef uint32_t trace_id(Context* ctx, const void* conf, uint8_t* out, uint32_t room) noexcept nogil:
    """The value trace/traceid: 32 hexadecimal digits, of a query that is traced."""
    cdef const Traced* traced = <const Traced*>find_memory(ctx, &TRACED)
    cdef const char* digits = b"0123456789abcdef"
    cdef uint32_t i
    if traced == NULL or room < 32:
        return 0
    for i in range(16):
        out[i] = digits[(traced.high >> (60 - 4 * i)) & 0xF]
        out[16 + i] = digits[(traced.low >> (60 - 4 * i)) & 0xF]
    return 32


cdef class TraceIdValue(NativeValue):
    def __init__(self):
        self.value.compute = trace_id
        self.value.everywhere = True


cdef class TraceStep(NativeStep):
    """block: the number of the server block. every: of so many queries one is traced; 0: none is."""
    cdef Conf conf

    def __init__(self, uint16_t block, uint64_t every):
        self.conf.slot = slot_of("trace")
        self.conf.block = block
        self.conf.every = every
        self.step.before = before
        self.step.finish = finish
        self.step.conf = &self.conf


@cython.no_gc_clear
cdef class TraceRing:
    """The events of one serving thread. seed: makes its traces' numbers others than another thread's."""
    cdef Thread* thread
    cdef list workers

    def __cinit__(self, uint64_t seed):
        self.workers = []
        self.thread = <Thread*>map_private(sizeof(Thread))
        if self.thread == NULL:
            raise MemoryError
        self.thread.seed = seed

    def __dealloc__(self):
        cdef Worker worker
        for worker in self.workers or ():
            worker.slots[slot_of("trace")] = NULL
        unmap(self.thread, sizeof(Thread))

    def attach(self, Worker worker not None):
        """Let a worker write into this ring. All workers of a ring serve on one thread."""
        self.workers.append(worker)
        worker.slots[slot_of("trace")] = self.thread

    @property
    def dropped(self):
        """How many traces found no room."""
        return load_relaxed(&self.thread.dropped)

    def take(self):
        """The oldest event: block, trace (16 bytes), begin, end (CLOCK_MONOTONIC), name (wire form), type, response
        code, client (bytes), port, transport, and (step, whether it waits, begin, end) of each span. None: there is
        none."""
        cdef uint64_t size = 0
        cdef const uint8_t* at = ring_next(&self.thread.ring, &size)
        cdef Event event
        cdef Span span
        cdef uint32_t i
        if at == NULL:
            return None
        memcpy(&event, at, sizeof(Event))
        at += sizeof(Event)
        name = at[:event.name_len]
        at += event.name_len
        spans = []
        for i in range(event.span_count):
            memcpy(&span, at + i * sizeof(Span), sizeof(Span))
            spans.append((span.step, span.is_wait != 0, span.began_ns, span.ended_ns))
        ring_done(&self.thread.ring, size)
        return (
            event.block, int(event.high).to_bytes(8, "big") + int(event.low).to_bytes(8, "big"), event.received_ns,
            event.ended_ns, name, event.qtype, event.rcode, event.client[:event.client_len], event.client_port,
            event.transport, spans,
        )
