"""Queries that wait for a time: see _delays.pxd."""

from libc.string cimport memset

from fastdns.memory._clock cimport monotonic_ns
from fastdns.memory._mapping cimport map_private, unmap
from fastdns.memory._slabs cimport close_slabs, give_block, open_slabs, take_block
from fastdns.memory._wheel cimport (
    NO_TIMER, WHEEL_TICK_NS, open_wheel, wheel_remove, wheel_set, wheel_take, wheel_turns,
)
from fastdns.metrics._stats cimport ERROR_IN_FLIGHT
from fastdns.serve._context cimport SUSPENDED, Context, Outcome, ServiceReply, bare
from fastdns.serve._suspend cimport suspended_bytes, write_suspended
from fastdns._wire cimport SERVFAIL, Reply

# Of the service in the slots of a thread.
NAME = "erratic"

cdef enum:
    PLACE_BYTES = 1024              # of memory for messages, for each place
    SPARE_BYTES = 1 << 20           # beside these
    MAX_PLACES = 1 << 20
    NO_PLACE = 0xFFFFFFFF


cdef uint32_t take_place(Delays* d) noexcept nogil:
    cdef uint32_t place = d.free
    if place != NO_PLACE:
        d.free = d.places[place].next_free
    elif d.used < d.room:
        place = d.used
        d.used += 1
        d.places[place].timer.slot = NO_TIMER
    return place


cdef void give_place(Delays* d, uint32_t place) noexcept nogil:
    wheel_remove(&d.wheel, place)
    d.places[place].query = NULL
    d.places[place].next_free = d.free
    d.free = place


cdef Outcome admit(void* state, Context* ctx, const void* request) noexcept nogil:
    """The service's suspend. request: a Delay."""
    cdef Delays* d = <Delays*>state
    cdef uint32_t place = NO_PLACE if d.closed else take_place(d)
    cdef Place* p = &d.places[place]
    if place != NO_PLACE:
        p.query = <Suspended*>take_block(&d.memory, suspended_bytes(ctx))
        if p.query == NULL:
            give_place(d, place)
    if place == NO_PLACE or p.query == NULL:
        ctx.error = ERROR_IN_FLIGHT
        return bare(ctx, SERVFAIL)
    write_suspended(ctx, p.query)
    p.due_ns = monotonic_ns() + (<const Delay*>request).ns
    if p.query.stale_after_ns and p.query.stale_after_ns < p.due_ns:
        p.due_ns = p.query.stale_after_ns
    wheel_set(&d.wheel, place, p.due_ns)
    d.service.outstanding += 1
    d.service.suspended += 1
    return SUSPENDED


cdef void end_wait(Delays* d, uint32_t place, uint64_t now_ns) noexcept nogil:
    cdef Suspended* query = d.places[place].query
    cdef ServiceReply reply
    memset(&reply, 0, sizeof(reply))
    reply.received_ns = now_ns
    reply.error = ERROR_IN_FLIGHT
    reply.stale = query.stale_after_ns != 0 and query.stale_after_ns <= now_ns
    # It may wait here once more.
    give_place(d, place)
    d.service.outstanding -= 1
    d.service.suspended -= 1
    d.resume(d.owner, query, &reply)
    give_block(&d.memory, query)


cdef void turn_wheel(void* state, uint64_t now_ns) noexcept nogil:
    """The service's on_time."""
    cdef Delays* d = <Delays*>state
    cdef uint32_t place
    while wheel_turns(&d.wheel, now_ns):
        place = wheel_take(&d.wheel)
        while place != NO_TIMER:
            if d.places[place].due_ns <= now_ns:
                end_wait(d, place, now_ns)
            else:
                wheel_set(&d.wheel, place, d.places[place].due_ns)
            place = wheel_take(&d.wheel)


cdef int until_turn_ms(void* state, int limit_ms) noexcept nogil:
    """The service's wait_ms."""
    cdef int tick_ms = WHEEL_TICK_NS // 1000000
    return limit_ms if (<Delays*>state).service.outstanding == 0 or limit_ms < tick_ms else tick_ms


cdef void flush(void* state) noexcept nogil:
    pass


cdef void on_event(void* state, uint32_t tag) noexcept nogil:
    pass


cdef void give_up(void* state) noexcept nogil:
    cdef Delays* d = <Delays*>state
    cdef uint32_t place
    d.closed = True
    for place in range(d.used):
        if d.places[place].query != NULL:
            end_wait(d, place, monotonic_ns())


cdef class DelayService(NativeService):
    """room: the most queries that wait at a time."""

    def __cinit__(self, uint32_t room):
        cdef Delays* d = &self.delays
        if not 0 < room <= MAX_PLACES:
            raise ValueError(f"1 to {MAX_PLACES} places expected, got {room}")
        d.room = room
        d.free = NO_PLACE
        d.places = <Place*>map_private(room * sizeof(Place))
        if d.places == NULL or not open_slabs(&d.memory, <uint64_t>room * PLACE_BYTES + SPARE_BYTES):
            raise MemoryError
        open_wheel(&d.wheel, &d.places[0].timer, sizeof(Place), monotonic_ns())
        d.service.state = d
        d.service.suspend = admit
        d.service.flush = flush
        d.service.on_event = on_event
        d.service.on_time = turn_wheel
        d.service.wait_ms = until_turn_ms
        d.service.give_up = give_up
        self.service = &d.service
        self.name = NAME

    def __dealloc__(self):
        close_slabs(&self.delays.memory)
        unmap(self.delays.places, self.delays.room * sizeof(Place))

    cdef int attach(self, int epoll_fd, uint32_t tag, Reply* reply, resume_fn resume, void* owner) except -1:
        self.delays.resume = resume
        self.delays.owner = owner
        return 0

    @property
    def waiting(self):
        """How many queries wait."""
        return self.delays.service.suspended
