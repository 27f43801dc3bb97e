"""Why a reply is an error: what the errors plugin logs of it, by a ring from a serving thread to the one that
writes, and the extended DNS error that the client gets.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from fastdns.metrics._stats cimport ThreadCounters
from fastdns._wire cimport Query, Reply

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

# Codes of extended DNS errors that no reason has (RFC 8914 section 4).
cdef enum ExtendedError:
    STALE_ANSWER = 3
    CACHED_ERROR = 13
    NOT_READY = 14
    PROHIBITED = 18
    STALE_NXDOMAIN = 19

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

# Say the extended error of a reason to a client with EDNS, if it has one and the reply has none yet.
cdef void explain(Reply* r, uint32_t reason) noexcept nogil

# The bytes of the option that explain adds.
cdef uint32_t explanation_bytes(uint32_t reason) noexcept nogil

# Say an extended error to a client with EDNS, in place of another.
cdef void add_extended_error(Reply* r, uint16_t code) noexcept nogil
