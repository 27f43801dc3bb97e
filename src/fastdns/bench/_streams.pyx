"""Sends queries on connections and takes their answers: RFC 1035 section 4.2.2, pipelined."""

from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memmove

from fastdns.bench._asking cimport Asking, match_answer, prepare, under_way_now
from fastdns.bench._group cimport INCOMING_BYTES, OUTGOING_BYTES, RETRY_NS, LaneGroup, close_lane, sleep_ns
from fastdns.bench._lanes cimport CONNECTING, OPEN, Lane, Place, next_place
from fastdns.bench._sockets cimport (
    MSG_DONTWAIT, MSG_NOSIGNAL, POLLIN, SO_ERROR, SOL_SOCKET, getsockopt, monotonic_ns, recv, send, socklen_t,
)

cdef enum:
    LENGTH_BYTES = 2            # before a message
    LOOK_NS = 1000000           # between two looks at connections that are being made


cdef uint32_t connected(LaneGroup* g, Asking* a, uint32_t at) noexcept nogil:
    """A connection is established, or has failed."""
    cdef Lane* lane = &g.lanes[at]
    cdef int failed = 0
    cdef socklen_t size = sizeof(int)
    getsockopt(lane.fd, SOL_SOCKET, SO_ERROR, &failed, &size)
    if failed:
        g.open_errno = failed
        a.counts.errors += 1
        close_lane(g, a, at, monotonic_ns() + RETRY_NS)
        return 0
    lane.state = OPEN
    g.polls[at].events = POLLIN
    lane.connections += 1
    if lane.connections > 1:
        a.counts.reconnects += 1
    return 1


cdef uint32_t connect_all(LaneGroup* g, Asking* a) noexcept nogil:
    """Wait until each lane is connected or has failed, a timeout at most. Returns how many are connected."""
    cdef uint32_t i, connecting = 1, there = 0
    cdef uint64_t end_ns = monotonic_ns() + a.timeout_ns
    while connecting and monotonic_ns() < end_ns:
        sleep_ns(g, LOOK_NS, g.lane_count)
        connecting = there = 0
        for i in range(g.lane_count):
            if g.lanes[i].state == CONNECTING and g.polls[i].revents:
                connected(g, a, i)
            connecting += g.lanes[i].state == CONNECTING
            there += g.lanes[i].state == OPEN
    return there


cdef bint nobody_accepts(LaneGroup* g, const Asking* a, uint64_t now) noexcept nogil:
    """Whether for a whole timeout no lane has had a connection."""
    cdef uint32_t i
    for i in range(g.lane_count):
        if g.lanes[i].state == OPEN:
            g.accepted_ns = now
            return False
    return now > g.accepted_ns + a.timeout_ns


cdef uint32_t write_queries(Asking* a, Lane* lane, uint32_t n, uint64_t now) noexcept nogil:
    """Put the next queries into a connection's buffer, as far as there is room. Returns their number."""
    cdef uint32_t i, number, size, at, written = 0
    cdef uint8_t* out
    cdef const Place* place
    for i in range(n):
        number = prepare(a, lane, i)
        size = a.table[number].size
        at = lane.outgoing_size
        if at + LENGTH_BYTES + size > OUTGOING_BYTES:
            break
        out = lane.outgoing + at
        place = &lane.places[next_place(lane, i)]
        out[0] = size >> 8
        out[1] = size & 0xFF
        memcpy(out + LENGTH_BYTES, a.table[number].message, size)
        out[2] = place.id[0]
        out[3] = place.id[1]
        lane.outgoing_size = at + LENGTH_BYTES + size
        a.counts.query_bytes += size
        written += 1
    lane.asked += written
    under_way_now(a, lane, written, now)
    return written


cdef uint32_t flush_all(LaneGroup* g, Asking* a) noexcept nogil:
    """Write the connections' buffers to the kernel. Returns the number of connections that sent something."""
    cdef uint32_t i, moved = 0
    cdef ssize_t sent
    cdef Lane* lane
    for i in range(g.lane_count):
        lane = &g.lanes[i]
        if lane.state != OPEN or lane.outgoing_sent == lane.outgoing_size:
            continue
        sent = send(lane.fd, lane.outgoing + lane.outgoing_sent, lane.outgoing_size - lane.outgoing_sent,
                    MSG_DONTWAIT | MSG_NOSIGNAL)
        if sent < 0:
            if errno != EAGAIN and errno != EINTR:
                a.counts.errors += 1
                close_lane(g, a, i, monotonic_ns() + (0 if lane.heard else RETRY_NS))
            continue
        moved += 1
        lane.outgoing_sent += <uint32_t>sent
        if lane.outgoing_sent == lane.outgoing_size:
            lane.outgoing_sent = lane.outgoing_size = 0
    return moved


cdef uint32_t take_stream(LaneGroup* g, Asking* a, uint32_t at) noexcept nogil:
    """Match the messages of a connection. Returns their number, or 1 if it was closed."""
    cdef Lane* lane = &g.lanes[at]
    cdef uint32_t size, begin = 0, came = 0
    cdef uint64_t now
    cdef ssize_t got = recv(lane.fd, lane.incoming + lane.incoming_size, INCOMING_BYTES - lane.incoming_size,
                            MSG_DONTWAIT)
    if got < 0 and (errno == EAGAIN or errno == EINTR):
        return 0
    now = monotonic_ns()
    if got <= 0:
        if got < 0:
            a.counts.errors += 1
        # A server that closes each connection before an answer is not asked as fast as connections can be made.
        close_lane(g, a, at, now if lane.heard else now + RETRY_NS)
        return 1
    lane.incoming_size += <uint32_t>got
    while lane.incoming_size - begin >= LENGTH_BYTES:
        size = (<uint32_t>lane.incoming[begin] << 8) | lane.incoming[begin + 1]
        if lane.incoming_size - begin - LENGTH_BYTES < size:
            break
        match_answer(a, lane, lane.incoming + begin + LENGTH_BYTES, size, size, now)
        begin += LENGTH_BYTES + size
        came += 1
    if begin:
        memmove(lane.incoming, lane.incoming + begin, lane.incoming_size - begin)
        lane.incoming_size -= begin
    lane.heard += came
    if came:
        a.counts.last_ns = now
    return came
