"""What queries wait for that a step in Python works on: one service for each serving thread.

Each waiting query has a place, with its message in a block of bounded memory. Its request goes to the event-loop
thread over a ring. What the coroutine says comes back over another ring, with the place and its generation: what is
said of a place that has been given up meanwhile is not looked at. A timer ends the wait at the step's timeout,
whatever Python does.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from fastdns.memory._duplex cimport Duplex
from fastdns.memory._slabs cimport Slabs
from fastdns.memory._wheel cimport Timer, Wheel
from fastdns.metrics._stats cimport MAX_ZONE_BANKS, ThreadCounters, ZoneBank
from fastdns.serve._shares cimport ClientShares, ClientSlots
from fastdns.serve._suspend cimport NativeService, Service, Suspended, resume_fn
from fastdns.serve.python._step cimport Handing

cdef enum:
    MAX_PLACES = 1 << 20
    PLACE_BYTES = 1024              # of memory for messages, for each place
    SPARE_BYTES = 1 << 20           # beside these
    RESUMED_AT_ONCE = 256           # queries, before the thread's sockets have their turn
    NO_PLACE = 0xFFFFFFFF

# One query that waits.
cdef struct Place:
    uint32_t generation             # what is said of an earlier query in this place does not match
    uint32_t next_free
    Timer timer
    const Handing* step             # NULL: the place is free
    Suspended* query                # a block
    ClientSlots client
    uint32_t units                  # that the client holds
    uint64_t since_ns
    uint64_t deadline_ns

# A request on its way to the event-loop thread. The message of the question follows, and then each value of a
# plugin that the step reads, behind its length in two bytes; then what the step's native half hands along.
cdef struct Request:
    uint32_t place
    uint32_t generation
    uint64_t deadline_ns
    uint64_t server                 # const Server*
    uint64_t chain                  # const Chain*: where ``next`` goes on
    uint32_t chain_step
    uint32_t step                   # Handing.number
    uint32_t zone_slot
    uint16_t client_port
    uint16_t name_len
    uint16_t opt_at
    uint16_t opt_len
    uint16_t message_len
    uint32_t handed_len
    uint8_t client_len
    uint8_t transport
    uint8_t depth                   # questions that it is inside of
    uint8_t local_len               # of the server's address
    uint8_t client[16]
    uint8_t local[16]

# What the coroutine has said, on its way back. A message may follow.
cdef struct Said:
    uint32_t place
    uint32_t generation
    uint8_t result                  # a Result

cdef struct Waiting:
    Service service
    Duplex rings
    Slabs memory
    Place* places
    uint32_t room                   # places
    uint32_t used                   # places ever used
    uint32_t free                   # list through next_free of those that were given back
    uint32_t resumed                # since the thread's sockets have had their turn
    bint closed                     # nobody is suspended any more
    ClientShares shares
    Wheel wheel
    ThreadCounters* counters
    ZoneBank** banks
    resume_fn resume
    void* owner


cdef class PythonService(NativeService):
    cdef Waiting waiting
    cdef ZoneBank* banks[MAX_ZONE_BANKS]
    cdef readonly object stats
    # Listeners by the address of their Server.
    cdef dict listeners
