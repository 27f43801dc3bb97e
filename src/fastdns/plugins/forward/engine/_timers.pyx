"""What is due: see _timers.pxd."""

from libc.stdint cimport uint32_t

from fastdns.plugins.forward.engine._reasons cimport MALFORMED, SEND_FAILED, TIMEOUT
from fastdns.memory._wheel cimport NO_TIMER, WHEEL_TICK_NS, wheel_take, wheel_turns
from fastdns.plugins.forward.engine._claims cimport is_released
from fastdns.plugins.forward.engine._datagrams cimport send_much
from fastdns.plugins.forward.engine._delivery cimport end_without, resume_more, resume_stale
from fastdns.plugins.forward.engine._probes cimport probe_due
from fastdns.plugins.forward.engine._replies cimport believe_error
from fastdns.plugins.forward.engine._retries cimport attempt_failed, hedge
from fastdns.plugins.forward.engine._state cimport FREE, MAX_ATTEMPTS, Attempt, Outstanding
from fastdns.plugins.forward.engine._table cimport anything_out, schedule


cdef void expire(Engine* e, uint32_t place, uint32_t which) noexcept nogil:
    """An attempt has used up its time."""
    cdef Attempt* a = &e.table[place].attempts[which]
    if a.error_flags:
        believe_error(e, place, which)
    elif a.malformed:
        attempt_failed(e, place, which, MALFORMED, False)
    elif a.unsent:
        attempt_failed(e, place, which, SEND_FAILED, True)
    else:
        e.upstreams[a.upstream].counters.timeouts += 1
        attempt_failed(e, place, which, TIMEOUT, False)


cdef void on_due(Engine* e, uint32_t place) noexcept nogil:
    """Time has come for something that may happen to an outstanding query."""
    cdef Outstanding* o = &e.table[place]
    cdef uint32_t generation = o.generation
    cdef uint32_t i
    if o.probe and not anything_out(o):
        probe_due(e, place)
        return
    resume_stale(e, o)
    for i in range(MAX_ATTEMPTS):
        if o.attempts[i].state != FREE and o.attempts[i].expires_ns <= e.now_ns:
            expire(e, place, i)
            if o.generation != generation or o.probe:
                return
    if e.now_ns >= o.deadline_ns:
        if o.error == 0:
            o.error = TIMEOUT
        end_without(e, place)
        return
    if o.hedge_ns and o.hedge_ns <= e.now_ns:
        hedge(e, place)
    if o.generation == generation:
        schedule(e, place)


cdef void look_at_claims(Engine* e) noexcept nogil:
    """Resume those whose question has been answered to another thread."""
    cdef uint32_t i = e.follower_count
    cdef uint32_t place
    while i:
        # Backwards, as the last one takes the place of one that ends; who follows meanwhile is seen next time.
        i -= 1
        if i >= e.follower_count:
            continue
        place = e.followers[i]
        if is_released(&e.table[place].claim):
            end_without(e, place)


cdef void turn_wheel(Engine* e, uint64_t now_ns) noexcept nogil:
    cdef uint32_t place, bound
    e.now_ns = now_ns
    resume_more(e)
    look_at_claims(e)
    while wheel_turns(&e.wheel, now_ns):
        # What is due again at once must not keep the thread here.
        bound = e.room
        place = wheel_take(&e.wheel)
        while place != NO_TIMER:
            on_due(e, place)
            send_much(e)
            bound -= 1
            place = wheel_take(&e.wheel) if bound else NO_TIMER


cdef int until_turn_ms(const Engine* e, int limit_ms) noexcept nogil:
    if e.service.outstanding == 0:
        return limit_ms
    if e.ended != NULL:
        return 0
    if e.follower_count:
        return 1
    return WHEEL_TICK_NS // 1000000 if limit_ms > WHEEL_TICK_NS // 1000000 else limit_ms
