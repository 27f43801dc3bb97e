"""The table of outstanding queries: places, found by question; and their attempts, found by socket and ID.

A place is named by its number. ``generation`` tells an outstanding query from a later one in the same place.
"""

from libc.stdint cimport uint16_t, uint32_t, uint64_t
from fastdns.plugins.forward.engine._sockets cimport SOCKETS
from fastdns.plugins.forward.engine._state cimport FREE, MAX_ATTEMPTS, Attempt, Engine, Outstanding, Waiter

# A place for a new outstanding query; NONE where all are taken.
cdef uint32_t take_place(Engine* e) noexcept nogil
# Give back a place that detach has taken out of the tables, with its blocks and its claim.
cdef void give_place(Engine* e, uint32_t place) noexcept nogil
# Take an outstanding query out of every table; its memory stays.
cdef void detach(Engine* e, uint32_t place) noexcept nogil

cdef void put_by_question(Engine* e, uint32_t place, uint64_t hashed) noexcept nogil
# Of the outstanding queries with this hash the nth; there are more than n.
cdef uint32_t nth_alike(Engine* e, uint64_t hashed, uint32_t n) noexcept nogil

# Wake the outstanding query when the first thing that time may do to it is due.
cdef void schedule(Engine* e, uint32_t place) noexcept nogil
cdef void note_stale(Outstanding* o, const Waiter* w) noexcept nogil

# Follow no more, or let other threads ask.
cdef void end_claim(Engine* e, Outstanding* o) noexcept nogil

# An attempt over UDP is out on its socket, with its ID.
cdef void link_attempt(Engine* e, uint32_t place, uint32_t which) noexcept nogil
# Nothing that comes for the attempt counts any more.
cdef void end_attempt(Engine* e, uint32_t place, uint32_t which) noexcept nogil
# place * MAX_ATTEMPTS + attempt of what is out on a socket with an ID, or NONE.
cdef uint32_t find_attempt(Engine* e, uint32_t upstream, uint32_t which, uint16_t wire_id) noexcept nogil

cdef inline bint anything_out(const Outstanding* o) noexcept nogil:
    cdef uint32_t i
    for i in range(MAX_ATTEMPTS):
        if o.attempts[i].state != FREE:
            return True
    return False

# Whether there is no room for another attempt.
cdef inline bint all_out(const Outstanding* o) noexcept nogil:
    cdef uint32_t i
    for i in range(MAX_ATTEMPTS):
        if o.attempts[i].state == FREE:
            return False
    return True
