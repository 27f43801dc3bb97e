"""Sends queries from UDP sockets and takes their answers, in batches."""

from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from fastdns.bench._asking cimport Asking, match_answer, prepare, under_way_now
from fastdns.bench._lanes cimport Lane, next_place
from fastdns.bench._questions cimport Question
from fastdns.bench._sockets cimport (
    BATCH, MSG_DONTWAIT, MSG_TRUNC, iovec, mmsghdr, monotonic_ns, recvmmsg, sendmmsg,
)

cdef enum:
    SLOT_BYTES = 512            # for a query; longer ones are sent in two pieces
    ROOM = 4096                 # for a datagram; a longer one is matched and counted, but not compared


cdef int make_datagrams(Datagrams* d) noexcept nogil:
    """Room for a batch each way. Returns -1 where there is no memory; free_datagrams frees what there is."""
    cdef int k
    d.room = <uint8_t*>calloc(BATCH, ROOM)
    d.slots = <uint8_t*>calloc(BATCH, SLOT_BYTES)
    d.headers_in = <mmsghdr*>calloc(BATCH, sizeof(mmsghdr))
    d.headers_out = <mmsghdr*>calloc(BATCH, sizeof(mmsghdr))
    d.iovecs_in = <iovec*>calloc(BATCH, sizeof(iovec))
    d.iovecs_out = <iovec*>calloc(2 * BATCH, sizeof(iovec))
    if not (d.room and d.slots and d.headers_in and d.headers_out and d.iovecs_in and d.iovecs_out):
        return -1
    for k in range(BATCH):
        d.iovecs_in[k].iov_base = d.room + k * ROOM
        d.iovecs_in[k].iov_len = ROOM
        d.headers_in[k].msg_hdr.msg_iov = &d.iovecs_in[k]
        d.headers_in[k].msg_hdr.msg_iovlen = 1
        d.headers_out[k].msg_hdr.msg_iov = &d.iovecs_out[2 * k]
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
    cdef const Question* question
    cdef uint8_t* slot
    cdef uint8_t* id_
    for i in range(n):
        number = prepare(a, lane, i)
        question = &a.table[number]
        id_ = lane.places[next_place(lane, i)].id
        if question.size <= SLOT_BYTES:
            # The kernel takes one piece faster than two; the copy costs less than that.
            slot = d.slots + i * SLOT_BYTES
            memcpy(slot, question.message, question.size)
            slot[0] = id_[0]
            slot[1] = id_[1]
            d.iovecs_out[2 * i].iov_base = slot
            d.iovecs_out[2 * i].iov_len = question.size
            d.headers_out[i].msg_hdr.msg_iovlen = 1
        else:
            d.iovecs_out[2 * i].iov_base = id_
            d.iovecs_out[2 * i].iov_len = 2
            d.iovecs_out[2 * i + 1].iov_base = <void*>(question.message + 2)
            d.iovecs_out[2 * i + 1].iov_len = question.size - 2
            d.headers_out[i].msg_hdr.msg_iovlen = 2
    now = monotonic_ns()
    sent = sendmmsg(lane.fd, d.headers_out, n, MSG_DONTWAIT)
    if sent <= 0:
        if errno != EAGAIN and errno != EINTR:
            a.counts.errors += 1
        return 0
    for i in range(<uint32_t>sent):
        query_bytes += d.iovecs_out[2 * i].iov_len
        if d.headers_out[i].msg_hdr.msg_iovlen == 2:
            query_bytes += d.iovecs_out[2 * i + 1].iov_len
    a.counts.query_bytes += query_bytes
    under_way_now(a, lane, sent, now)
    return sent
