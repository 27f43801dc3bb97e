"""Sends queries from UDP sockets and takes their answers, in batches."""

from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free

from fastdns.bench._asking cimport Asking, match_answer, prepare, under_way_now, write_message
from fastdns.bench._lanes cimport Lane, next_place
from fastdns.bench._sockets cimport (
    BATCH, MSG_DONTWAIT, MSG_TRUNC, iovec, mmsghdr, monotonic_ns, recvmmsg, sendmmsg,
)

cdef enum:
    ROOM = 4096                 # for a datagram; a longer one is matched and counted, but not compared


cdef int make_datagrams(Datagrams* d, uint32_t query_bytes) noexcept nogil:
    """Room for a batch each way, of queries of so many bytes at most.

    Returns -1 where there is no memory; free_datagrams frees what there is.
    """
    cdef int k
    d.room = <uint8_t*>calloc(BATCH, ROOM)
    d.slot_bytes = query_bytes
    d.slots = <uint8_t*>calloc(BATCH, query_bytes if query_bytes else 1)
    d.headers_in = <mmsghdr*>calloc(BATCH, sizeof(mmsghdr))
    d.headers_out = <mmsghdr*>calloc(BATCH, sizeof(mmsghdr))
    d.iovecs_in = <iovec*>calloc(BATCH, sizeof(iovec))
    d.iovecs_out = <iovec*>calloc(BATCH, sizeof(iovec))
    if not (d.room and d.slots and d.headers_in and d.headers_out and d.iovecs_in and d.iovecs_out):
        return -1
    for k in range(BATCH):
        d.iovecs_in[k].iov_base = d.room + k * ROOM
        d.iovecs_in[k].iov_len = ROOM
        d.headers_in[k].msg_hdr.msg_iov = &d.iovecs_in[k]
        d.headers_in[k].msg_hdr.msg_iovlen = 1
        d.iovecs_out[k].iov_base = d.slots + k * query_bytes
        d.headers_out[k].msg_hdr.msg_iov = &d.iovecs_out[k]
        d.headers_out[k].msg_hdr.msg_iovlen = 1
    return 0


cdef void free_datagrams(Datagrams* d) noexcept nogil:
    free(d.room)
    free(d.slots)
    free(d.headers_in)
    free(d.headers_out)
    free(d.iovecs_in)
    free(d.iovecs_out)


cdef uint32_t take_answers(Datagrams* d, Asking* a, Lane* lane) noexcept nogil:
    """Match the datagrams of a UDP socket, up to a batch. Returns the number of messages."""
    cdef int i, came
    cdef uint64_t now
    came = recvmmsg(lane.fd, d.headers_in, BATCH, MSG_DONTWAIT | MSG_TRUNC, NULL)
    if came <= 0:
        if came < 0 and errno != EAGAIN and errno != EINTR:
            # A connected socket reports ICMP errors of its earlier datagrams.
            a.counts.errors += 1
        return 0
    now = monotonic_ns()
    for i in range(came):
        match_answer(a, lane, <const uint8_t*>d.iovecs_in[i].iov_base, d.headers_in[i].msg_len, ROOM, now)
    a.counts.last_ns = now
    return came


cdef uint32_t send_queries(Datagrams* d, Asking* a, Lane* lane, uint32_t n) noexcept nogil:
    """Send the next queries from a UDP socket. Returns their number."""
    cdef uint32_t i, number
    cdef int sent
    cdef uint64_t now, query_bytes = 0
    for i in range(n):
        number = prepare(a, lane, i)
        # The kernel takes one piece faster than two; the copy costs less than that.
        d.iovecs_out[i].iov_len = write_message(
            a, &a.table[number], &lane.places[next_place(lane, i)], d.slots + i * d.slot_bytes)
    now = monotonic_ns()
    sent = sendmmsg(lane.fd, d.headers_out, n, MSG_DONTWAIT)
    if sent <= 0:
        if errno != EAGAIN and errno != EINTR:
            a.counts.errors += 1
        return 0
    for i in range(<uint32_t>sent):
        query_bytes += d.iovecs_out[i].iov_len
    a.counts.query_bytes += query_bytes
    under_way_now(a, lane, sent, now)
    return sent
