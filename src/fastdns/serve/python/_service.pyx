"""Queries that wait for steps in Python: see _service.pxd."""

import os

from libc.errno cimport errno
from libc.string cimport memcpy, memset

from fastdns.memory._atomics cimport publish_u64
from fastdns.memory._clock cimport monotonic_ns
from fastdns.memory._duplex cimport begin_to_read, close_duplex, open_duplex, wake_reader
from fastdns.memory._mapping cimport map_private, unmap
from fastdns.memory._ring cimport ring_done, ring_next, ring_room
from fastdns.memory._slabs cimport (
    MAX_BLOCK_BYTES, SLAB_UNITS, UNIT_BYTES, block_units, close_slabs, give_block, open_slabs, take_block,
)
from fastdns.memory._syscalls cimport EPOLL_CTL_ADD, EPOLLIN, epoll_ctl, epoll_event
from fastdns.memory._wheel cimport (
    NO_TIMER, WHEEL_TICK_NS, open_wheel, wheel_remove, wheel_set, wheel_take, wheel_turns,
)
from fastdns.metrics._stats cimport (
    ERROR_IN_FLIGHT, ERROR_PANIC, ERROR_STEP_REPLY, ERROR_CLIENT_SHARE, ERROR_STEP_TIMEOUT, ERROR_TOO_LONG,
    Stats,
)
from fastdns.serve._context cimport DROPPED, NEXT, SUSPENDED, Context, Outcome, ServiceReply, bare
from fastdns.serve._arrival cimport server_address
from fastdns.serve._shares cimport hold_units, holds_too_much, slots_of_client
from fastdns.serve._suspend cimport suspended_bytes, write_suspended
from fastdns.serve._values cimport MAX_VALUE_BYTES, read_value
from fastdns.serve._zones cimport ServerTable
from fastdns.serve.python._step cimport (
    ANSWER, BAD_REPLY, DRAINED, MAX_VALUES, PASS, RAISED, RESULTS, SHED_CLIENT, SHED_PLACES, SHED_RING, SHED_TASKS,
    SILENCE, TIMED_OUT, count_result, count_time,
)
from fastdns.serve.python._step import NAME
from fastdns._wire cimport HEADER_BYTES, MAX_MESSAGE_BYTES, SERVFAIL, Reply, put_u16

cdef enum:
    UNITS_A_PLACE = PLACE_BYTES // UNIT_BYTES
    OPT_CLASS_AT = 3                # in an OPT record: behind its owner and its type


# Places


cdef uint32_t take_place(Waiting* w) noexcept nogil:
    cdef uint32_t place = w.free
    if place != NO_PLACE:
        w.free = w.places[place].next_free
    elif w.used < w.room:
        place = w.used
        w.used += 1
        w.places[place].timer.slot = NO_TIMER
    else:
        return NO_PLACE
    w.service.outstanding += 1
    w.service.suspended += 1
    w.counters.python_waiting += 1
    return place


cdef void give_place(Waiting* w, uint32_t place) noexcept nogil:
    """Give a place back. The query's block is the caller's."""
    cdef Place* p = &w.places[place]
    wheel_remove(&w.wheel, place)
    hold_units(&w.shares, &p.client, -<int>p.units)
    p.generation += 1
    p.step = NULL
    p.query = NULL
    p.next_free = w.free
    w.free = place
    w.service.outstanding -= 1
    w.service.suspended -= 1
    w.counters.python_waiting -= 1


cdef inline uint32_t free_units(const Waiting* w) noexcept nogil:
    cdef uint32_t of_memory = w.memory.empty * SLAB_UNITS
    cdef uint32_t of_places = (w.room - w.service.outstanding) * UNITS_A_PLACE
    return of_memory if of_memory < of_places else of_places


cdef void schedule(Waiting* w, uint32_t place) noexcept nogil:
    cdef Place* p = &w.places[place]
    cdef uint64_t due = p.deadline_ns
    if p.query.stale_after_ns and p.query.stale_after_ns < due:
        due = p.query.stale_after_ns
    wheel_set(&w.wheel, place, due)


# On the way there


cdef uint32_t read_values(Context* ctx, const Handing* h, uint8_t* out) noexcept nogil:
    """What the step reads of plugins, each behind its length."""
    cdef uint32_t i, length, size = 0
    cdef const uint8_t* text
    for i in range(h.value_count):
        length = read_value(ctx, h.values[i], &text)
        put_u16(out + size, <uint16_t>length)
        if length:
            memcpy(out + size + 2, text, length)
        size += 2 + length
    return size


cdef bint put_request(Waiting* w, Context* ctx, const Handing* h, uint32_t place) noexcept nogil:
    cdef uint64_t end = 0
    cdef uint32_t size = ctx.q.msg_len
    cdef uint8_t values[MAX_VALUES * (2 + MAX_VALUE_BYTES)]
    cdef uint32_t values_size = read_values(ctx, h, values)
    cdef Place* p = &w.places[place]
    cdef const uint8_t* handed = NULL
    cdef uint32_t handed_size = h.hand(ctx, &handed) if h.hand != NULL else 0
    cdef Request* r = <Request*>ring_room(
        w.rings.requests, sizeof(Request) + size + values_size + handed_size, &end)
    cdef uint8_t* msg
    cdef const uint8_t* local
    cdef uint32_t local_len
    if r == NULL:
        return False
    memset(r, 0, sizeof(Request))
    r.place = place
    r.generation = p.generation
    r.deadline_ns = p.deadline_ns
    r.server = <uint64_t>ctx.server
    r.chain = <uint64_t>ctx.chain
    r.chain_step = ctx.step
    r.step = h.number
    r.zone_slot = ctx.zone_slot
    r.client_port = ctx.client_port
    r.name_len = ctx.q.name_len
    r.opt_at = ctx.q.opt_at
    r.opt_len = ctx.q.opt_len if ctx.q.has_opt else 0
    r.client_len = ctx.client_len if ctx.client_len <= sizeof(r.client) else 0
    r.transport = ctx.transport
    r.depth = ctx.depth
    memcpy(r.client, ctx.client, r.client_len)
    local = server_address(ctx, &local_len)
    if local != NULL and local_len <= sizeof(r.local):
        r.local_len = local_len
        memcpy(r.local, local, local_len)
    msg = <uint8_t*>r + sizeof(Request)
    r.message_len = size
    memcpy(msg, ctx.q.msg, size)
    memcpy(msg + size, values, values_size)
    r.handed_len = handed_size
    if handed_size:
        memcpy(msg + size + values_size, handed, handed_size)
    # What steps above have set of the question goes along with it.
    put_u16(msg + 2, (ctx.q.flags & ~ctx.asked_cleared) | ctx.asked_set)
    if r.opt_len:
        put_u16(msg + r.opt_at + OPT_CLASS_AT, ctx.q.asked_udp_bytes)
    publish_u64(&w.rings.requests.head, end)
    w.rings.unsent = True
    w.service.unsent = True
    return True


cdef Outcome refuse(Context* ctx, uint16_t error) noexcept nogil:
    ctx.error = error
    return bare(ctx, SERVFAIL)


cdef Outcome shed(Waiting* w, Context* ctx, const Handing* h, uint32_t why) noexcept nogil:
    count_result(w.banks, ctx.zone_slot, h, why, 1)
    ctx.error_upstream = h.number
    return refuse(ctx, ERROR_CLIENT_SHARE if why == SHED_CLIENT else ERROR_IN_FLIGHT)


cdef Outcome admit(void* state, Context* ctx, const void* request) noexcept nogil:
    """The service's suspend. request: the step's Handing."""
    cdef Waiting* w = <Waiting*>state
    cdef const Handing* h = <const Handing*>request
    cdef uint32_t size = suspended_bytes(ctx)
    cdef uint32_t units = block_units(size)
    cdef uint32_t place
    cdef ClientSlots client
    cdef Place* p
    if w.closed:
        count_result(w.banks, ctx.zone_slot, h, DRAINED, 1)
        ctx.error_upstream = h.number
        return refuse(ctx, ERROR_STEP_TIMEOUT)
    if size > MAX_BLOCK_BYTES:
        return refuse(ctx, ERROR_TOO_LONG)
    if units < UNITS_A_PLACE:
        units = UNITS_A_PLACE
    client = slots_of_client(&w.shares, ctx.client, ctx.client_len)
    if w.service.outstanding == w.room:
        return shed(w, ctx, h, SHED_PLACES)
    if holds_too_much(&w.shares, &client, free_units(w)):
        return shed(w, ctx, h, SHED_CLIENT)
    place = take_place(w)
    p = &w.places[place]
    p.client = client
    p.units = units
    hold_units(&w.shares, &client, <int>units)
    p.since_ns = monotonic_ns()
    p.deadline_ns = p.since_ns + h.timeout_ns
    p.step = h
    p.query = <Suspended*>take_block(&w.memory, size)
    if p.query == NULL:
        give_place(w, place)
        return shed(w, ctx, h, SHED_PLACES)
    if not put_request(w, ctx, h, place):
        give_block(&w.memory, p.query)
        give_place(w, place)
        return shed(w, ctx, h, SHED_RING)
    write_suspended(ctx, p.query)
    schedule(w, place)
    return SUSPENDED


# On the way back


cdef uint16_t error_of(uint32_t result) noexcept nogil:
    if result == RAISED:
        return ERROR_PANIC
    if result == BAD_REPLY:
        return ERROR_STEP_REPLY
    return ERROR_IN_FLIGHT if result == SHED_TASKS else ERROR_STEP_TIMEOUT


cdef void end_with(Waiting* w, uint32_t place, uint32_t result, const uint8_t* msg, uint32_t size) noexcept nogil:
    """The wait of a query is over."""
    cdef Place* p = &w.places[place]
    cdef Suspended* query = p.query
    cdef ServiceReply reply
    cdef uint64_t now_ns = monotonic_ns()
    memset(&reply, 0, sizeof(reply))
    reply.received_ns = now_ns
    reply.error = error_of(result)
    if result == ANSWER:
        reply.msg = msg
        reply.msg_len = size
        reply.error = ERROR_STEP_REPLY
    elif result == PASS:
        reply.verdict = NEXT
    elif result == SILENCE:
        reply.verdict = DROPPED
    count_result(w.banks, query.zone_slot, p.step, result, 1)
    if result < SHED_PLACES:
        count_time(w.banks, query.zone_slot, p.step, now_ns - p.since_ns)
    # It may be suspended here once more.
    give_place(w, place)
    w.resumed += 1
    w.resume(w.owner, query, &reply)
    give_block(&w.memory, query)


cdef void take_replies(Waiting* w) noexcept nogil:
    cdef uint64_t size = 0
    cdef uint8_t* at
    cdef Said said
    w.resumed = 0
    begin_to_read(w.rings.reply_fd)
    at = ring_next(w.rings.replies, &size)
    while at != NULL:
        memcpy(&said, at, sizeof(Said))
        if (said.place < w.used and w.places[said.place].step != NULL
                and w.places[said.place].generation == said.generation):
            end_with(w, said.place, said.result, at + sizeof(Said), size - sizeof(Said))
        ring_done(w.rings.replies, size)
        if w.resumed >= RESUMED_AT_ONCE:
            wake_reader(w.rings.reply_fd)
            return
        at = ring_next(w.rings.replies, &size)


# Time


cdef void resume_stale(Waiting* w, uint32_t place) noexcept nogil:
    """The client gets what is stale; the coroutine goes on, and a cache will see what it says."""
    cdef Place* p = &w.places[place]
    cdef ServiceReply reply
    memset(&reply, 0, sizeof(reply))
    reply.stale = True
    reply.received_ns = monotonic_ns()
    reply.error = ERROR_STEP_TIMEOUT
    p.query.stale_after_ns = 0
    w.resumed += 1
    w.resume(w.owner, p.query, &reply)
    p.query.background = True


cdef void on_due(Waiting* w, uint32_t place, uint64_t now_ns) noexcept nogil:
    cdef Place* p = &w.places[place]
    cdef uint64_t stale_after_ns = p.query.stale_after_ns
    if w.resumed >= RESUMED_AT_ONCE and (p.deadline_ns <= now_ns or stale_after_ns):
        # In the next tick.
        wheel_set(&w.wheel, place, now_ns)
        return
    if stale_after_ns and stale_after_ns <= now_ns:
        resume_stale(w, place)
    if p.deadline_ns <= now_ns:
        end_with(w, place, TIMED_OUT, NULL, 0)
    else:
        schedule(w, place)


cdef void turn_wheel(void* state, uint64_t now_ns) noexcept nogil:
    """The service's on_time."""
    cdef Waiting* w = <Waiting*>state
    cdef uint32_t place
    w.resumed = 0
    while wheel_turns(&w.wheel, now_ns):
        place = wheel_take(&w.wheel)
        while place != NO_TIMER:
            on_due(w, place, now_ns)
            place = wheel_take(&w.wheel)


cdef int until_turn_ms(void* state, int limit_ms) noexcept nogil:
    """The service's wait_ms."""
    cdef int tick_ms = WHEEL_TICK_NS // 1000000
    if (<Waiting*>state).service.outstanding == 0 or limit_ms < tick_ms:
        return limit_ms
    return tick_ms


# The service's other functions


cdef void flush(void* state) noexcept nogil:
    cdef Waiting* w = <Waiting*>state
    w.service.unsent = False
    if w.rings.unsent:
        w.rings.unsent = False
        wake_reader(w.rings.request_fd)


cdef void on_event(void* state, uint32_t tag) noexcept nogil:
    take_replies(<Waiting*>state)


cdef void give_up(void* state) noexcept nogil:
    cdef Waiting* w = <Waiting*>state
    cdef uint32_t place
    w.closed = True
    for place in range(w.used):
        if w.places[place].step != NULL:
            end_with(w, place, DRAINED, NULL, 0)


# For Python


cdef tuple values_of(const uint8_t* at, uint64_t size):
    """What read_values has written."""
    cdef uint32_t length
    found = []
    while size >= 2:
        length = <uint32_t>at[0] << 8 | at[1]
        if length > size - 2:
            break
        found.append(at[2:2 + length].decode("utf-8", "surrogateescape"))
        at += 2 + length
        size -= 2 + length
    return tuple(found)


cdef class PythonService(NativeService):
    """One thread's service. stats, counter_slot: its counters. room: the most queries that wait at a time.

    tables: the ServerTable of each listener, in their order.
    """

    def __cinit__(self, Stats stats not None, uint32_t counter_slot, uint32_t room, list tables=None):
        cdef Waiting* w = &self.waiting
        cdef ServerTable table
        w.rings.request_fd = w.rings.reply_fd = -1
        if not 0 < room <= MAX_PLACES:
            raise ValueError(f"1 to {MAX_PLACES} places expected, got {room}")
        self.stats = stats
        self.listeners = {}
        for number, table in enumerate(tables or []):
            self.listeners[<uint64_t>&table.server] = number
        w.room = room
        w.free = NO_PLACE
        w.places = <Place*>map_private(room * sizeof(Place))
        if not open_duplex(&w.rings):
            raise OSError(errno, "the rings to the event loop")
        if w.places == NULL or not open_slabs(&w.memory, <uint64_t>room * PLACE_BYTES + SPARE_BYTES):
            raise MemoryError
        w.counters = stats.block(counter_slot)
        stats.banks_of(counter_slot, self.banks)
        w.banks = self.banks
        w.shares.seed = int.from_bytes(os.urandom(8), "little")
        open_wheel(&w.wheel, &w.places[0].timer, sizeof(Place), monotonic_ns())
        w.service.state = w
        w.service.suspend = admit
        w.service.flush = flush
        w.service.on_event = on_event
        w.service.on_time = turn_wheel
        w.service.wait_ms = until_turn_ms
        w.service.give_up = give_up
        self.service = &w.service
        self.name = NAME

    def __dealloc__(self):
        cdef Waiting* w = &self.waiting
        close_duplex(&w.rings)
        close_slabs(&w.memory)
        unmap(w.places, w.room * sizeof(Place))

    cdef int attach(self, int epoll_fd, uint32_t tag, Reply* reply, resume_fn resume, void* owner) except -1:
        cdef Waiting* w = &self.waiting
        cdef epoll_event event
        w.resume = resume
        w.owner = owner
        event.events = EPOLLIN
        event.data.u32 = tag
        if epoll_ctl(epoll_fd, EPOLL_CTL_ADD, w.rings.reply_fd, &event) != 0:
            raise OSError(errno, "epoll_ctl")
        return 1

    @property
    def request_fd(self):
        """Readable when take_requests has something to give."""
        return self.waiting.rings.request_fd

    @property
    def outstanding(self):
        """How many queries wait."""
        return self.waiting.service.outstanding

    @property
    def room(self):
        """How many may."""
        return self.waiting.room

    def take_requests(self, uint32_t most):
        """The queries that coroutines are to work on: see _service.pyi for what each one has.

        Each is to be answered with give, once. If this returns as many as most there may be more, which do not make
        request_fd readable again.
        """
        cdef Duplex* rings = &self.waiting.rings
        cdef uint64_t size = 0, rest, handed
        cdef uint8_t* at
        cdef Request* r
        cdef uint64_t now_ns = monotonic_ns()
        begin_to_read(rings.request_fd)
        taken = []
        while <uint32_t>len(taken) < most:
            at = ring_next(rings.requests, &size)
            if at == NULL:
                break
            r = <Request*>at
            rest = sizeof(Request) + r.message_len
            handed = size - r.handed_len
            taken.append((
                <uint64_t>r.generation << 32 | r.place, r.step, at[sizeof(Request):sizeof(Request) + r.message_len],
                (<uint8_t*>r.client)[:r.client_len], r.client_port, r.transport,
                self.listeners.get(r.server, 0), (r.chain, r.chain_step, r.zone_slot), r.depth,
                HEADER_BYTES + r.name_len, r.opt_at, r.opt_len, (<uint8_t*>r.local)[:r.local_len],
                (<double>r.deadline_ns - <double>now_ns) / 1e9,
                values_of(at + rest, handed - rest), at[handed:size],
            ))
            ring_done(rings.requests, size)
        return taken

    def give(self, uint64_t ticket, uint32_t result, bytes message=None):
        """Say what has come of a query; message: its reply, if that is ANSWERED. The serving thread looks at it
        after the next wake. False where the ring is full: try again later."""
        cdef Duplex* rings = &self.waiting.rings
        cdef uint64_t end = 0
        cdef uint32_t size = len(message) if message is not None else 0
        cdef Said* said
        if result >= RESULTS or (result == ANSWER) != (message is not None) or size > MAX_MESSAGE_BYTES:
            raise ValueError("a result, and with an answer its message, expected")
        said = <Said*>ring_room(rings.replies, sizeof(Said) + size, &end)
        if said == NULL:
            return False
        said.place = <uint32_t>ticket
        said.generation = ticket >> 32
        said.result = result
        if size:
            memcpy(<uint8_t*>said + sizeof(Said), <const uint8_t*>message, size)
        publish_u64(&rings.replies.head, end)
        return True

    def wake(self):
        """Wake the serving thread for all that was given."""
        wake_reader(self.waiting.rings.reply_fd)


ANSWERED = <int>ANSWER
PASSED = <int>PASS
SILENT = <int>SILENCE
LATE = <int>TIMED_OUT
FAILED = <int>RAISED
UNFIT = <int>BAD_REPLY
TOO_MANY_TASKS = <int>SHED_TASKS
