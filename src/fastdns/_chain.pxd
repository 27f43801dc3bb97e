"""From bytes to bytes: accept, the server block by longest zone, its chain of steps, write. Sans-IO.

A step's ``before`` runs in plugin order until one does not return NEXT; then the ``after`` of the steps before
that one run in reverse. Steps see the same Context on every transport.
"""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from fastdns._stats cimport ThreadCounters
from fastdns._store cimport StoreHeader
from fastdns._wire cimport Query, Reply

cdef enum Outcome:
    ANSWERED = 0        # the reply is complete
    DROPPED = 1         # silence
    NEXT = 2            # the next step's turn
    PENDING = 3         # a native upstream will answer
    PYTHON = 4          # for the slow thread

cdef enum:
    OVER_UDP = 0
    OVER_TCP = 1
    MAX_STEPS = 48
    MAX_LOOKUP_DEPTH = 8
    NO_SLOT = 0xFFFFFFFF
    ERROR_EVENTS = 128          # power of two

# Why a reply is an error, for the errors plugin; texts in _chain.pyx.
cdef enum ErrorReason:
    NO_ERROR = 0
    ERROR_NO_NEXT_PLUGIN = 1

# What the errors plugin logs, on its way from a serving thread to the one that writes.
cdef struct ErrorEvent:
    uint16_t rcode
    uint16_t qtype
    uint16_t name_len
    uint16_t block              # number of the server block whose chain it was
    uint8_t reason
    uint8_t name[256]           # lowercased wire form

# One producer, one consumer; what finds it full is counted.
cdef struct ErrorRing:
    uint64_t head               # next to write
    uint64_t tail               # next to read
    ErrorEvent events[ERROR_EVENTS]

cdef struct Context:
    Query* q
    Reply* reply
    const Server* server
    StoreHeader* store
    ThreadCounters* counters
    uint64_t random             # xorshift state, never 0
    uint64_t received_ns        # CLOCK_MONOTONIC
    const uint8_t* client       # 4 or 16 address bytes
    uint16_t client_len
    uint16_t client_port
    uint8_t transport
    uint8_t depth               # of lookups that a step started
    uint8_t error
    bint written                # a plugin made the reply; else it is bare
    ErrorRing* errors           # NULL: nobody reads
    uint32_t zone_slot          # counters of the (server, zone) that answers

ctypedef Outcome (*before_fn)(Context* ctx, const void* conf) noexcept nogil
ctypedef void (*after_fn)(Context* ctx, const void* conf) noexcept nogil

cdef struct Step:
    before_fn before            # NULL: goes on
    after_fn after              # NULL: nothing to do
    const void* conf

cdef struct Chain:
    uint32_t count
    Step steps[MAX_STEPS]

cdef struct ZoneEntry:
    const uint8_t* name         # lowercased wire form
    uint16_t name_len
    bint is_root
    const Chain* chain
    uint32_t zone_slot

# What one listener serves: its zones, longest first.
cdef struct Server:
    ZoneEntry* zones
    uint32_t zone_count
    uint32_t dropped_slot       # counters of what no zone takes

cdef inline uint64_t next_random(Context* ctx) noexcept nogil:
    cdef uint64_t x = ctx.random
    x ^= x >> 12
    x ^= x << 25
    x ^= x >> 27
    ctx.random = x
    return x * <uint64_t>0x2545F4914F6CDD1D

# Answer without records: SERVFAIL, REFUSED, FORMERR, NOTIMP that no plugin wrote.
cdef inline Outcome bare(Context* ctx, uint16_t rcode) noexcept nogil:
    ctx.reply.rcode = rcode
    ctx.written = False
    return ANSWERED

cdef inline Outcome written(Context* ctx) noexcept nogil:
    ctx.written = True
    return ANSWERED

cdef uint64_t monotonic_ns() noexcept nogil
cdef void report_error(Context* ctx, uint16_t block) noexcept nogil
cdef int32_t serve(Context* ctx, const uint8_t* msg, uint32_t length, uint8_t* out, uint32_t room) noexcept nogil
cdef bint lookup(Context* ctx, const uint8_t* name, uint32_t name_len, uint16_t qtype) noexcept nogil
cdef void count_query(Context* ctx, uint32_t slot, uint16_t rcode, bint by_plugin, uint32_t bytes) noexcept nogil


cdef class NativeStep:
    """A plugin's step: a subclass sets before, after and conf, and keeps what conf points to."""
    cdef Step step


cdef class ServerTable:
    """The zones of one listener and their chains, built from Python, used without the GIL."""
    cdef Server server
    cdef Chain* chains
    cdef list keep


cdef class Worker:
    """Everything one serving thread needs to call serve: query, reply, context."""
    cdef Context ctx
    cdef Query query
    cdef Reply* reply
    cdef ErrorRing* ring
    cdef readonly object store
    cdef readonly object stats
    cdef ServerTable table
    cdef readonly uint32_t reader_slot
