"""The end of an outstanding query: see _delivery.pxd."""

from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from fastdns.memory._clock cimport monotonic_ns
from fastdns.serve._context cimport ServiceReply
from fastdns.plugins.forward.engine._reasons cimport NO_HEALTHY, TIMEOUT
from fastdns._wire cimport FLAG_TC
from fastdns.memory._slabs cimport give_block
from fastdns.plugins.forward.engine._quotas cimport give_share
from fastdns.plugins.forward.engine._state cimport Ended, Waiter, reason_of
from fastdns.plugins.forward.engine._table cimport detach, end_claim, give_place, note_stale


cdef void end_with(Engine* e, uint32_t place, const uint8_t* msg, uint32_t size) noexcept nogil:
    cdef Outstanding* o = &e.table[place]
    cdef ServiceReply reply
    detach(e, place)
    # Whoever comes back to this place finds it ended, though it may resume waiters for a while.
    o.generation += 1
    memset(&reply, 0, sizeof(reply))
    if msg == NULL and o.fallback != NULL:
        msg = o.fallback
        size = o.fallback_len
        reply.cut = (msg[2] & (FLAG_TC >> 8)) != 0
        o.error_upstream = o.fallback_upstream
    reply.msg = msg
    reply.msg_len = size
    reply.received_ns = e.now_ns
    reply.error = reason_of(e, o.error if o.error else NO_HEALTHY)
    reply.error_upstream = o.error_upstream
    resume_some(e, o, &reply, o.claim.follows)
    if o.waiters != NULL and not put_off(e, place, &reply):
        while o.waiters != NULL:
            resume_some(e, o, &reply, o.claim.follows)
    if o.waiters == NULL:
        give_place(e, place)


cdef void end_without(Engine* e, uint32_t place) noexcept nogil:
    end_with(e, place, NULL, 0)


cdef void resume_some(Engine* e, Outstanding* o, ServiceReply* reply, bint followed) noexcept nogil:
    """Resume some of the waiters of a query that has ended. followed: it had another thread's claim."""
    cdef Waiter* w
    cdef uint32_t left = RESUMED_AT_ONCE
    while o.waiters != NULL and left:
        left -= 1
        w = o.waiters
        o.waiters = w.next
        reply.followed = followed or w.only_alike
        e.service.suspended -= 1
        give_share(&e.quotas, &w.share)
        e.counters.waiting[o.stanza.number] -= 1
        e.resume(e.owner, &w.query, reply)
        give_block(&e.memory, w)


cdef bint put_off(Engine* e, uint32_t place, const ServiceReply* reply) noexcept nogil:
    """Keep a reply for the waiters that are left. False where there is no memory for it, or no later."""
    cdef Ended* ended = NULL
    if not e.closed:
        ended = <Ended*>malloc(sizeof(Ended) + reply.msg_len)
    if ended == NULL:
        return False
    ended.next = NULL
    ended.place = place
    ended.followed = e.table[place].claim.follows
    ended.reply = reply[0]
    if reply.msg != NULL:
        memcpy(<uint8_t*>ended + sizeof(Ended), reply.msg, reply.msg_len)
        ended.reply.msg = <uint8_t*>ended + sizeof(Ended)
    # Other threads have the answer from the waiters that were resumed.
    end_claim(e, &e.table[place])
    if e.ended == NULL:
        e.ended = ended
    else:
        e.last_ended.next = ended
    e.last_ended = ended
    return True


cdef void resume_more(Engine* e) noexcept nogil:
    cdef Ended* ended = e.ended
    cdef Outstanding* o
    if ended == NULL:
        return
    o = &e.table[ended.place]
    resume_some(e, o, &ended.reply, ended.followed)
    if o.waiters == NULL:
        e.ended = ended.next
        give_place(e, ended.place)
        free(ended)


cdef void resume_stale(Engine* e, Outstanding* o) noexcept nogil:
    cdef ServiceReply reply
    cdef Waiter* w = o.waiters
    if o.stale_after_ns == 0 or o.stale_after_ns > e.now_ns:
        return
    o.stale_after_ns = 0
    memset(&reply, 0, sizeof(reply))
    reply.stale = True
    reply.received_ns = e.now_ns
    reply.error = reason_of(e, TIMEOUT)
    while w != NULL:
        if w.query.stale_after_ns and w.query.stale_after_ns <= e.now_ns:
            w.query.stale_after_ns = 0
            e.resume(e.owner, &w.query, &reply)
            w.query.background = True
        note_stale(o, w)
        w = w.next


cdef void give_up_all(Engine* e) noexcept nogil:
    cdef uint32_t place
    e.now_ns = monotonic_ns()
    e.closed = True
    while e.ended != NULL:
        resume_more(e)
    for place in range(e.used):
        if e.table[place].waiters != NULL:
            if e.table[place].error == 0:
                e.table[place].error = TIMEOUT
            end_without(e, place)
