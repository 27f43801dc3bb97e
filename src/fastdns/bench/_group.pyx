"""Opens and closes the sockets of lanes, and waits for them."""

from libc.errno cimport EINPROGRESS, errno
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from fastdns.bench._asking cimport Asking, lose
from fastdns.bench._doh cimport end_http, free_http
from fastdns.bench._lanes cimport CLOSED, CONNECTING, NO_PLACE, OPEN, Lane, free_lane, make_places
from fastdns.bench._sockets cimport (
    ADDRESS_ROOM, IPPROTO_TCP, POLLIN, POLLOUT, SO_RCVBUF, SO_REUSEADDR, SO_SNDBUF, SOCK_CLOEXEC, SOCK_DGRAM,
    SOCK_NONBLOCK, SOCK_STREAM, SOL_SOCKET, TCP_NODELAY, bind, close, connect, pollfd, ppoll, setsockopt, sockaddr,
    socket, timespec,
)
from fastdns.bench._tls cimport end_tls, free_tls

cdef enum:
    BUFFER_BYTES_PER_QUERY = 4096
    MAX_BUFFER_BYTES = 8388608


cdef int make_lanes(LaneGroup* g, uint32_t lane_count, uint32_t window) noexcept nogil:
    """Lanes that are closed, each with room for window queries under way.

    Returns -1 where there is no memory; close_lanes frees what there is.
    """
    cdef uint32_t i
    g.lanes = <Lane*>calloc(lane_count, sizeof(Lane))
    g.polls = <pollfd*>calloc(lane_count, sizeof(pollfd))
    if g.lanes == NULL or g.polls == NULL:
        return -1
    for i in range(lane_count):
        g.lanes[i].fd = g.polls[i].fd = -1
    g.lane_count = lane_count
    for i in range(lane_count):
        if make_places(&g.lanes[i], window) < 0:
            return -1
        if g.over_tcp:
            g.lanes[i].incoming = <uint8_t*>calloc(1, INCOMING_BYTES)
            g.lanes[i].outgoing = <uint8_t*>calloc(1, OUTGOING_BYTES)
            if g.lanes[i].incoming == NULL or g.lanes[i].outgoing == NULL:
                return -1
    return 0


cdef void close_lanes(LaneGroup* g) noexcept nogil:
    """Close the sockets, and free everything."""
    cdef uint32_t i
    for i in range(g.lane_count):
        if g.doh != NULL:
            free_http(&g.lanes[i])
        if g.tls != NULL:
            free_tls(g.tls, &g.lanes[i])
        if g.lanes[i].fd >= 0:
            close(g.lanes[i].fd)
        free_lane(&g.lanes[i])
    g.lane_count = 0
    free(g.lanes)
    free(g.polls)
    g.lanes = NULL
    g.polls = NULL


cdef int bind_to(LaneGroup* g, int fd, uint32_t at) noexcept nogil:
    """Bind a lane's socket to the local address, and to its port if ports are given."""
    cdef uint8_t local[ADDRESS_ROOM]
    cdef uint32_t port
    cdef int one = 1
    memcpy(local, g.local_at, g.local_size)
    if g.first_port:
        # The earlier connection of this lane may still be in TIME_WAIT.
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(int))
        # In the same place in sockaddr_in and sockaddr_in6.
        port = g.first_port + at
        local[2] = (port >> 8) & 0xFF
        local[3] = port & 0xFF
    return bind(fd, <const sockaddr*>local, g.local_size)


cdef void open_lane(LaneGroup* g, Asking* a, uint32_t at, uint64_t now) noexcept nogil:
    """Open a socket. A connection is established once it is writable. open_errno says why it stays closed."""
    cdef Lane* lane = &g.lanes[at]
    cdef int one = 1, wanted = g.buffer_bytes
    cdef int kind = SOCK_STREAM if g.over_tcp else SOCK_DGRAM
    cdef int fd = socket(g.family, kind | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
    if fd < 0:
        g.open_errno = errno
        lane.retry_ns = now + RETRY_NS
        a.counts.errors += 1
        return
    if wanted == 0 and not g.over_tcp and lane.window > 16:
        # The answers to a whole window may arrive at once.
        wanted = lane.window * BUFFER_BYTES_PER_QUERY
        if wanted > MAX_BUFFER_BYTES:
            wanted = MAX_BUFFER_BYTES
    if wanted:
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &wanted, sizeof(int))
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &wanted, sizeof(int))
    if g.over_tcp:
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(int))
    if (g.local_size > 0 and bind_to(g, fd, at) < 0) or (
            connect(fd, g.peer_at, g.peer_size) < 0 and errno != EINPROGRESS):
        g.open_errno = errno
        close(fd)
        lane.retry_ns = now + RETRY_NS
        a.counts.errors += 1
        return
    lane.fd = fd
    lane.opening_ns = now
    g.polls[at].fd = fd
    g.polls[at].events = POLLOUT if g.over_tcp else POLLIN
    lane.state = CONNECTING if g.over_tcp else OPEN


cdef void close_lane(LaneGroup* g, Asking* a, uint32_t at, uint64_t retry_ns) noexcept nogil:
    """Close a connection. Its outstanding queries are lost."""
    cdef Lane* lane = &g.lanes[at]
    if g.doh != NULL:
        end_http(lane)
    if g.tls != NULL:
        end_tls(g.tls, lane)
    close(lane.fd)
    lane.fd = g.polls[at].fd = -1
    g.polls[at].revents = 0
    lane.state = CLOSED
    lane.retry_ns = retry_ns
    lane.asked = lane.heard = 0
    lane.incoming_size = lane.outgoing_size = lane.outgoing_sent = 0
    while lane.first != NO_PLACE:
        lose(a, lane, lane.first)


cdef void sleep_ns(LaneGroup* g, uint64_t ns, uint32_t lanes) noexcept nogil:
    """Wait until a lane has something, or until the time is over."""
    cdef uint32_t i
    cdef timespec pause
    pause.tv_sec = ns // 1000000000
    pause.tv_nsec = ns % 1000000000
    if ppoll(g.polls, lanes, &pause, NULL) < 0:
        for i in range(lanes):
            g.polls[i].revents = 0
