"""The clock that all threads and processes share, and that nobody sets."""

from libc.stdint cimport uint64_t

cdef extern from "time.h" nogil:
    struct timespec:
        long tv_sec
        long tv_nsec
    int clock_gettime(int clock, timespec* at)
    enum:
        CLOCK_MONOTONIC

cdef inline uint64_t monotonic_ns() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return <uint64_t>now.tv_sec * 1000000000 + now.tv_nsec

# A time that does not come: of work that goes on until it is done.
cdef inline uint64_t never() noexcept nogil:
    return 0xFFFFFFFFFFFFFFFFu

# The time so many nanoseconds from now.
cdef inline uint64_t in_ns(uint64_t ns) noexcept nogil:
    cdef uint64_t now = monotonic_ns()
    return now + ns if ns < never() - now else never()
