"""What one serving thread of a worker has of all taps: the rings of its destinations, and the time of day."""

from libc.stdint cimport uint32_t, uint64_t
from fastdns.plugins.dnstap._ring cimport Ring

cdef struct Thread:
    uint32_t count
    Ring** rings                # by the number of the destination
    # Of now less what CLOCK_MONOTONIC says, and until when that is believed: a clock may be set.
    uint64_t since_1970_ns
    uint64_t believed_until_ns

# A moment of CLOCK_MONOTONIC that has just been, in nanoseconds since 1970.
cdef uint64_t time_of_day(Thread* thread, uint64_t at_ns) noexcept nogil


cdef class ThreadTaps:
    cdef Thread thread
    cdef list rings
    cdef list workers
