"""A stack of datagrams: see _newest.pxd."""

from libc.stdint cimport uint64_t

from fastdns.memory._mapping cimport map_private, unmap
from fastdns.memory._syscalls cimport MSG_DONTWAIT, iovec, recvmmsg

cdef struct Slot:
    iovec part
    uint8_t address[ADDRESS_BYTES]
    uint8_t control[CONTROL_BYTES]


cdef inline uint64_t ring_bytes() noexcept nogil:
    return <uint64_t>RING_SLOTS * (QUERY_BYTES + sizeof(mmsghdr) + sizeof(Slot))


cdef bint open_newest(Newest* n) noexcept nogil:
    # Pages are taken as they are used: one that is never overloaded takes few.
    n.memory = <uint8_t*>map_private(ring_bytes())
    n.headers = <mmsghdr*>(n.memory + <uint64_t>RING_SLOTS * QUERY_BYTES)
    n.first = 0
    n.count = 0
    return n.memory != NULL


cdef void close_newest(Newest* n) noexcept nogil:
    unmap(n.memory, ring_bytes())
    n.memory = NULL


cdef inline void make_ready(Newest* n, uint32_t slot, bint controls) noexcept nogil:
    cdef Slot* s = &(<Slot*>(n.headers + RING_SLOTS))[slot]
    cdef mmsghdr* header = &n.headers[slot]
    s.part.iov_base = n.memory + <uint64_t>slot * QUERY_BYTES
    s.part.iov_len = QUERY_BYTES
    header.msg_hdr.msg_name = s.address
    header.msg_hdr.msg_namelen = ADDRESS_BYTES
    header.msg_hdr.msg_iov = &s.part
    header.msg_hdr.msg_iovlen = 1
    header.msg_hdr.msg_control = s.control if controls else NULL
    header.msg_hdr.msg_controllen = CONTROL_BYTES if controls else 0


cdef uint32_t read_newest(Newest* n, int fd, bint controls) noexcept nogil:
    cdef uint32_t dropped = 0
    cdef uint32_t left = READ_MOST
    cdef uint32_t at, most, i
    cdef int count
    if n.count == 0:
        n.first = 0
    while left:
        at = (n.first + n.count) % RING_SLOTS
        # As many as stand in a row.
        most = READ_AT_ONCE if at + READ_AT_ONCE <= RING_SLOTS else RING_SLOTS - at
        if most > left:
            most = left
        for i in range(most):
            make_ready(n, at + i, controls)
        count = recvmmsg(fd, &n.headers[at], most, MSG_DONTWAIT, NULL)
        if count <= 0:
            break
        n.count += count
        left -= count
        if n.count > NEWEST_DEPTH:
            dropped += n.count - NEWEST_DEPTH
            n.first = (n.first + n.count - NEWEST_DEPTH) % RING_SLOTS
            n.count = NEWEST_DEPTH
        if <uint32_t>count < most:
            break
    return dropped
