"""The engine of one serving thread: made, attached to the thread's epoll, and called by its transport."""

import socket as pysocket

from libc.errno cimport errno
from libc.stdint cimport uint8_t, uint16_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

from fastdns.memory._clock cimport monotonic_ns
from fastdns.metrics.reasons import first_reason
from fastdns.plugins.forward.engine._reasons cimport IN_FLIGHT, STREAM_FAILED
from fastdns.memory._syscalls cimport EPOLL_CTL_ADD, EPOLLIN, epoll_ctl, epoll_event
from fastdns._wire cimport HEADER_BYTES, Reply, put_u16
from fastdns.memory._atomics cimport load, publish_u64
from fastdns.memory._duplex cimport begin_to_read, wake_reader
from fastdns.memory._mapping cimport map_private, unmap
from fastdns.memory._random cimport random_u64
from fastdns.memory._slabs cimport SLAB_UNITS, close_slabs, open_slabs
from fastdns.memory._wheel cimport open_wheel
from fastdns.plugins.forward.engine._admission cimport admit
from fastdns.plugins.forward.engine._datagrams cimport close_batch, open_batch, receive, send
from fastdns.plugins.forward.engine._delivery cimport give_up_all
from fastdns.plugins.forward.engine._quotas cimport PLACE_BYTES, open_quotas
from fastdns.plugins.forward.engine._replies cimport on_reply
from fastdns.plugins.forward.engine._retries cimport attempt_failed
from fastdns.plugins.forward.engine._sockets cimport SOCKET_S, SOCKETS, close_pool, open_pool
from fastdns.plugins.forward.engine._stanza cimport MAX_UPSTREAMS
from fastdns.plugins.forward.engine._state cimport NONE, OVER_STREAM, Ended, Outstanding, Upstream
from fastdns.plugins.forward.engine._streams cimport HAD_NO_ROOM, StreamTicket, end_answer, next_answer
from fastdns.plugins.forward.engine._timers cimport turn_wheel, until_turn_ms
from fastdns.serve._suspend cimport resume_fn
from fastdns.serve._worker cimport Worker

cdef enum:
    MAX_ROOM = 1 << 20
    SPARE_BYTES = 1 << 20           # of memory for messages, beside what each place has


# The service's functions


cdef void flush(void* state) noexcept nogil:
    cdef Engine* e = <Engine*>state
    send(e)
    if e.streams.unsent:
        e.streams.unsent = False
        wake_reader(e.streams.request_fd)
    e.service.unsent = e.outbox_count != 0


cdef void take_answers(Engine* e) noexcept nogil:
    """What the event-loop thread has to say of attempts over streams."""
    cdef StreamTicket ticket
    cdef Outstanding* o
    cdef uint32_t size = 0
    cdef uint8_t* msg
    begin_to_read(e.streams.reply_fd)
    msg = next_answer(e.streams, &ticket, &size)
    while msg != NULL:
        o = &e.table[ticket.outstanding]
        if (ticket.outstanding < e.used and o.generation == ticket.generation
                and o.attempts[ticket.attempt].state == OVER_STREAM and o.attempts[ticket.attempt].id == ticket.id):
            if ticket.failed == HAD_NO_ROOM:
                e.counters.streams_shed += 1
                attempt_failed(e, ticket.outstanding, ticket.attempt, IN_FLIGHT, True)
            elif ticket.failed or size < HEADER_BYTES:
                e.upstreams[ticket.upstream].counters.broken += 1
                attempt_failed(e, ticket.outstanding, ticket.attempt, STREAM_FAILED, False)
            else:
                on_reply(e, ticket.outstanding, ticket.attempt, msg, size)
        end_answer(e.streams, size)
        msg = next_answer(e.streams, &ticket, &size)


cdef void on_event(void* state, uint32_t tag) noexcept nogil:
    cdef Engine* e = <Engine*>state
    cdef uint32_t which = tag - e.tag
    e.now_ns = monotonic_ns()
    if which == MAX_UPSTREAMS * SOCKETS:
        take_answers(e)
    elif which < e.upstream_count * SOCKETS:
        receive(e, which // SOCKETS, which % SOCKETS)
    flush(e)


cdef void on_time(void* state, uint64_t now_ns) noexcept nogil:
    turn_wheel(<Engine*>state, now_ns)
    flush(state)


cdef int wait_ms(void* state, int limit_ms) noexcept nogil:
    return until_turn_ms(<const Engine*>state, limit_ms)


cdef void give_up(void* state) noexcept nogil:
    give_up_all(<Engine*>state)


# For Python


cdef int put_address(uint8_t* out, tuple address) except -1:
    """(IP text, port) or (IP text, port, 0, scope) as a struct sockaddr. Returns its size."""
    family = pysocket.AF_INET6 if ":" in address[0] else pysocket.AF_INET
    host = address[0].partition("%")[0]
    raw = pysocket.inet_pton(family, host)
    (<uint16_t*>out)[0] = family
    put_u16(out + 2, address[1])
    if family == pysocket.AF_INET:
        memset(out + 4, 0, 12)
        memcpy(out + 4, <const uint8_t*><bytes>raw, 4)
        return 16
    memset(out + 4, 0, 24)
    memcpy(out + 8, <const uint8_t*><bytes>raw, 16)
    if len(address) > 3:
        (<uint32_t*>(out + 24))[0] = address[3]
    return 28


cdef class ForwardEngine(NativeService):
    """One thread's engine.

    upstreams: (address as socket_address makes it, source address likewise | None, the number of its transport if
    it is asked only over that stream and else 0, slot) each; stanzas name them by their place in this list. stats,
    counter_slot: this thread's counters. room: the most outstanding queries. stanzas: how many share the room.
    socket_s: a UDP socket that is older is replaced before it is used again. sockets: the most to one upstream.
    """

    def __cinit__(self, list upstreams, Upstreams shared not None, Stats stats not None, uint32_t counter_slot,
                  uint32_t room=16384, uint32_t stanzas=1, double socket_s=SOCKET_S, uint32_t sockets=SOCKETS):
        cdef Engine* e = &self.engine
        cdef uint32_t i, slots
        if len(upstreams) > MAX_UPSTREAMS:
            raise ValueError(f"at most {MAX_UPSTREAMS} upstreams, got {len(upstreams)}")
        if not 0 < room <= MAX_ROOM:
            raise ValueError(f"1 to {MAX_ROOM} outstanding queries, got {room}")
        if not 0 < sockets <= SOCKETS:
            raise ValueError(f"1 to {SOCKETS} sockets an upstream, got {sockets}")
        self.stats = stats
        self.shared = shared
        self.streams = StreamRings()
        e.streams = &self.streams.rings
        e.rules.count = sockets
        e.rules.epoll_fd = -1
        e.rules.max_age_ns = <uint64_t>(socket_s * 1e9)
        e.room = room
        e.free = NONE
        slots = 1 << (<object>room - 1).bit_length()
        e.hash_mask = slots - 1
        e.table = <Outstanding*>map_private(room * sizeof(Outstanding))
        e.by_question = <uint32_t*>malloc(2 * slots * sizeof(uint32_t))
        e.upstreams = <Upstream*>calloc(max(1, len(upstreams)), sizeof(Upstream))
        if (not open_slabs(&e.memory, <uint64_t>room * PLACE_BYTES + SPARE_BYTES) or not open_batch(e)
                or e.table == NULL or e.by_question == NULL or e.upstreams == NULL):
            raise MemoryError
        e.by_id = e.by_question + slots
        memset(e.by_question, 0xFF, 2 * slots * sizeof(uint32_t))
        e.counters = stats.block(counter_slot)
        for i in range(len(upstreams)):
            self.take_upstream(i, upstreams[i])
            e.upstream_count = i + 1
        if load(&shared.table[0].counter_slots) <= counter_slot:
            publish_u64(&shared.table[0].counter_slots, counter_slot + 1)
        e.seed = random_u64(&e.random)
        open_quotas(&e.quotas, random_u64(&e.random), room, e.memory.count * SLAB_UNITS, stanzas)
        e.quotas.counters = e.counters
        e.quotas.all_counters = stats.block(0)
        e.quotas.counter_slots = &shared.table[0].counter_slots
        open_wheel(&e.wheel, &e.table[0].timer, sizeof(Outstanding), monotonic_ns())
        e.first_reason = first_reason("forward")
        e.service.state = e
        e.service.suspend = admit
        e.service.flush = flush
        e.service.on_event = on_event
        e.service.on_time = on_time
        e.service.wait_ms = wait_ms
        e.service.give_up = give_up
        self.service = &e.service
        self.name = "forward"

    def __dealloc__(self):
        cdef Engine* e = &self.engine
        cdef uint32_t i
        cdef Ended* ended = e.ended
        for i in range(e.upstream_count):
            close_pool(&e.upstreams[i].pool)
        while ended != NULL:
            e.ended = ended.next
            free(ended)
            ended = e.ended
        close_batch(e)
        close_slabs(&e.memory)
        unmap(e.table, e.room * sizeof(Outstanding))
        free(e.by_question)
        free(e.upstreams)

    cdef int take_upstream(self, uint32_t number, tuple given) except -1:
        cdef Upstream* u = &self.engine.upstreams[number]
        address, source, stream_only, slot = given
        u.shared = self.shared.of(slot)
        u.counters = &self.engine.counters.upstreams[<uint32_t>slot]
        u.slot = slot
        u.stream_only = <uint8_t>stream_only
        u.pool.address_len = put_address(u.pool.address, address)
        if source is not None:
            u.pool.source_len = put_address(u.pool.source, source)
        open_pool(&u.pool)
        return 0

    cdef int attach(self, int epoll_fd, uint32_t tag, Reply* reply, resume_fn resume, void* owner) except -1:
        cdef Engine* e = &self.engine
        cdef epoll_event event
        cdef uint32_t i
        e.rules.epoll_fd = epoll_fd
        e.tag = tag
        e.reply = reply
        e.resume = resume
        e.owner = owner
        for i in range(e.upstream_count):
            e.upstreams[i].pool.tag = tag + i * SOCKETS
        event.events = EPOLLIN
        event.data.u32 = tag + MAX_UPSTREAMS * SOCKETS
        if epoll_ctl(epoll_fd, EPOLL_CTL_ADD, e.streams.reply_fd, &event) != 0:
            raise OSError(errno, "epoll_ctl")
        return MAX_UPSTREAMS * SOCKETS + 1

    def serve_with(self, Worker worker not None):
        """Have the exchanges seen by what this worker's plugins have for its thread, which is the engine's."""
        self.worker = worker
        self.engine.slots = worker.slots

    @property
    def outstanding(self):
        """How many queries are outstanding at upstreams, probes included."""
        return self.engine.service.outstanding
