"""Blocks of 64 to 4096 bytes out of one area of bounded size.

The area is cut into slabs of 64 KiB. A slab is cut into blocks of one size class (powers of two) while any of them
is in use; then any class may have it. So no class keeps memory from the others for longer than its blocks are used.
One thread uses a Slabs; nothing is locked.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef enum:
    BLOCK_CLASSES = 7
    UNIT_BYTES = 64                 # a block of the smallest class
    MAX_BLOCK_BYTES = 4096          # of the largest one
    SLAB_BYTES = 65536
    SLAB_UNITS = SLAB_BYTES // UNIT_BYTES
    NO_SLAB = 0xFFFFFFFF

cdef struct Slab:
    void* first_free                # list of the blocks that were given back
    uint32_t fresh                  # bytes in front of those blocks that were never used
    uint32_t used                   # blocks
    uint32_t next                   # among the slabs of its class that have room, or among the empty ones
    uint32_t previous
    uint8_t size_class

cdef struct Slabs:
    uint8_t* area
    Slab* slabs
    uint32_t count
    uint32_t begun                  # slabs that were ever used
    uint32_t empty                  # slabs without a block in use
    uint32_t first_empty            # list through next of those that were used before
    uint32_t with_room[BLOCK_CLASSES]

# False where there is no memory; close_slabs is right in any case. s is zeroed.
cdef bint open_slabs(Slabs* s, uint64_t size) noexcept nogil
cdef void close_slabs(Slabs* s) noexcept nogil

# size bytes, or NULL: none is left, or no class has blocks of that size.
cdef uint8_t* take_block(Slabs* s, uint32_t size) noexcept nogil
cdef void give_block(Slabs* s, void* block) noexcept nogil

cdef inline uint32_t block_bytes(uint8_t size_class) noexcept nogil:
    return <uint32_t>UNIT_BYTES << size_class

# The class of the smallest blocks that hold size bytes; BLOCK_CLASSES where none does.
cdef inline uint8_t class_of(uint32_t size) noexcept nogil:
    cdef uint8_t size_class = 0
    while size_class < BLOCK_CLASSES and block_bytes(size_class) < size:
        size_class += 1
    return size_class

# What a block of size bytes takes, in units of UNIT_BYTES.
cdef inline uint32_t block_units(uint32_t size) noexcept nogil:
    return <uint32_t>1 << class_of(size)
