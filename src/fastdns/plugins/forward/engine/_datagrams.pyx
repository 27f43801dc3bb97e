"""Batches of datagrams: see _datagrams.pxd."""

from libc.errno cimport ECONNREFUSED, EINTR, errno
from libc.stdint cimport uint8_t, uint16_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

from fastdns.memory._clock cimport monotonic_ns
from fastdns.plugins.forward.engine._observed cimport is_observed, tell_sent
from fastdns.plugins.forward.engine._reasons cimport CONNECTION_REFUSED, SEND_FAILED
from fastdns.memory._syscalls cimport MSG_DONTWAIT, MSG_TRUNC, iovec, mmsghdr, recvmmsg, sendmmsg
from fastdns._wire cimport FLAG_TC, HEADER_BYTES, MAX_ASKED_UDP_BYTES
from fastdns.plugins.forward.engine._attempts cimport was_unsent
from fastdns.plugins.forward.engine._health cimport was_silent
from fastdns.plugins.forward.engine._replies cimport on_reply
from fastdns.plugins.forward.engine._retries cimport attempt_failed
from fastdns.plugins.forward.engine._sockets cimport (
    CLOSING, NO_SOCKET, NOT_OPEN, UdpSocket, close_socket, is_shortage,
)
from fastdns.plugins.forward.engine._state cimport (
    MAX_ATTEMPTS, NONE, OUTBOX, OVER_DATAGRAMS, Attempt, Outgoing, Outstanding, Upstream,
)
from fastdns.plugins.forward.engine._table cimport find_attempt, schedule

cdef enum:
    RECEIVE = 32                            # datagrams a call
    RECEIVE_ROOM = MAX_ASKED_UDP_BYTES      # a longer one came in fragments: it is asked for again over TCP
    RECEIVE_ROUNDS = 16
    SEND = 64
    SEND_ROUNDS = 8


cdef bint open_batch(Engine* e) noexcept nogil:
    cdef mmsghdr* headers = <mmsghdr*>calloc(RECEIVE, sizeof(mmsghdr))
    cdef iovec* iovecs = <iovec*>calloc(RECEIVE, sizeof(iovec))
    cdef uint32_t i
    e.received = <uint8_t*>malloc(RECEIVE * RECEIVE_ROOM)
    e.headers = headers
    e.iovecs = iovecs
    if e.received == NULL or headers == NULL or iovecs == NULL:
        return False
    for i in range(RECEIVE):
        iovecs[i].iov_base = e.received + i * RECEIVE_ROOM
        iovecs[i].iov_len = RECEIVE_ROOM
        headers[i].msg_hdr.msg_iov = &iovecs[i]
        headers[i].msg_hdr.msg_iovlen = 1
    return True


cdef void close_batch(Engine* e) noexcept nogil:
    free(e.received)
    free(e.headers)
    free(e.iovecs)


cdef void socket_refused(Engine* e, uint32_t upstream, uint32_t which) noexcept nogil:
    """The upstream's port is closed: all that is out on this socket has failed."""
    cdef Upstream* u = &e.upstreams[upstream]
    cdef UdpSocket* s = &u.pool.sockets[which]
    cdef uint32_t node
    u.pool.chosen = NO_SOCKET
    u.counters.refused += 1
    was_silent(&u.health, e.now_ns)
    close_socket(s)
    s.fd = CLOSING
    # Each failure takes its attempt off the list; what is asked again goes out on another socket.
    while s.first != NONE:
        node = s.first
        attempt_failed(e, node // MAX_ATTEMPTS, node % MAX_ATTEMPTS, CONNECTION_REFUSED, False)
    s.fd = NOT_OPEN


cdef void receive(Engine* e, uint32_t upstream, uint32_t which) noexcept nogil:
    cdef mmsghdr* headers = <mmsghdr*>e.headers
    cdef UdpSocket* s = &e.upstreams[upstream].pool.sockets[which]
    cdef uint8_t* msg
    cdef uint32_t node, size
    cdef int i, count = RECEIVE
    cdef int rounds = 0
    while count == RECEIVE and rounds < RECEIVE_ROUNDS and s.fd >= 0:
        rounds += 1
        count = recvmmsg(s.fd, headers, RECEIVE, MSG_DONTWAIT, NULL)
        if count < 0:
            if errno == ECONNREFUSED:
                socket_refused(e, upstream, which)
            return
        for i in range(count):
            msg = e.received + i * RECEIVE_ROOM
            size = headers[i].msg_len
            node = NONE
            if size >= HEADER_BYTES:
                node = find_attempt(e, upstream, which, (<uint16_t>msg[0] << 8) | msg[1])
            if node == NONE:
                e.counters.mismatched += 1
                continue
            if headers[i].msg_hdr.msg_flags & MSG_TRUNC:
                msg[2] |= FLAG_TC >> 8
            on_reply(e, node // MAX_ATTEMPTS, node % MAX_ATTEMPTS, msg, size)
        send_much(e)


cdef int send_group(Engine* e, const Outgoing* group, uint32_t count, int fd) noexcept nogil:
    """Send attempts of one socket with as few calls as possible. Returns how many went; errno tells of the next."""
    cdef mmsghdr headers[SEND]
    cdef iovec parts[2 * SEND]
    cdef Outstanding* o
    cdef Attempt* a
    cdef uint32_t i
    if count > SEND:
        count = SEND
    memset(headers, 0, count * sizeof(mmsghdr))
    for i in range(count):
        o = &e.table[group[i].place]
        a = &o.attempts[group[i].attempt]
        parts[2 * i].iov_base = a.id_wire
        parts[2 * i].iov_len = 2
        parts[2 * i + 1].iov_base = o.query + 2
        parts[2 * i + 1].iov_len = o.query_len - 2
        headers[i].msg_hdr.msg_iov = &parts[2 * i]
        headers[i].msg_hdr.msg_iovlen = 2
    return sendmmsg(fd, headers, count, MSG_DONTWAIT)


cdef void send_all(Engine* e, Outgoing* group, uint32_t count, uint32_t upstream, uint32_t which) noexcept nogil:
    """Send attempts of one socket. Those that the kernel does not take fail, or are tried again soon."""
    cdef UdpSocket* s = &e.upstreams[upstream].pool.sockets[which]
    cdef uint32_t first = 0
    cdef uint32_t i, kept
    cdef Attempt* a
    cdef int sent
    while first < count:
        if s.fd < 0:
            return
        sent = send_group(e, &group[first], count - first, s.fd)
        if sent > 0:
            s.sent += sent
            for i in range(first, first + <uint32_t>sent):
                if is_observed(&e.table[group[i].place]):
                    tell_sent(e, &e.table[group[i].place], group[i].attempt)
            first += sent
            continue
        if errno == EINTR:
            continue
        if errno == ECONNREFUSED:
            # What an earlier datagram met with; it took this one's place in the kernel's answer.
            socket_refused(e, upstream, which)
            return
        if is_shortage(errno):
            e.now_ns = monotonic_ns()
            was_unsent(e, group[first].place, group[first].attempt)
            schedule(e, group[first].place)
        else:
            # There is no way to the upstream.
            attempt_failed(e, group[first].place, group[first].attempt, SEND_FAILED, False)
            # That may have ended what stands further on, too.
            kept = first + 1
            for i in range(first + 1, count):
                a = &e.table[group[i].place].attempts[group[i].attempt]
                if a.state == OVER_DATAGRAMS and a.upstream == upstream and a.socket == which:
                    group[kept] = group[i]
                    kept += 1
            count = kept
        first += 1


cdef void send_outbox(Engine* e) noexcept nogil:
    """Send what the outbox holds, socket by socket. What cannot be sent fails, and may put more into it."""
    cdef Outgoing pending[OUTBOX]
    cdef Outgoing group[OUTBOX]
    cdef uint32_t left = e.outbox_count
    cdef uint32_t i, grouped, kept, upstream, which
    cdef Attempt* a
    memcpy(pending, e.outbox, left * sizeof(Outgoing))
    e.outbox_count = 0
    for i in range(e.upstream_count):
        e.upstreams[i].pool.chosen = NO_SOCKET
    while left:
        grouped = 0
        kept = 0
        upstream = NONE
        which = 0
        for i in range(left):
            a = &e.table[pending[i].place].attempts[pending[i].attempt]
            if a.state != OVER_DATAGRAMS:
                continue
            if upstream == NONE:
                upstream = a.upstream
                which = a.socket
            if a.upstream == upstream and a.socket == which:
                group[grouped] = pending[i]
                grouped += 1
            else:
                pending[kept] = pending[i]
                kept += 1
        left = kept
        if grouped:
            send_all(e, group, grouped, upstream, which)


cdef void send(Engine* e) noexcept nogil:
    cdef int rounds = 0
    while e.outbox_count and rounds < SEND_ROUNDS:
        rounds += 1
        send_outbox(e)


cdef void send_much(Engine* e) noexcept nogil:
    if e.outbox_count > OUTBOX // 2:
        send(e)
