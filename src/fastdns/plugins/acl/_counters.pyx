"""Counters in shared memory: see _counters.pxd."""

from fastdns.memory._atomics cimport load_relaxed
from fastdns.memory._mapping cimport map_shared, unmap

cdef enum:
    TABLE_BYTES = STRIPES * MAX_PLACES * COUNTED * 8

PLACES = MAX_PLACES


cdef class Counters:
    """The supervisor makes it before it forks. Memory is taken where something is counted."""

    def __cinit__(self):
        self.table = <uint64_t*>map_shared(TABLE_BYTES)
        if self.table == NULL:
            raise OSError("no memory for the counters of acl")

    def __dealloc__(self):
        unmap(self.table, TABLE_BYTES)

    def at(self, uint32_t place):
        """What was counted at a place: allowed, blocked, filtered, dropped."""
        cdef uint64_t sums[COUNTED]
        cdef uint32_t i, stripe
        if place >= MAX_PLACES:
            raise IndexError(f"place {place}: there are {MAX_PLACES}")
        for i in range(COUNTED):
            sums[i] = 0
            for stripe in range(STRIPES):
                sums[i] += load_relaxed(&self.table[(<uint64_t>stripe * MAX_PLACES + place) * COUNTED + i])
        return sums[0], sums[1], sums[2], sums[3]
