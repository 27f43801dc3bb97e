"""An attempt begins: see _attempts.pxd."""

from libc.stdint cimport uint64_t

from fastdns.plugins.forward.engine._observed cimport is_observed, tell_sent
from fastdns.plugins.forward.engine._reasons cimport IN_FLIGHT, SEND_FAILED
from fastdns._wire cimport put_u16
from fastdns.memory._random cimport random_u32
from fastdns.plugins.forward.engine._health cimport usual_ns, was_silent
from fastdns.plugins.forward.engine._shared cimport avoid_streams, streams_failed
from fastdns.plugins.forward.engine._sockets cimport NO_SOCKET, choose_socket
from fastdns.plugins.forward.engine._state cimport (
    FREE, MAX_ATTEMPTS, NONE, OUTBOX, OVER_DATAGRAMS, OVER_STREAM, PROBE_TIMEOUT_MS, Attempt,
)
from fastdns.plugins.forward.engine._streams cimport StreamTicket, put_request
from fastdns.plugins.forward.engine._table cimport find_attempt, link_attempt

cdef enum:
    ID_TRIES = 64
    NS_PER_MS = 1000000
    UNSENT_NS = 16 * NS_PER_MS              # before what the kernel had no room for is sent again
    STREAM_SILENCE_NS = 700 * NS_PER_MS     # connecting included: the next one replies within a second
    STREAM_TRIAL_NS = 500 * NS_PER_MS       # how long one client waits for TCP where that has failed before
    GRACE_NS = 50 * NS_PER_MS               # for the event-loop thread to say why an attempt has failed


cdef void stream_failed(Engine* e, const Outstanding* o, Upstream* u) noexcept nogil:
    if not (o.probe or o.stream or u.stream_only):
        avoid_streams(u.shared, e.now_ns)


cdef void was_unsent(Engine* e, uint32_t place, uint32_t which) noexcept nogil:
    cdef Outstanding* o = &e.table[place]
    if o.attempts[which].resent == 0:
        o.attempts[which].unsent = True
        o.hedge_ns = e.now_ns + UNSENT_NS


cdef void push_out(Engine* e, uint32_t place, uint32_t which) noexcept nogil:
    if e.outbox_count == OUTBOX:
        was_unsent(e, place, which)
        return
    e.outbox[e.outbox_count].place = place
    e.outbox[e.outbox_count].attempt = which
    e.outbox_count += 1
    e.service.unsent = True


cdef inline uint64_t time_for(const Outstanding* o) noexcept nogil:
    """How long an attempt may take."""
    return <uint64_t>PROBE_TIMEOUT_MS * NS_PER_MS if o.probe else o.stanza.read_timeout_ns


cdef bint start_attempt(Engine* e, uint32_t place, uint32_t upstream, bint stream) noexcept nogil:
    cdef Outstanding* o = &e.table[place]
    cdef Attempt* a
    cdef uint32_t which = 0
    while which < MAX_ATTEMPTS and o.attempts[which].state != FREE:
        which += 1
    if which == MAX_ATTEMPTS:
        return False
    a = &o.attempts[which]
    a.upstream = upstream
    a.resent = 0
    a.again = False
    a.malformed = False
    a.unsent = False
    a.error_flags = 0
    a.sent_ns = e.now_ns
    a.id = random_u32(&e.random) & 0xFFFF
    if stream or e.upstreams[upstream].stream_only:
        return start_stream(e, place, which)
    return start_datagram(e, place, which)


cdef bint start_stream(Engine* e, uint32_t place, uint32_t which) noexcept nogil:
    cdef Outstanding* o = &e.table[place]
    cdef Attempt* a = &o.attempts[which]
    cdef Upstream* u = &e.upstreams[a.upstream]
    cdef StreamTicket ticket
    a.expires_ns = e.now_ns + time_for(o)
    if not o.probe and (o.stream or u.stream_only):
        # Connecting takes its part. (Where datagrams have led here there may be a reply to fall back on.)
        a.expires_ns += o.stanza.read_timeout_ns
    elif streams_failed(u.shared):
        # One query tries it again, and does not wait for long; the others go on without.
        if a.expires_ns > e.now_ns + STREAM_TRIAL_NS:
            a.expires_ns = e.now_ns + STREAM_TRIAL_NS
        stream_failed(e, o, u)
    if a.expires_ns > o.deadline_ns:
        a.expires_ns = o.deadline_ns
    ticket.outstanding = place
    ticket.generation = o.generation
    ticket.attempt = which
    ticket.upstream = a.upstream
    ticket.id = a.id
    ticket.failed = 0
    ticket.timeout_ns = a.expires_ns - e.now_ns
    # It says why it has failed before this thread gives it up.
    if ticket.timeout_ns > 2 * GRACE_NS:
        ticket.timeout_ns -= GRACE_NS
    if not put_request(e.streams, &ticket, o.query, o.query_len):
        e.counters.streams_shed += 1
        o.error = IN_FLIGHT
        return False
    e.service.unsent = True
    a.state = OVER_STREAM
    if is_observed(o):
        tell_sent(e, o, which)
    o.hedge_ns = e.now_ns + STREAM_SILENCE_NS
    return True


cdef bint start_datagram(Engine* e, uint32_t place, uint32_t which) noexcept nogil:
    cdef Outstanding* o = &e.table[place]
    cdef Attempt* a = &o.attempts[which]
    cdef Upstream* u = &e.upstreams[a.upstream]
    cdef uint32_t tries = 0
    cdef uint32_t chosen = choose_socket(&u.pool, &e.rules, &e.random, e.now_ns)
    while chosen != NO_SOCKET and tries < ID_TRIES and find_attempt(e, a.upstream, chosen, a.id) != NONE:
        tries += 1
        a.id = random_u32(&e.random) & 0xFFFF
    if chosen == NO_SOCKET or tries == ID_TRIES:
        o.error = SEND_FAILED
        o.error_upstream = u.slot
        u.pool.short |= chosen != NO_SOCKET
        if not u.pool.short:
            # There is no way to it.
            was_silent(&u.health, e.now_ns)
        return False
    if not o.probe:
        u.counters.connections[u.pool.sockets[chosen].sent != 0 or u.pool.sockets[chosen].first != NONE][0] += 1
    a.socket = chosen
    put_u16(a.id_wire, a.id)
    a.expires_ns = e.now_ns + time_for(o)
    a.state = OVER_DATAGRAMS
    link_attempt(e, place, which)
    o.hedge_ns = e.now_ns + usual_ns(&u.health)
    push_out(e, place, which)
    return True
