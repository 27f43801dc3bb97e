"""Records of bytes from one thread to one other, without locks.

One thread writes, one reads. A record is its size (8 bytes), then as many bytes, padded to a multiple of 8. It does
not straddle the end of the ring: a size of 0 says that the next record is at the beginning.

    writer    at = ring_room(ring, size, &end); fill at; publish_u64(&ring.head, end)
    reader    at = ring_next(ring, &size); use at; ring_done(ring, size)
"""

from libc.stdint cimport uint8_t, uint64_t
from fastdns.memory._atomics cimport load, publish_u64

cdef enum:
    RING_BYTES = 262144             # four of the longest DNS messages

# Zeroed memory is an empty ring. Head and tail are in lines of their own: each is written by one thread.
cdef struct ByteRing:
    uint64_t head                   # the writer's
    uint64_t pad0[7]
    uint64_t tail                   # the reader's
    uint64_t pad1[7]
    uint8_t data[RING_BYTES]

# Where a record of size bytes goes, or NULL where the ring is full. end is the head that publishes it.
cdef inline uint8_t* ring_room(ByteRing* ring, uint64_t size, uint64_t* end) noexcept nogil:
    cdef uint64_t head = ring.head
    cdef uint64_t need = (size + 15) & ~<uint64_t>7
    cdef uint64_t at = head & (RING_BYTES - 1)
    cdef uint64_t skipped = 0
    if at + need > RING_BYTES:
        skipped = RING_BYTES - at
    if need + skipped > RING_BYTES - (head - load(&ring.tail)):
        return NULL
    if skipped:
        (<uint64_t*>(ring.data + at))[0] = 0
        at = 0
    (<uint64_t*>(ring.data + at))[0] = size
    end[0] = head + skipped + need
    return ring.data + at + 8

# The oldest record and its size, or NULL.
cdef inline uint8_t* ring_next(ByteRing* ring, uint64_t* size) noexcept nogil:
    cdef uint64_t at
    while ring.tail != load(&ring.head):
        at = ring.tail & (RING_BYTES - 1)
        size[0] = (<uint64_t*>(ring.data + at))[0]
        if size[0]:
            return ring.data + at + 8
        publish_u64(&ring.tail, ring.tail + RING_BYTES - at)
    return NULL

# Give up the record that ring_next has returned; its room is the writer's again.
cdef inline void ring_done(ByteRing* ring, uint64_t size) noexcept nogil:
    publish_u64(&ring.tail, ring.tail + ((size + 15) & ~<uint64_t>7))
