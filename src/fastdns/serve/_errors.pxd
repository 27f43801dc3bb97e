"""Why a reply is an error, and what the errors plugin logs of it: a ring from a serving thread to the one that
writes.
"""

from libc.stdint cimport uint8_t, uint16_t, uint64_t
from fastdns.metrics._stats cimport ThreadCounters
from fastdns._wire cimport Query

cdef enum:
    ERROR_EVENTS = 128          # power of two

cdef struct ErrorEvent:
    uint16_t rcode
    uint16_t qtype
    uint16_t name_len
    uint16_t block              # number of the server block whose chain it was
    uint16_t upstream           # slot of the one that failed last
    uint16_t reason             # see metrics/reasons.py
    uint8_t name[256]           # lowercased wire form

# One producer, one consumer; what finds it full is counted.
cdef struct ErrorRing:
    uint64_t head               # next to write
    uint64_t tail               # next to read
    ErrorEvent events[ERROR_EVENTS]

# Hand an event to the thread that logs. Never waits. ring NULL: nobody reads.
cdef void put_error(ErrorRing* ring, ThreadCounters* counters, const Query* q, uint16_t rcode, uint16_t reason,
                    uint16_t upstream, uint16_t block) noexcept nogil

# What is in the ring, and empty it: see Worker.take_errors.
cdef list take_events(ErrorRing* ring)
