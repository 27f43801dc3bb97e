"""What a step sees of a query, and what it may say: the Context, and the shapes of steps, chains and zones.

A step's ``before`` runs in plugin order until one does not return NEXT; then the ``after`` of the steps before that
one run in reverse, and at last the ``finish`` of those that want to see the bytes. Steps see the same Context on
every transport.

A query whose answer has to come from elsewhere is suspended (_suspend.pxd): the step lets a service copy the
message, and returns SUSPENDED; no ``after`` runs and nothing is written. When the service has what was asked for,
the whole query is served again from its bytes, and the same step finds what it has asked for in ``ctx.replies``
(_replies.pxd). So there is no continuation to save: a step must only not count or choose twice (was_here says so).
A step that asks another question (_nested.pxd) may be suspended by it: the inner question is what is waited for,
the outer message is what is served again.

What a step remembers of a query between ``before``, ``after`` and ``finish`` is in step_memory; what it has for
each thread is in a slot (_slots.pxd). A block may have a filter, which decides before any step whether the block
takes a query (_zones.pxd); values that plugins provide by name are in _values.pxd.
"""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset
from fastdns.metrics._stats cimport NO_ERROR, ThreadCounters, ZoneBank
from fastdns.memory._store cimport StoreHeader
from fastdns.serve._errors cimport ErrorRing
from fastdns._wire cimport FLAG_AD, FLAG_CD, FLAG_RD, Query, Reply, scratch

cdef enum Outcome:
    ANSWERED = 0        # the reply is complete
    DROPPED = 1         # silence
    NEXT = 2            # the next step's turn
    SUSPENDED = 3       # a service will have the answer

# How a message came: the numbers of the rows of transports/table.py. Ask over_stream and proto_of what is so.
cdef enum:
    OVER_UDP = 0
    OVER_TCP = 1
    OVER_TLS = 2
    OVER_HTTPS = 3
    OVER_HTTPS3 = 4
    OVER_QUIC = 5
    OVER_GRPC = 6

cdef enum:
    MAX_DEPTH = 8               # of questions that steps ask inside a query
    MAX_ASKED = 64              # such questions in all: each may ask several, and they would multiply
    NO_SLOT = 0xFFFFFFFF        # counters of a zone that has none

# What a query has waited for: what a service says. asker and question tell what it answers: see _replies.pxd.
cdef struct ServiceReply:
    ServiceReply* previous      # what the query has waited for before; NULL: this was the first
    const void* asker           # the request that the step gave to suspend
    const Chain* chain          # where that step stands
    uint32_t step
    uint64_t question
    const uint8_t* msg          # a well-formed reply to the question; NULL: there is none, see error
    uint32_t msg_len
    uint64_t received_ns        # CLOCK_MONOTONIC
    uint16_t error              # a reason: see metrics/reasons.py
    uint16_t error_upstream     # slot
    uint8_t verdict             # an Outcome: what the service wants the step to return where it says no more
    bint followed               # another thread has asked the same, and its answer is in the cache, if anywhere
    bint stale                  # time to answer with what is stale; the exchange goes on
    bint cut                    # truncated, and over a stream there was none; msg says so
    bint stored                 # a cache has it already: others that waited for the same need not store it
    bint kept                   # this is a query's own copy; msg follows the struct

# What the queries of a thread keep of what they have waited for, all together.
cdef struct KeptReplies:
    uint64_t bytes
    uint64_t most_bytes

# What a step, or a value, remembers of one question. Its bytes follow the struct.
cdef struct StepMemory:
    StepMemory* next
    const void* owner

# A step has put another question in the place of the one that it was asked (_nested.pxd).
cdef struct Changed:
    Changed* outer
    Query* q                    # the question before
    const void* step

cdef struct Context:
    Query* q                    # what is asked here; the client's own question, or one that a step has made
    Reply* reply
    const Server* server
    StoreHeader* store
    ThreadCounters* counters
    ZoneBank** zone_banks       # this thread's counters of zones; NULL: it has none
    void** slots                # what plugins have for this thread: see _slots.pxd
    uint64_t random             # xorshift state, never 0
    ErrorRing* errors           # NULL: nobody reads
    # The client's message, and how it came.
    uint64_t received_ns        # CLOCK_MONOTONIC
    const uint8_t* client       # 4 or 16 address bytes
    uint16_t client_len
    uint16_t client_port
    uint8_t transport
    const uint8_t* msg          # as it came, but for bytes behind it; q.msg may be another question's
    uint32_t msg_len
    # How to reach the client again: the transport's own.
    const uint8_t* peer         # struct sockaddr
    uint16_t peer_len
    uint16_t control_len
    const uint8_t* control      # struct cmsghdr
    uint64_t token              # which socket, or which query of the slow thread
    uint64_t deadline_ns        # CLOCK_MONOTONIC: until then it may wait; 0: as long as services take
    const ZoneEntry* chosen     # of a server with filters: the block that has taken the query
    # How far it has come.
    uint8_t replays             # how often it has been served again
    ServiceReply* replies       # what it has waited for, the newest first; NULL: it has not waited yet
    KeptReplies* kept           # the thread's
    const void* request         # that is given to a service now
    uint8_t inside              # how many questions this message is inside of: a step in Python asks; 0: a client
    const Chain* entry          # where such a message begins; NULL: with the chain of its zone
    uint32_t entry_step
    uint32_t entry_slot         # counters of the zone
    uint32_t asked              # questions inside this query so far
    uint32_t asked_before       # and how many there were when it was suspended last
    uint32_t finish_bytes       # of the reply's room, kept free for what ``finish`` of steps adds
    bint suspended              # a step has suspended the query
    bint background             # nobody waits for the reply: a cache refreshes an entry
    uint32_t background_step    # whose after will see it
    # Of the question that is asked here: those that steps ask have their own (_nested.pxd).
    const Chain* chain          # that runs, and where it is
    uint32_t step
    uint32_t zone_slot          # counters of the (server, zone) that answers
    uint8_t depth               # 0: the client's question
    bint seen                   # this question has come so far before it was suspended: it is counted already
    StepMemory* memory
    Changed* changed
    bint written                # a plugin made the reply; else it is bare
    bint from_upstream          # the reply is an upstream's, not the server's own
    uint16_t error              # a reason
    uint16_t error_upstream
    uint16_t asked_set          # header bits that upstreams are asked with, and without: see asked_flags
    uint16_t asked_cleared
    uint64_t* claim             # a cache's word: of all threads one asks this question; NULL: any
    uint64_t claim_hash         # of the question
    uint64_t stale_after_ns     # a cache has a stale answer to give by then (CLOCK_MONOTONIC); 0: none

ctypedef Outcome (*before_fn)(Context* ctx, const void* conf) noexcept nogil
ctypedef void (*after_fn)(Context* ctx, const void* conf) noexcept nogil
ctypedef void (*ahead_fn)(const Context* ctx, const Query* q, uint64_t* hash, const void* conf) noexcept nogil
ctypedef uint32_t (*finish_fn)(Context* ctx, uint8_t* out, uint32_t size, uint32_t room,
                               const void* conf) noexcept nogil

cdef struct Step:
    before_fn before            # NULL: goes on
    after_fn after              # NULL: nothing to do
    ahead_fn ahead              # have fetched where it will begin to look; NULL: nothing to do
    ahead_fn again              # and where that leads; only where ahead has left a hash
    # A step below has put another question in the place of the one that this step let pass: NEXT, or what becomes
    # of the query instead. NULL: it does not matter.
    before_fn judge
    # The reply as it will leave: size bytes at out, which has room for ``room``. Returns the new size, at most
    # room; 0: silence. The message that came is ctx.msg. A step that will add bytes says how many before: see
    # ctx.finish_bytes. NULL: nothing to do.
    finish_fn finish
    const void* conf

cdef struct Chain:
    Step* steps
    uint32_t count
    uint32_t ahead_count
    uint32_t finish_count
    uint32_t* ahead_steps       # those with ahead
    uint32_t* finish_steps      # those with finish, the last first

# Whether a block takes the question ctx.q. The client is known, and how its message came; no step has run.
ctypedef bint (*accepts_fn)(Context* ctx, const void* conf) noexcept nogil

cdef struct Filter:
    accepts_fn accepts          # NULL: it takes all
    const void* conf

cdef struct ZoneEntry:
    const uint8_t* name         # lowercased wire form
    uint16_t name_len
    bint is_root
    const Chain* chain
    uint32_t zone_slot
    uint32_t blocks             # with this zone, from this entry on: they stand one after the other
    Filter filter

# What one listener serves: its zones, longest first; blocks with the same zone in the order of the Corefile.
cdef struct Server:
    ZoneEntry* zones
    uint32_t zone_count
    uint32_t* index             # of many zones: by the hash of a name the number of its first entry, from 1
    uint32_t index_mask
    bint filtered               # a block has a filter
    const uint8_t* address      # 4 or 16 bytes that it is bound to; NULL: every address
    uint16_t address_len
    uint16_t port
    bint any_class              # questions of other classes than IN are for upstreams
    uint32_t dropped_slot       # counters of what no zone takes

# Whether replies may have any size that a message may have; else they have at most the bytes that clients announce.
cdef inline bint over_stream(uint8_t transport) noexcept nogil:
    return transport != OVER_UDP

# Whether others on the way see of a message how long it is, and nothing else.
cdef inline bint encrypted(uint8_t transport) noexcept nogil:
    return transport >= OVER_TLS

# The protocol of its sockets, as counters and CoreDNS's label proto have it: 0 is UDP, 1 is TCP.
cdef inline uint32_t proto_of(uint8_t transport) noexcept nogil:
    return transport != OVER_UDP and transport != OVER_HTTPS3 and transport != OVER_QUIC

cdef inline uint64_t next_random(Context* ctx) noexcept nogil:
    cdef uint64_t x = ctx.random
    x ^= x >> 12
    x ^= x << 25
    x ^= x >> 27
    ctx.random = x
    return x * <uint64_t>0x2545F4914F6CDD1D

# The header's second 16 bits that upstreams are asked with: RD, AD and CD as the question has them, but for what
# steps say. The client's RD in the reply stays as it was.
cdef inline uint16_t asked_flags(const Context* ctx) noexcept nogil:
    return (ctx.q.flags & (FLAG_RD | FLAG_AD | FLAG_CD) & ~ctx.asked_cleared) | ctx.asked_set

# Answer without records: SERVFAIL, REFUSED, FORMERR, NOTIMP that no plugin wrote.
cdef inline Outcome bare(Context* ctx, uint16_t rcode) noexcept nogil:
    ctx.reply.rcode = rcode
    ctx.written = False
    return ANSWERED

cdef inline Outcome written(Context* ctx) noexcept nogil:
    ctx.written = True
    return ANSWERED

# What a question begins with: the client's, or one that a step asks.
cdef inline void begin_question(Context* ctx) noexcept nogil:
    ctx.memory = NULL
    ctx.changed = NULL
    ctx.written = False
    ctx.from_upstream = False
    ctx.error = NO_ERROR
    ctx.asked_set = 0
    ctx.asked_cleared = 0
    ctx.claim = NULL
    ctx.stale_after_ns = 0

# What an owner has for this question already; NULL: nothing.
cdef inline void* find_memory(const Context* ctx, const void* owner) noexcept nogil:
    cdef StepMemory* m = ctx.memory
    while m != NULL:
        if m.owner == owner:
            return m + 1
        m = m.next
    return NULL

# size zeroed bytes for an owner that has none. NULL where the query's scratch is used up.
cdef inline void* add_memory(Context* ctx, const void* owner, uint32_t size) noexcept nogil:
    cdef StepMemory* m
    cdef uint8_t* at = scratch(ctx.reply, sizeof(StepMemory) + size + 7)
    if at == NULL:
        return NULL
    m = <StepMemory*>((<size_t>at + 7) & ~<size_t>7)
    m.next = ctx.memory
    m.owner = owner
    memset(m + 1, 0, size)
    ctx.memory = m
    return m + 1

# size bytes that are the running step's own for this question: zeroed when it first asks, the same ones in before,
# after and finish. NULL where the query's scratch is used up.
cdef inline void* step_memory(Context* ctx, uint32_t size) noexcept nogil:
    cdef const void* step = &ctx.chain.steps[ctx.step]
    cdef void* found = find_memory(ctx, step)
    return found if found != NULL else add_memory(ctx, step, size)
