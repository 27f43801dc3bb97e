"""Messages on their way from one serving thread to the supervisor: whole frames, as they go to collectors.

A ring in memory that the supervisor shares with its workers: one writer, one reader, no lock. A frame is its length
(4 bytes, the highest first, as Frame Streams has it) and as many bytes. Frames are in one piece: where one does not
fit before the end, a length of 0 says that the next one is at the beginning, or there is no room for a length.
What finds the ring full is dropped and counted. A writer that dies in the midst of a frame leaves nothing of it:
its successor goes on behind the last whole one.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef enum:
    LENGTH_BYTES = 4
    MIN_RING_BYTES = 262144         # room for the longest message more than once
    MAX_FRAME_BYTES = 131072        # as long as it says, any message fits into any ring

# Zeroed memory but for the capacity is an empty ring that nobody wants.
cdef struct Ring:
    uint64_t capacity               # a power of two
    uint64_t pad0[7]
    # The writer's.
    uint64_t head                   # bytes ever written, what was left out at the end included
    uint64_t next_head              # head once the reserved frame is whole
    uint64_t dropped                # frames
    uint64_t pad1[5]
    # The reader's.
    uint64_t tail                   # bytes ever read
    uint64_t wanted                 # 0: nobody takes what would be written
    uint64_t pad2[6]

# Room for a frame of size bytes behind its length, which is set; NULL: it is dropped, and counted.
cdef uint8_t* reserve(Ring* ring, uint32_t size) noexcept nogil
# The reserved frame is whole.
cdef void commit(Ring* ring) noexcept nogil


cdef class TapRing:
    cdef Ring* ring
