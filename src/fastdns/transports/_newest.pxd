"""A stack of datagrams between a UDP socket and its thread: under overload the newest are answered first.

The kernel's queue is first in, first out: what has waited for the longest is answered, and what comes is lost. A
socket with a Newest is read until it is empty, or READ_MOST datagrams were read. The newest NEWEST_DEPTH are kept;
an older one is dropped for each that comes beyond. Then some are answered, the newest first, before the socket is
read again: reading costs a part of what answering does, so most of the thread's time stays for answers.

The datagrams stand in a ring, in the order in which they came. Behind those that are kept there is always room for
one batch.
"""

from libc.stdint cimport uint8_t, uint32_t
from fastdns.memory._syscalls cimport mmsghdr

cdef enum:
    NEWEST_DEPTH = 1024             # CoreDNS's: a burst, not a queue
    READ_AT_ONCE = 64
    READ_MOST = 1024                # before some are answered
    RING_SLOTS = NEWEST_DEPTH + READ_AT_ONCE
    QUERY_BYTES = 4096              # of each slot, for the message
    ADDRESS_BYTES = 32
    CONTROL_BYTES = 64

cdef struct Newest:
    uint8_t* memory                 # of all slots
    mmsghdr* headers                # of each slot; msg_iov leads to its message
    uint32_t first                  # the oldest one
    uint32_t count

# False where there is no memory.
cdef bint open_newest(Newest* n) noexcept nogil
cdef void close_newest(Newest* n) noexcept nogil

# Read what a socket has. controls: with the address that each came to. Returns how many older ones were dropped.
cdef uint32_t read_newest(Newest* n, int fd, bint controls) noexcept nogil

# Take the newest one off the stack; it is there until the next read_newest. There must be one.
cdef inline mmsghdr* take_newest(Newest* n) noexcept nogil:
    n.count -= 1
    return &n.headers[(n.first + n.count) % RING_SLOTS]
