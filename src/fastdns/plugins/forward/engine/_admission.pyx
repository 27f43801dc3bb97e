"""Suspended or refused: see _admission.pxd."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from fastdns.memory._clock cimport monotonic_ns
from fastdns.serve._context cimport SUSPENDED, asked_flags, bare, next_random, proto_of
from fastdns.plugins.forward.engine._reasons cimport (
    IN_FLIGHT, MAX_CONCURRENT, NO_HEALTHY, TIMEOUT, TOO_LONG, NONE_YET,
)
from fastdns.plugins.forward._relay cimport MAX_ASKED_BYTES, write_asked
from fastdns._wire cimport REFUSED, SERVFAIL
from fastdns.memory._slabs cimport MAX_BLOCK_BYTES, SLAB_UNITS, block_units, give_block, take_block
from fastdns.plugins.forward.engine._claims cimport CLAIM_MS, take_claim
from fastdns.plugins.forward.engine._questions cimport question_hash, randomize_case, same_question
from fastdns.plugins.forward.engine._quotas cimport (
    UNITS_A_PLACE, Share, concurrent_left, examine_share, less, take_share,
)
from fastdns.plugins.forward.engine._retries cimport ask_next
from fastdns.plugins.forward.engine._selection cimport first_of
from fastdns.plugins.forward.engine._stanza cimport Stanza
from fastdns.plugins.forward.engine._state cimport (
    DEADLINE_MS, MAX_FOLLOWERS, NONE, Engine, Outstanding, Waiter, reason_of,
)
from fastdns.plugins.forward.engine._table cimport (
    detach, give_place, note_stale, nth_alike, put_by_question, schedule, take_place,
)
from fastdns.serve._suspend cimport Suspended, suspended_bytes, write_suspended

cdef enum:
    NS_PER_MS = 1000000

# What is to be asked.
cdef struct Asked:
    const Stanza* stanza
    uint64_t hash
    uint32_t size
    bint stream
    uint8_t message[MAX_ASKED_BYTES]


cdef Outcome refuse(const Engine* e, Context* ctx, uint8_t error, uint16_t rcode) noexcept nogil:
    ctx.error = reason_of(e, error)
    return bare(ctx, rcode)


cdef inline uint32_t waiter_bytes(const Context* ctx) noexcept nogil:
    return sizeof(Waiter) - sizeof(Suspended) + suspended_bytes(ctx)


cdef uint32_t find_equal(Engine* e, const Asked* asked, const Context* ctx, uint32_t* alike) noexcept nogil:
    """The outstanding query with an equal question, or NONE and how many alike ones there are."""
    cdef uint32_t place = e.by_question[asked.hash & e.hash_mask]
    cdef Outstanding* o
    while place != NONE:
        o = &e.table[place]
        if o.hash == asked.hash:
            if same_question(o, asked.stanza, ctx, asked.stream, asked.message, asked.size):
                break
            alike[0] += 1
        place = o.next_hashed
    return place


cdef uint32_t free_units(const Engine* e, uint32_t concurrent, bint joins) noexcept nogil:
    """What is free of memory, places and max_concurrent: the least of them."""
    cdef uint32_t units = less(e.memory.empty * SLAB_UNITS, concurrent * UNITS_A_PLACE)
    if joins:
        return units
    return less(units, (e.room - e.service.outstanding) * UNITS_A_PLACE)


cdef Waiter* new_waiter(Engine* e, const Context* ctx) noexcept nogil:
    cdef Waiter* w = <Waiter*>take_block(&e.memory, waiter_bytes(ctx))
    if w != NULL:
        w.next = NULL
        w.only_alike = False
        write_suspended(ctx, &w.query)
    return w


cdef uint32_t new_outstanding(Engine* e, const Asked* asked, const Context* ctx) noexcept nogil:
    """A place with the question, or NONE where there is no room."""
    cdef uint32_t place = take_place(e)
    cdef uint8_t* query = take_block(&e.memory, asked.size) if place != NONE else NULL
    cdef Outstanding* o
    if query == NULL:
        if place != NONE:
            give_place(e, place)
        return NONE
    o = &e.table[place]
    o.stanza = asked.stanza
    o.stream = asked.stream
    o.query = query
    o.query_len = asked.size
    o.name_len = ctx.q.name_len
    memcpy(query, asked.message, asked.size)
    if asked.stanza.randomize_case:
        randomize_case(o, &e.random)
    put_by_question(e, place, asked.hash)
    o.first = first_of(e, asked.stanza)
    return place


cdef bint begin(Engine* e, uint32_t place, const Context* ctx) noexcept nogil:
    """Ask an upstream, or follow another thread that asks. False where no upstream can be asked."""
    cdef Outstanding* o = &e.table[place]
    if ctx.claim != NULL:
        take_claim(&o.claim, ctx.claim, ctx.claim_hash, ctx.received_ns, e.now_ns,
                   e.follower_count < MAX_FOLLOWERS)
    if not o.claim.follows:
        return ask_next(e, place, True)
    e.followers[e.follower_count] = place
    e.follower_count += 1
    o.hedge_ns = e.now_ns + <uint64_t>CLAIM_MS * NS_PER_MS
    e.counters.joined += 1
    return True


cdef void wait(Engine* e, uint32_t place, Waiter* w) noexcept nogil:
    """A client query waits for an outstanding query."""
    cdef Outstanding* o = &e.table[place]
    if w.only_alike:
        # Behind one that gets the reply, so that the cache has it by then.
        w.next = o.waiters.next
        o.waiters.next = w
    else:
        w.next = o.waiters
        o.waiters = w
    note_stale(o, w)
    schedule(e, place)
    e.service.suspended += 1
    take_share(&e.quotas, &w.share)
    e.counters.parked += 1
    e.counters.waiting[o.stanza.number] += 1


cdef Outcome admit(void* engine, Context* ctx, const void* conf) noexcept nogil:
    cdef Engine* e = <Engine*>engine
    cdef const Stanza* stanza = <const Stanza*>conf
    cdef Outstanding* o
    cdef Waiter* w
    cdef Asked asked
    cdef Share share
    cdef uint32_t place, concurrent
    cdef uint32_t alike = 0
    cdef uint8_t error
    cdef bint joins
    cdef bint only_alike = False
    if stanza.upstream_count == 0:
        return refuse(e, ctx, NO_HEALTHY, SERVFAIL)
    if e.closed:
        return refuse(e, ctx, TIMEOUT, SERVFAIL)
    if waiter_bytes(ctx) > MAX_BLOCK_BYTES:
        return refuse(e, ctx, TOO_LONG, SERVFAIL)
    e.now_ns = monotonic_ns()
    concurrent = concurrent_left(&e.quotas, stanza, e.now_ns)
    if concurrent == 0:
        e.counters.concurrent_rejects += 1
        return refuse(e, ctx, MAX_CONCURRENT, REFUSED)
    asked.stanza = stanza
    asked.stream = stanza.force_tcp or (proto_of(ctx.transport) and not stanza.prefer_udp)
    asked.size = write_asked(ctx.q, asked_flags(ctx), asked.message)
    asked.hash = question_hash(e.seed, stanza, ctx, asked.stream)
    place = find_equal(e, &asked, ctx, &alike)
    if place == NONE and alike >= MAX_ALIKE:
        if e.now_ns - ctx.received_ns >= <uint64_t>DEADLINE_MS * NS_PER_MS:
            return refuse(e, ctx, TIMEOUT, SERVFAIL)
        # Any of them: each that ends makes room for one.
        place = nth_alike(e, asked.hash, next_random(ctx) % alike)
        only_alike = True
    joins = place != NONE
    if e.service.outstanding == e.room and not joins:
        return refuse(e, ctx, IN_FLIGHT, SERVFAIL)
    share.units = block_units(waiter_bytes(ctx))
    if not joins:
        share.units += block_units(asked.size)
        if share.units < UNITS_A_PLACE:
            share.units = UNITS_A_PLACE
    error = examine_share(&e.quotas, &share, stanza, ctx.client, ctx.client_len, free_units(e, concurrent, joins))
    if error != NONE_YET:
        return refuse(e, ctx, error, SERVFAIL)
    w = new_waiter(e, ctx)
    if w == NULL:
        return refuse(e, ctx, IN_FLIGHT, SERVFAIL)
    w.share = share
    w.only_alike = only_alike
    if joins:
        e.counters.joined += 1
    else:
        place = new_outstanding(e, &asked, ctx)
        if place == NONE:
            give_block(&e.memory, w)
            return refuse(e, ctx, IN_FLIGHT, SERVFAIL)
        if not begin(e, place, ctx):
            o = &e.table[place]
            ctx.error_upstream = o.error_upstream
            error = o.error if o.error else NO_HEALTHY
            detach(e, place)
            give_place(e, place)
            give_block(&e.memory, w)
            return refuse(e, ctx, error, SERVFAIL)
    wait(e, place, w)
    return SUSPENDED
