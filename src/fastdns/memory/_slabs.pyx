"""Blocks of bounded memory: see _slabs.pxd."""

from libc.stdlib cimport calloc, free
from libc.string cimport memset

from fastdns.memory._mapping cimport map_private, unmap


cdef bint open_slabs(Slabs* s, uint64_t size) noexcept nogil:
    s.count = size // SLAB_BYTES
    s.empty = s.count
    s.first_empty = NO_SLAB
    memset(s.with_room, 0xFF, sizeof(s.with_room))
    s.slabs = <Slab*>calloc(s.count, sizeof(Slab))
    s.area = <uint8_t*>map_private(<uint64_t>s.count * SLAB_BYTES)
    return s.slabs != NULL and s.area != NULL


cdef void close_slabs(Slabs* s) noexcept nogil:
    free(s.slabs)
    unmap(s.area, <uint64_t>s.count * SLAB_BYTES)
    s.slabs = NULL
    s.area = NULL


cdef void unlink_slab(Slabs* s, uint32_t index) noexcept nogil:
    """Take a slab out of the list of those of its class that have room."""
    cdef Slab* slab = &s.slabs[index]
    if slab.previous == NO_SLAB:
        s.with_room[slab.size_class] = slab.next
    else:
        s.slabs[slab.previous].next = slab.next
    if slab.next != NO_SLAB:
        s.slabs[slab.next].previous = slab.previous


cdef void link_slab(Slabs* s, uint32_t index) noexcept nogil:
    cdef Slab* slab = &s.slabs[index]
    slab.previous = NO_SLAB
    slab.next = s.with_room[slab.size_class]
    if slab.next != NO_SLAB:
        s.slabs[slab.next].previous = index
    s.with_room[slab.size_class] = index


cdef uint32_t take_slab(Slabs* s, uint8_t size_class) noexcept nogil:
    """An empty slab, for blocks of this class from now on; NO_SLAB where all are in use."""
    cdef uint32_t index = s.first_empty
    cdef Slab* slab
    if index != NO_SLAB:
        s.first_empty = s.slabs[index].next
    elif s.begun < s.count:
        index = s.begun
        s.begun += 1
    else:
        return NO_SLAB
    s.empty -= 1
    slab = &s.slabs[index]
    slab.first_free = NULL
    slab.fresh = 0
    slab.used = 0
    slab.size_class = size_class
    link_slab(s, index)
    return index


cdef uint8_t* take_block(Slabs* s, uint32_t size) noexcept nogil:
    cdef uint8_t size_class = class_of(size)
    cdef uint32_t index
    cdef Slab* slab
    cdef uint8_t* at
    if size_class == BLOCK_CLASSES:
        return NULL
    index = s.with_room[size_class]
    if index == NO_SLAB:
        index = take_slab(s, size_class)
    if index == NO_SLAB:
        return NULL
    slab = &s.slabs[index]
    if slab.first_free != NULL:
        at = <uint8_t*>slab.first_free
        slab.first_free = (<void**>at)[0]
    else:
        at = s.area + <uint64_t>index * SLAB_BYTES + slab.fresh
        slab.fresh += block_bytes(size_class)
    slab.used += 1
    if slab.used == SLAB_BYTES // block_bytes(size_class):
        unlink_slab(s, index)
    return at


cdef void give_block(Slabs* s, void* block) noexcept nogil:
    cdef uint32_t index = (<uint8_t*>block - s.area) // SLAB_BYTES
    cdef Slab* slab = &s.slabs[index]
    if slab.used == SLAB_BYTES // block_bytes(slab.size_class):
        link_slab(s, index)
    (<void**>block)[0] = slab.first_free
    slab.first_free = block
    slab.used -= 1
    if slab.used == 0:
        s.empty += 1
        unlink_slab(s, index)
        slab.next = s.first_empty
        s.first_empty = index
