"""Sends queries on connections and takes their answers: RFC 1035 section 4.2.2, pipelined.

Over TLS the same (RFC 7858 section 3.3).
"""

from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memmove

from fastdns.bench._asking cimport Asking, match_answer, most_bytes, prepare, under_way_now, write_message
from fastdns.bench._doh cimport is_over, put_frames, take_frames
from fastdns.bench._group cimport INCOMING_BYTES, OUTGOING_BYTES, RETRY_NS, LaneGroup, close_lane
from fastdns.bench._lanes cimport OPEN, Lane, next_place
from fastdns.bench._sockets cimport MSG_DONTWAIT, MSG_NOSIGNAL, monotonic_ns, recv, send
from fastdns.bench._tls cimport BROKEN, NOT_NOW, read_tls, write_tls

cdef enum:
    LENGTH_BYTES = 2            # before a message


cdef inline ssize_t read_some(LaneGroup* g, Lane* lane, void* room, uint32_t size) noexcept nogil:
    """The number of bytes that have come; 0 at the end of the connection, NOT_NOW, or BROKEN."""
    cdef ssize_t got
    if g.tls != NULL:
        return read_tls(g.tls, lane, room, size)
    got = recv(lane.fd, room, size, MSG_DONTWAIT)
    return got if got >= 0 else NOT_NOW if errno == EAGAIN or errno == EINTR else BROKEN


cdef inline ssize_t write_some(LaneGroup* g, Lane* lane, const void* data, uint32_t size) noexcept nogil:
    """The number of bytes that were taken; 0 at the end of the connection, NOT_NOW, or BROKEN."""
    cdef ssize_t sent
    if g.tls != NULL:
        return write_tls(g.tls, lane, data, size)
    sent = send(lane.fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL)
    return sent if sent >= 0 else NOT_NOW if errno == EAGAIN or errno == EINTR else BROKEN


cdef uint32_t write_queries(Asking* a, Lane* lane, uint32_t n, uint64_t now) noexcept nogil:
    """Put the next queries into a connection's buffer, as far as there is room. Returns their number."""
    cdef uint32_t i, number, size, at, written = 0
    cdef uint8_t* out
    for i in range(n):
        number = prepare(a, lane, i)
        at = lane.outgoing_size
        if at + LENGTH_BYTES + most_bytes(a, a.table[number].size) > OUTGOING_BYTES:
            break
        out = lane.outgoing + at
        size = write_message(a, &a.table[number], &lane.places[next_place(lane, i)], out + LENGTH_BYTES)
        out[0] = size >> 8
        out[1] = size & 0xFF
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
        if lane.state != OPEN:
            continue
        if g.doh != NULL:
            lane.outgoing_size = put_frames(lane, lane.outgoing, lane.outgoing_size, OUTGOING_BYTES)
        if lane.outgoing_sent == lane.outgoing_size:
            continue
        sent = write_some(
            g, lane, lane.outgoing + lane.outgoing_sent, lane.outgoing_size - lane.outgoing_sent)
        if sent == NOT_NOW:
            continue
        if sent <= 0:
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
    cdef ssize_t got = read_some(
        g, lane, lane.incoming + lane.incoming_size, INCOMING_BYTES - lane.incoming_size)
    if got == NOT_NOW:
        return 0
    now = monotonic_ns()
    if got <= 0:
        if got == BROKEN:
            a.counts.errors += 1
        # A server that closes each connection before an answer is not asked as fast as connections can be made.
        close_lane(g, a, at, now if lane.heard else now + RETRY_NS)
        return 1
    if g.doh != NULL:
        came = take_frames(lane, lane.incoming, <uint32_t>got, now)
        lane.heard += came
        if came:
            a.counts.last_ns = now
        if is_over(lane):
            close_lane(g, a, at, now if lane.heard else now + RETRY_NS)
        return came if came else 1
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
