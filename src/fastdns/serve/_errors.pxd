"""Why a reply is an error, and what the errors plugin logs of it: a ring from a serving thread to the one that
writes.
"""

from libc.stdint cimport uint8_t, uint16_t, uint64_t
from fastdns.metrics._stats cimport ThreadCounters
from fastdns._wire cimport Query

cdef enum:
    ERROR_EVENTS = 128          # power of two

# Texts in _errors.pyx.
cdef enum ErrorReason:
    NO_ERROR = 0
    ERROR_NO_NEXT_PLUGIN = 1
    ERROR_NO_HEALTHY = 2        # forward: no upstream may be asked
    ERROR_TIMEOUT = 3           # forward: no upstream has answered in time
    ERROR_REFUSED = 4           # forward: connection refused
    ERROR_MALFORMED = 5         # forward: what came back is no DNS message
    ERROR_MAX_CONCURRENT = 6    # forward: max_concurrent
    ERROR_IN_FLIGHT = 7         # the table of questions in flight is full
    ERROR_STREAM = 8            # forward: TCP, TLS or HTTPS have failed
    ERROR_REPLAYS = 9           # an answer kept changing while it was put together
    ERROR_SEND = 10             # forward: the datagram could not be sent
    ERROR_CLIENT_SHARE = 11     # little room is left in that table, and this client has much of it
    ERROR_TOO_LONG = 12         # a query that is not forwarded for its length
    # These are of queries that no chain sees.
    ERROR_NO_ZONE = 13
    ERROR_EDNS_VERSION = 14

cdef struct ErrorEvent:
    uint16_t rcode
    uint16_t qtype
    uint16_t name_len
    uint16_t block              # number of the server block whose chain it was
    uint16_t upstream           # slot of the one that failed last
    uint8_t reason
    uint8_t name[256]           # lowercased wire form

# One producer, one consumer; what finds it full is counted.
cdef struct ErrorRing:
    uint64_t head               # next to write
    uint64_t tail               # next to read
    ErrorEvent events[ERROR_EVENTS]

# Hand an event to the thread that logs. Never waits. ring NULL: nobody reads.
cdef void put_error(ErrorRing* ring, ThreadCounters* counters, const Query* q, uint16_t rcode, uint8_t reason,
                    uint16_t upstream, uint16_t block) noexcept nogil

# What is in the ring, and empty it: see Worker.take_errors.
cdef list take_events(ErrorRing* ring)
