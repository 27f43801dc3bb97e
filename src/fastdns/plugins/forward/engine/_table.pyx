"""Outstanding queries and their attempts: see _table.pxd."""

from libc.string cimport memset

from fastdns.memory._slabs cimport give_block
from fastdns.memory._clock cimport monotonic_ns
from fastdns.memory._wheel cimport NO_TIMER, wheel_remove, wheel_set
from fastdns.plugins.forward.engine._claims cimport release_claim
from fastdns.plugins.forward.engine._sockets cimport UdpSocket
from fastdns.plugins.forward.engine._state cimport DEADLINE_MS, NONE, OVER_DATAGRAMS


cdef uint32_t take_place(Engine* e) noexcept nogil:
    cdef uint32_t place = e.free
    cdef Outstanding* o
    cdef uint32_t generation
    if place != NONE:
        e.free = e.table[place].next_hashed
    elif e.used < e.room:
        place = e.used
        e.used += 1
    else:
        return NONE
    o = &e.table[place]
    generation = o.generation + 1
    memset(o, 0, sizeof(Outstanding))
    o.generation = generation
    o.timer.slot = NO_TIMER
    o.next_hashed = NONE
    o.started_ns = e.now_ns
    o.deadline_ns = e.now_ns + <uint64_t>DEADLINE_MS * 1000000
    e.service.outstanding += 1
    return place


cdef void give_place(Engine* e, uint32_t place) noexcept nogil:
    cdef Outstanding* o = &e.table[place]
    if o.query != NULL:
        give_block(&e.memory, o.query)
    if o.fallback != NULL:
        give_block(&e.memory, o.fallback)
    end_claim(e, o)
    o.query = NULL
    o.fallback = NULL
    o.generation += 1
    o.next_hashed = e.free
    e.free = place
    e.service.outstanding -= 1


cdef void detach(Engine* e, uint32_t place) noexcept nogil:
    cdef Outstanding* o = &e.table[place]
    cdef uint32_t* at
    cdef uint32_t i
    for i in range(MAX_ATTEMPTS):
        if o.attempts[i].state != FREE:
            end_attempt(e, place, i)
    wheel_remove(&e.wheel, place)
    if o.hashed:
        at = &e.by_question[o.hash & e.hash_mask]
        while at[0] != place:
            at = &e.table[at[0]].next_hashed
        at[0] = o.next_hashed
        o.hashed = False


cdef void put_by_question(Engine* e, uint32_t place, uint64_t hashed) noexcept nogil:
    cdef Outstanding* o = &e.table[place]
    o.hash = hashed
    o.hashed = True
    o.next_hashed = e.by_question[hashed & e.hash_mask]
    e.by_question[hashed & e.hash_mask] = place


cdef uint32_t nth_alike(Engine* e, uint64_t hashed, uint32_t n) noexcept nogil:
    cdef uint32_t place = e.by_question[hashed & e.hash_mask]
    while True:
        if e.table[place].hash == hashed:
            if n == 0:
                return place
            n -= 1
        place = e.table[place].next_hashed


cdef void schedule(Engine* e, uint32_t place) noexcept nogil:
    cdef Outstanding* o = &e.table[place]
    cdef uint64_t due = o.deadline_ns
    cdef uint32_t i
    if o.hedge_ns and o.hedge_ns < due:
        due = o.hedge_ns
    if o.stale_after_ns and o.stale_after_ns < due:
        due = o.stale_after_ns
    for i in range(MAX_ATTEMPTS):
        if o.attempts[i].state != FREE and o.attempts[i].expires_ns < due:
            due = o.attempts[i].expires_ns
    wheel_set(&e.wheel, place, due)


cdef void note_stale(Outstanding* o, const Waiter* w) noexcept nogil:
    cdef uint64_t after_ns = w.query.stale_after_ns
    if after_ns and (o.stale_after_ns == 0 or after_ns < o.stale_after_ns):
        o.stale_after_ns = after_ns


cdef void end_claim(Engine* e, Outstanding* o) noexcept nogil:
    cdef uint32_t i
    if o.claim.word == NULL:
        return
    if o.claim.follows:
        for i in range(e.follower_count):
            if &e.table[e.followers[i]] == o:
                e.follower_count -= 1
                e.followers[i] = e.followers[e.follower_count]
                break
    release_claim(&o.claim, monotonic_ns())


# Attempts


cdef inline uint32_t id_slot(const Engine* e, uint32_t upstream, uint32_t which, uint16_t wire_id) noexcept nogil:
    return (wire_id ^ ((upstream * SOCKETS + which) * 40503)) & e.hash_mask


cdef inline Attempt* attempt_at(Engine* e, uint32_t node) noexcept nogil:
    return &e.table[node // MAX_ATTEMPTS].attempts[node % MAX_ATTEMPTS]


cdef void link_attempt(Engine* e, uint32_t place, uint32_t which) noexcept nogil:
    cdef Attempt* a = &e.table[place].attempts[which]
    cdef uint32_t node = place * MAX_ATTEMPTS + which
    cdef uint32_t slot = id_slot(e, a.upstream, a.socket, a.id)
    cdef UdpSocket* s = &e.upstreams[a.upstream].pool.sockets[a.socket]
    a.next_hashed = e.by_id[slot]
    e.by_id[slot] = node
    a.previous_out = NONE
    a.next_out = s.first
    if s.first != NONE:
        attempt_at(e, s.first).previous_out = node
    s.first = node


cdef void end_attempt(Engine* e, uint32_t place, uint32_t which) noexcept nogil:
    cdef Attempt* a = &e.table[place].attempts[which]
    cdef uint32_t node = place * MAX_ATTEMPTS + which
    cdef uint32_t* at
    cdef UdpSocket* s
    if a.state == OVER_DATAGRAMS:
        at = &e.by_id[id_slot(e, a.upstream, a.socket, a.id)]
        while at[0] != node:
            at = &attempt_at(e, at[0]).next_hashed
        at[0] = a.next_hashed
        s = &e.upstreams[a.upstream].pool.sockets[a.socket]
        if a.previous_out == NONE:
            s.first = a.next_out
        else:
            attempt_at(e, a.previous_out).next_out = a.next_out
        if a.next_out != NONE:
            attempt_at(e, a.next_out).previous_out = a.previous_out
    a.state = FREE


cdef uint32_t find_attempt(Engine* e, uint32_t upstream, uint32_t which, uint16_t wire_id) noexcept nogil:
    cdef uint32_t node = e.by_id[id_slot(e, upstream, which, wire_id)]
    cdef Attempt* a
    while node != NONE:
        a = attempt_at(e, node)
        if a.id == wire_id and a.upstream == upstream and a.socket == which:
            return node
        node = a.next_hashed
    return NONE
