"""From bytes to bytes: accept, the server block by longest zone, its chain of steps, write. Sans-IO.

A step's ``before`` runs in plugin order until one does not return NEXT; then the ``after`` of the steps before
that one run in reverse. Steps see the same Context on every transport.

A query whose answer has to come from upstream is suspended (see serve/_suspend.pxd): the step that needs it lets a
service copy the message, and returns PENDING; no ``after`` runs and nothing is written. When the upstream has
answered, the whole query is served again from its bytes with ``ctx.upstream`` set, and the same step finds what it
asked for there. So there is no continuation to save: a step's ``before`` must only not count or choose twice where
``ctx.upstream`` is set. It works from a lookup that another step started, too: the inner question is what is asked,
the outer message is what is served again.
"""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from fastdns.metrics._stats cimport ThreadCounters
from fastdns.memory._store cimport StoreHeader
from fastdns._wire cimport Accept, Query, Reply

cdef enum Outcome:
    ANSWERED = 0        # the reply is complete
    DROPPED = 1         # silence
    NEXT = 2            # the next step's turn
    PENDING = 3         # a native upstream will answer

cdef enum:
    OVER_UDP = 0
    OVER_TCP = 1
    MAX_STEPS = 48
    MAX_AHEAD = 2               # steps of a chain that fetch ahead: one for each of Ahead's hashes
    MAX_LOOKUP_DEPTH = 8
    NO_SLOT = 0xFFFFFFFF
    MAX_REPLAYS = 16            # of one query that waits for upstreams
    ERROR_EVENTS = 128          # power of two

# Why a reply is an error, for the errors plugin; texts in _chain.pyx.
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

# What the errors plugin logs, on its way from a serving thread to the one that writes.
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

# What an upstream said to a question that was parked, while the query is served again.
cdef struct UpstreamReply:
    const uint8_t* msg          # a well-formed reply to the question; NULL: there is none, see error
    uint32_t msg_len
    uint64_t received_ns        # CLOCK_MONOTONIC
    uint8_t error               # an ErrorReason
    uint16_t error_upstream     # slot
    uint16_t rcode              # what to answer where msg is NULL
    uint16_t qtype
    uint16_t name_len
    const uint8_t* name         # lowercased wire form of the question
    const void* asker           # the step's conf that asked
    uint32_t next               # how many askers have passed the question on (forward's next)
    bint followed               # another thread has asked the same, and its answer is in the cache, if anywhere
    bint stale                  # time to answer with what is stale; the exchange goes on
    bint cut                    # truncated, and over a stream there was none; msg says so
    bint stored                 # a cache has it already: others that waited for the same need not store it

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
    uint16_t error_upstream
    bint written                # a plugin made the reply; else it is bare
    bint from_upstream          # the reply is an upstream's, not the server's own
    bint parked                 # a step has parked the query
    bint background             # nobody waits for the reply: a cache refreshes an entry
    uint32_t background_step    # whose after will see it
    bint want_ad                # ask upstreams with AD set
    uint64_t* claim             # a cache's word: of all threads one asks this question; NULL: any
    uint64_t claim_hash         # of the question
    uint8_t replays
    uint64_t stale_after_ns     # a cache has a stale answer to give by then (CLOCK_MONOTONIC); 0: none
    const UpstreamReply* upstream   # NULL: the query has not waited yet
    ErrorRing* errors           # NULL: nobody reads
    void* log                   # the log plugin's ring; NULL: nobody reads
    void* service               # the thread's Service, that queries may wait for; NULL: they cannot
    uint32_t zone_slot          # counters of the (server, zone) that answers
    const uint8_t* msg          # the message as it came, but for bytes behind it; q.msg may be a lookup's
    uint32_t msg_len
    const Chain* chain          # that runs, and where it is
    uint32_t step
    # How to reach the client again: the transport's own.
    const uint8_t* peer         # struct sockaddr
    uint16_t peer_len
    uint16_t control_len
    const uint8_t* control      # struct cmsghdr
    uint64_t token              # which socket, or which query of the slow thread

# A message of a batch that is served soon: what it asks, and whose turn it will be. Steps that look things up have
# the memory fetched meanwhile (see look_ahead); what a step has to know again then is in hashes, 0: nothing.
cdef struct Ahead:
    Accept verdict
    const ZoneEntry* zone       # NULL: no chain will see it
    uint64_t hashes[2]
    Query q

ctypedef Outcome (*before_fn)(Context* ctx, const void* conf) noexcept nogil
ctypedef void (*after_fn)(Context* ctx, const void* conf) noexcept nogil
ctypedef void (*ahead_fn)(const Context* ctx, const Query* q, uint64_t* hash, const void* conf) noexcept nogil

cdef struct Step:
    before_fn before            # NULL: goes on
    after_fn after              # NULL: nothing to do
    ahead_fn ahead              # have fetched where it will begin to look; NULL: nothing to do
    ahead_fn again              # and where that leads; only where ahead has left a hash
    const void* conf

cdef struct Chain:
    uint32_t count
    uint32_t ahead_count
    uint32_t ahead_steps[MAX_AHEAD]     # those with ahead
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
    bint any_class              # questions of other classes than IN are for upstreams
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

# Run the steps after the one that runs, for the same question, for nobody: the reply under construction is lost
# (call it before filling one). Where the outcome is ANSWERED ctx.reply holds the answer; where it is PENDING
# the running step's after will see the answer when it comes, with ctx.background set.
cdef Outcome run_below(Context* ctx) noexcept nogil

# What run_below left PENDING, from a step on, now that ctx.upstream is set. Nothing is written.
cdef void serve_background(Context* ctx, const uint8_t* msg, uint32_t length, const Chain* chain,
                           uint32_t step) noexcept nogil
cdef void report_error(Context* ctx, uint16_t block) noexcept nogil
cdef int32_t serve(Context* ctx, const uint8_t* msg, uint32_t length, uint8_t* out, uint32_t room) noexcept nogil

# Messages of a batch are served in three passes, so that what each waits for from memory comes in while others are
# looked at: look_ahead reads a message and calls ``ahead`` of its chain's steps, look_again calls ``again``, and
# serve_ahead is serve for a message that has been looked at. Hints only: when it is served, a step looks by itself.
cdef void look_ahead(const Context* ctx, const uint8_t* msg, uint32_t length, Ahead* ahead) noexcept nogil
cdef void look_again(const Context* ctx, Ahead* ahead) noexcept nogil
cdef int32_t serve_ahead(Context* ctx, Ahead* ahead, const uint8_t* msg, uint32_t length, uint8_t* out,
                         uint32_t room) noexcept nogil
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
