"""Who is asked next: see _retries.pxd."""

from fastdns.plugins.forward.engine._reasons cimport MALFORMED
from fastdns.plugins.forward.engine._attempts cimport push_out, start_attempt, stream_failed
from fastdns.plugins.forward.engine._delivery cimport end_without
from fastdns.plugins.forward.engine._health cimport is_suspect, usual_ns, was_silent
from fastdns.plugins.forward.engine._probes cimport probe_failed, start_probe
from fastdns.plugins.forward.engine._selection cimport any_up, last_chance_of, next_of, passes, upstream_at
from fastdns.plugins.forward.engine._stanza cimport Stanza
from fastdns.plugins.forward.engine._state cimport (
    FREE, MAX_ATTEMPTS, NONE, OVER_DATAGRAMS, OVER_STREAM, Attempt, Outstanding, Upstream,
)
from fastdns.plugins.forward.engine._table cimport all_out, anything_out, end_attempt, end_claim, schedule

cdef enum:
    MAX_RESENT = 2
    AGAIN_NS = 150000000            # before an upstream that failed at once is asked again, where that has no bound


cdef bint ask(Engine* e, uint32_t place, uint32_t at) noexcept nogil:
    """Start an attempt at a place of the stanza's list."""
    cdef Outstanding* o = &e.table[place]
    cdef Upstream* u = upstream_at(e, o.stanza, at)
    if is_suspect(&u.health):
        # One query tries it; the others wait for what comes of that.
        u.health.doubted_ns = e.now_ns
    passes(o, at)
    return start_attempt(e, place, o.stanza.upstreams[at], o.stream)


cdef bint ask_next(Engine* e, uint32_t place, bint asked_too) noexcept nogil:
    cdef Outstanding* o = &e.table[place]
    cdef const Stanza* stanza = o.stanza
    cdef uint32_t _tries, at
    if o.last_chance or all_out(o) or (stanza.max_attempts and o.failed >= stanza.max_attempts):
        return False
    for _tries in range(stanza.upstream_count):
        at = next_of(e, o, asked_too)
        if at == NONE:
            break
        if ask(e, place, at):
            return True
    if any_up(e, stanza) or not asked_too:
        return False
    e.counters.all_down += 1
    if stanza.failfast:
        return False
    o.last_chance = True
    at = last_chance_of(e, stanza)
    return at != NONE and ask(e, place, at)


cdef void go_on(Engine* e, uint32_t place, bint asked_too) noexcept nogil:
    cdef Outstanding* o = &e.table[place]
    if e.now_ns < o.deadline_ns and ask_next(e, place, asked_too):
        schedule(e, place)
    elif anything_out(o):
        schedule(e, place)
    else:
        end_without(e, place)


cdef void attempt_failed(Engine* e, uint32_t place, uint32_t which, uint8_t error, bint shortage) noexcept nogil:
    cdef Outstanding* o = &e.table[place]
    cdef uint32_t upstream = o.attempts[which].upstream
    cdef Upstream* u = &e.upstreams[upstream]
    cdef bint at_once = e.now_ns - o.attempts[which].sent_ns < AGAIN_NS
    if o.attempts[which].state == OVER_STREAM and error != MALFORMED and not shortage:
        stream_failed(e, o, u)
    end_attempt(e, place, which)
    o.failed += 1
    o.error = error
    o.error_upstream = u.slot
    if o.probe:
        probe_failed(e, place, shortage)
        return
    if not shortage:
        start_probe(e, o.stanza, upstream)
    if at_once and o.stanza.max_attempts == 0 and o.fallback == NULL and not anything_out(o):
        # Not asked again and again as fast as it can fail: hedge goes on after a pause.
        if not ask_next(e, place, False):
            o.hedge_ns = e.now_ns + AGAIN_NS
        schedule(e, place)
        return
    # Where there is a reply already, no upstream is asked again.
    go_on(e, place, o.fallback == NULL)


cdef void hedge(Engine* e, uint32_t place) noexcept nogil:
    cdef Outstanding* o = &e.table[place]
    cdef Attempt* last = NULL
    cdef Upstream* u
    cdef uint32_t i, which = 0
    for i in range(MAX_ATTEMPTS):
        if o.attempts[i].state != FREE and (last == NULL or o.attempts[i].sent_ns >= last.sent_ns):
            last = &o.attempts[i]
            which = i
    o.hedge_ns = 0
    if last == NULL:
        # A pause has ended, see attempt_failed; or the thread that is followed has been silent for too long.
        if o.claim.follows:
            end_claim(e, o)
        go_on(e, place, True)
        return
    u = &e.upstreams[last.upstream]
    if last.unsent:
        last.unsent = False
        last.sent_ns = e.now_ns
        o.hedge_ns = 0 if o.probe else e.now_ns + usual_ns(&u.health)
        push_out(e, place, which)
        return
    if last.resent == 0:
        was_silent(&u.health, e.now_ns)
        u.counters.silent += 1
        if last.state == OVER_STREAM:
            # If its reply comes after all, that is taken back.
            stream_failed(e, o, u)
    if is_suspect(&u.health):
        start_probe(e, o.stanza, last.upstream)
    if ask_next(e, place, False):
        return
    if (last.state == OVER_DATAGRAMS and last.resent < MAX_RESENT
            and u.pool.sockets[last.socket].fd >= 0):
        last.resent += 1
        push_out(e, place, which)
        o.hedge_ns = e.now_ns + (usual_ns(&u.health) << last.resent)
