"""Makes connections: TCP, then TLS where it is spoken. A connection is ready when queries can be sent on it."""

from libc.errno cimport EPROTO, ETIMEDOUT
from libc.stdint cimport uint32_t, uint64_t

from fastdns.bench._asking cimport Asking
from fastdns.bench._counts cimport add_latency
from fastdns.bench._doh cimport begin_http
from fastdns.bench._group cimport RETRY_NS, LaneGroup, close_lane, sleep_ns
from fastdns.bench._lanes cimport CONNECTING, HANDSHAKING, OPEN, Lane
from fastdns.bench._sockets cimport POLLIN, POLLOUT, SO_ERROR, SOL_SOCKET, getsockopt, monotonic_ns, socklen_t
from fastdns.bench._tls cimport FAILED, SHAKEN, WANTS_WRITE, begin_tls, shake_hands

cdef enum:
    LOOK_NS = 1000000           # between two looks at connections that are being made


cdef uint32_t connected(LaneGroup* g, Asking* a, uint32_t at) noexcept nogil:
    """A TCP connection is established, or has failed. TLS begins on it, where it is spoken."""
    cdef Lane* lane = &g.lanes[at]
    cdef int failed = 0
    cdef socklen_t size = sizeof(int)
    getsockopt(lane.fd, SOL_SOCKET, SO_ERROR, &failed, &size)
    if failed:
        g.open_errno = failed
        a.counts.errors += 1
        close_lane(g, a, at, monotonic_ns() + RETRY_NS)
        return 0
    if g.tls == NULL:
        ready(g, a, at)
    elif begin_tls(g.tls, lane) < 0:
        close_lane(g, a, at, monotonic_ns() + RETRY_NS)
        return 0
    else:
        lane.state = HANDSHAKING
        handshaken(g, a, at)
    return 1


cdef uint32_t handshaken(LaneGroup* g, Asking* a, uint32_t at) noexcept nogil:
    """Go on with a handshake."""
    cdef Lane* lane = &g.lanes[at]
    cdef int step = shake_hands(g.tls, lane)
    if step == FAILED:
        g.open_errno = EPROTO
        a.counts.errors += 1
        close_lane(g, a, at, monotonic_ns() + RETRY_NS)
    elif step == SHAKEN:
        a.counts.resumed += g.tls.ssl.SSL_session_reused(lane.tls)
        ready(g, a, at)
    else:
        g.polls[at].events = POLLOUT if step == WANTS_WRITE else POLLIN
    return 1


cdef void ready(LaneGroup* g, Asking* a, uint32_t at) noexcept nogil:
    """Queries can be sent on a connection."""
    cdef Lane* lane = &g.lanes[at]
    if g.doh != NULL and begin_http(g.doh, a, lane) < 0:
        close_lane(g, a, at, monotonic_ns() + RETRY_NS)
        return
    lane.state = OPEN
    g.polls[at].events = POLLIN
    add_latency(&a.counts.set_ups, monotonic_ns() - lane.opening_ns)
    lane.connections += 1
    if lane.connections > 1:
        a.counts.reconnects += 1


cdef inline bint is_opening(const Lane* lane) noexcept nogil:
    return lane.state == CONNECTING or lane.state == HANDSHAKING


cdef void give_up_opening(LaneGroup* g, Asking* a, uint32_t at, uint64_t now) noexcept nogil:
    """Close a connection that has not become ready within the time of a query."""
    if is_opening(&g.lanes[at]) and now > g.lanes[at].opening_ns + a.timeout_ns:
        g.open_errno = ETIMEDOUT
        a.counts.errors += 1
        close_lane(g, a, at, now + RETRY_NS)


cdef uint32_t connect_all(LaneGroup* g, Asking* a) noexcept nogil:
    """Wait until each lane is ready or has failed, a timeout at most. Returns how many are ready."""
    cdef uint32_t i, opening = 1, there = 0
    cdef uint64_t end_ns = monotonic_ns() + a.timeout_ns
    while opening and monotonic_ns() < end_ns:
        sleep_ns(g, LOOK_NS, g.lane_count)
        opening = there = 0
        for i in range(g.lane_count):
            if g.polls[i].revents:
                go_on_opening(g, a, i)
            opening += is_opening(&g.lanes[i])
            there += g.lanes[i].state == OPEN
    return there


cdef uint32_t go_on_opening(LaneGroup* g, Asking* a, uint32_t at) noexcept nogil:
    """Something has come for a connection that is being made. Returns 1 if it was waiting for that."""
    if g.lanes[at].state == CONNECTING:
        return connected(g, a, at)
    return handshaken(g, a, at) if g.lanes[at].state == HANDSHAKING else 0


cdef bint nobody_accepts(LaneGroup* g, const Asking* a, uint64_t now) noexcept nogil:
    """Whether for a whole timeout no lane has had a connection."""
    cdef uint32_t i
    for i in range(g.lane_count):
        if g.lanes[i].state == OPEN:
            g.accepted_ns = now
            return False
    return now > g.accepted_ns + a.timeout_ns
