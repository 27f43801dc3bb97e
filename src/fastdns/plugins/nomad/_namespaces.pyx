"""Namespaces by number: see _namespaces.pxd."""

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcmp, memcpy

from fastdns.memory._atomics cimport compare_and_swap, load, publish_u64
from fastdns.memory._mapping cimport map_shared, unmap


cdef uint32_t number_of(Namespace* table, const uint8_t* label, bint claims) noexcept nogil:
    cdef uint32_t i
    cdef Namespace* one
    for i in range(COUNTED):
        one = &table[i]
        if load(&one.state) == FREE:
            if not claims:
                return 0
            if compare_and_swap(&one.state, FREE, TAKEN):
                memcpy(one.label, label, label[0] + 1)
                publish_u64(&one.state, KNOWN)
                return i + 1
        # Another thread may be writing it: for that moment it is another namespace.
        if load(&one.state) == KNOWN and memcmp(one.label, label, label[0] + 1) == 0:
            return i + 1
    return 0


cdef class Namespaces:
    """The namespaces that queries are counted for."""

    def __cinit__(self):
        self.table = <Namespace*>map_shared(COUNTED * sizeof(Namespace))
        if self.table == NULL:
            raise OSError("no memory for the table of namespaces")

    def __dealloc__(self):
        unmap(self.table, COUNTED * sizeof(Namespace))

    def names(self):
        """By number, from 0, which is all others, with an empty name."""
        cdef uint32_t i
        found = [""]
        for i in range(COUNTED):
            if load(&self.table[i].state) == KNOWN:
                found.append(self.table[i].label[1:1 + self.table[i].label[0]].decode("latin-1"))
            else:
                found.append(None)
        return found
