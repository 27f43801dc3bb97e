"""The rings between a serving thread and the event-loop thread, for queries over TCP, TLS and HTTPS.

The engine puts what is to be asked into one ring, with a ticket in front of the message. The event-loop thread puts
the reply into the other ring, with the same ticket. Each side wakes the other one by an eventfd, once for many.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from fastdns.memory._duplex cimport Duplex

cdef enum Failing:
    REPLIED = 0
    FAILED = 1                      # the upstream gave no reply
    HAD_NO_ROOM = 2                 # it was not asked: this process had no place or no descriptor for it

cdef struct StreamTicket:
    uint32_t outstanding
    uint32_t generation
    uint16_t attempt
    uint16_t upstream
    uint16_t id                     # of the message and the attempt: its place may have another attempt since
    uint16_t failed                 # on the way back: Failing
    uint64_t timeout_ns

# False where the ring is full. The message's ID is the ticket's.
cdef bint put_request(Duplex* rings, const StreamTicket* ticket, const uint8_t* query, uint32_t size) noexcept nogil
# The oldest answer, or NULL; end_answer gives it up. The message has size bytes.
cdef uint8_t* next_answer(Duplex* rings, StreamTicket* ticket, uint32_t* size) noexcept nogil
cdef void end_answer(Duplex* rings, uint32_t size) noexcept nogil


cdef class StreamRings:
    cdef Duplex rings
