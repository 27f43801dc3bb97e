"""Exchanges: what steps ask other servers, and what these reply, for plugins that look on.

A plugin that wants to see the exchanges of a block has a NativeObserver (``observer`` of its Plugin). A plugin that
asks other servers finds all observers of a block by observers_of of plugins/observers.py while its steps are built,
and calls tell_observers once for each message that it has sent, and once for each reply that it takes for one.
Equal questions of several clients may be one exchange, so it belongs to no query.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from fastdns.serve._values cimport BlockValue, Value

cdef struct Exchange:
    const uint8_t* msg          # the question as it was sent, or the reply as it came
    uint32_t msg_len
    const uint8_t* id           # 2 bytes in place of the message's first; NULL: these are right
    bint is_reply
    uint8_t transport           # OVER_UDP, …: see _context.pxd
    uint64_t sent_ns            # CLOCK_MONOTONIC
    uint64_t received_ns        # of a reply
    const uint8_t* server       # struct sockaddr
    const uint8_t* local        # struct sockaddr; NULL: it is not known
    const Value* named          # the value of the block that names the server; NULL: there is none

# It has no GIL, and neither waits nor allocates. slots: what plugins have for this thread, see _slots.pxd.
ctypedef void (*observe_fn)(const Exchange* exchange, void** slots, const void* conf) noexcept nogil

cdef struct Observer:
    observe_fn observe
    const void* conf

# Those of one block.
cdef struct Observers:
    uint32_t count
    Observer* all
    const Value* named          # for the exchanges

cdef inline void tell_observers(const Observers* observers, const Exchange* exchange, void** slots) noexcept nogil:
    cdef uint32_t i
    for i in range(observers.count):
        observers.all[i].observe(exchange, slots, observers.all[i].conf)


cdef class NativeObserver:
    """A plugin's observer of one block: a subclass sets observe and conf, and keeps what conf points to."""
    cdef Observer observer


cdef class BlockObservers:
    """All observers of one block."""
    cdef Observers observers
    cdef list keep
    cdef BlockValue named
