"""What acl counts: for all processes, and for the life of the server.

A place is a row of counters, one for each action; the supervisor knows whose it is. Threads count in one of several
stripes, so that they do not wait for each other's cache lines.
"""

from libc.stdint cimport uint32_t, uint64_t
from fastdns.memory._atomics cimport fetch_add

cdef enum:
    MAX_PLACES = 4096
    STRIPES = 16                # a power of two
    STRIPE_BITS = 4

cdef enum:
    ALLOWED = 0
    BLOCKED = 1
    FILTERED = 2
    DROPPED_SILENTLY = 3
    COUNTED = 4

# thread: something that each thread has at another address.
cdef inline void count(uint64_t* table, const void* thread, uint32_t place, uint32_t what) noexcept nogil:
    cdef uint64_t stripe = <uint64_t><size_t>thread * <uint64_t>0x9E3779B97F4A7C15 >> (64 - STRIPE_BITS)
    fetch_add(&table[(stripe * MAX_PLACES + place) * COUNTED + what], 1)


cdef class Counters:
    cdef uint64_t* table
