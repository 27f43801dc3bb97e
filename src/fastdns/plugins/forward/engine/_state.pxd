"""The structs of the engine that more than one of its modules works on."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from fastdns.serve._context cimport ServiceReply
from fastdns.metrics._stats cimport ThreadCounters, UpstreamCounters
from fastdns._wire cimport Query, Reply
from fastdns.memory._duplex cimport Duplex
from fastdns.memory._random cimport Random
from fastdns.memory._slabs cimport Slabs
from fastdns.memory._wheel cimport Timer, Wheel
from fastdns.plugins.forward.engine._claims cimport Claim
from fastdns.plugins.forward.engine._health cimport Health
from fastdns.plugins.forward.engine._quotas cimport Quotas, Share
from fastdns.plugins.forward.engine._shared cimport SharedUpstream
from fastdns.plugins.forward.engine._sockets cimport NO_ATTEMPT, SocketPool, SocketRules
from fastdns.plugins.forward.engine._stanza cimport MAX_STANZAS, Stanza
from fastdns.serve._suspend cimport Service, Suspended, resume_fn

cdef enum:
    MAX_ATTEMPTS = 4                # of one outstanding query that are out at a time
    MAX_FOLLOWERS = 256             # outstanding queries that follow other threads' claims; more of them ask
    OUTBOX = 512
    NONE = NO_ATTEMPT
    DEADLINE_MS = 5000              # of an outstanding query, as CoreDNS's forward has it
    PROBE_TIMEOUT_MS = 1000

cdef enum AttemptState:
    FREE = 0
    OVER_DATAGRAMS = 1
    OVER_STREAM = 2

cdef struct Upstream:
    Health health
    SharedUpstream* shared
    UpstreamCounters* counters
    uint16_t slot                   # in the shared table and the counters
    uint8_t stream_only             # OVER_TLS or OVER_HTTPS; 0: datagrams, and TCP
    SocketPool pool

# A client query that waits. Its message follows the struct.
cdef struct Waiter:
    Waiter* next
    Share share                     # that it holds, its outstanding query's included where it has begun that
    bint only_alike                 # its question is not equal: it is resumed, but not with that reply
    Suspended query

cdef struct Attempt:
    uint32_t next_hashed            # in the table by socket and ID
    uint32_t next_out               # on the same socket
    uint32_t previous_out
    uint16_t upstream
    uint16_t socket
    uint16_t id
    uint8_t state
    uint8_t id_wire[2]
    uint8_t resent
    bint again                      # a reply in another case has led to an attempt over a stream
    bint malformed                  # a reply has come that cannot be read; the true one may be right behind it
    bint unsent                     # there was no room for it on its way out: silence says nothing of the upstream
    uint16_t error_flags            # of an error reply without a question that has come; 0: none
    uint64_t error_ns               # when
    uint64_t sent_ns
    uint64_t expires_ns

# A query that upstreams are asked, and the client queries that wait for its reply.
cdef struct Outstanding:
    uint32_t generation             # of this place; what comes for an earlier one does not match
    uint32_t next_hashed            # in the table by question; of the free places when it is none
    Timer timer
    bint hashed                     # it is in the table by question
    bint probe                      # of one upstream's health; nobody waits
    bint last_chance                # all upstreams are down: one attempt
    bint stream
    Claim claim
    uint64_t hash
    const Stanza* stanza
    Waiter* waiters
    uint64_t started_ns
    uint64_t deadline_ns
    uint64_t hedge_ns               # when silence starts another attempt; 0: it does not
    uint64_t stale_after_ns         # the earliest of its waiters'; 0: none has one
    uint32_t failed                 # attempts
    uint64_t passed[2]              # upstreams (places in the stanza's list) that were asked
    uint16_t first                  # place in the stanza's list
    uint16_t turn                   # places looked at since
    uint8_t error                   # a ForwardReason
    uint16_t error_upstream         # slot of the one that failed last, or whose reply it is
    uint8_t* query                  # what is sent, from write_asked; a block
    uint16_t query_len
    uint16_t name_len
    uint8_t* fallback               # a reply that others may better; a block, or NULL
    uint16_t fallback_len
    uint16_t fallback_upstream
    Attempt attempts[MAX_ATTEMPTS]

# An outstanding query that has ended with more waiters than are resumed at once; the reply's message follows.
cdef struct Ended:
    Ended* next
    uint32_t place                  # of the outstanding query, which is in no table any more
    bint followed                   # another thread's claim
    ServiceReply reply

cdef struct Outgoing:
    uint32_t place
    uint32_t attempt

cdef struct Engine:
    Service service                 # what the transports see; outstanding: queries in the table, probes included
    uint64_t now_ns
    Slabs memory                    # of messages
    Outstanding* table
    uint32_t room                   # places in the table
    uint32_t used                   # places ever used
    uint32_t free                   # list of those that were given back, through next_hashed
    bint closed                     # nothing is suspended any more
    uint64_t seed                   # of the hashes of questions
    uint32_t hash_mask              # of both tables: slots, a power of two, less one
    uint32_t* by_question
    uint32_t* by_id                 # place * MAX_ATTEMPTS + attempt
    uint32_t followers[MAX_FOLLOWERS]   # places whose claim is another thread's
    uint32_t follower_count
    Ended* ended                    # the first of them is being resumed
    Ended* last_ended
    Wheel wheel
    Random random
    Quotas quotas
    Upstream* upstreams
    uint32_t upstream_count
    SocketRules rules
    ThreadCounters* counters
    uint16_t first_reason           # of the plugin's, see metrics/reasons.py
    uint32_t turns[MAX_STANZAS]     # of round_robin
    Outgoing outbox[OUTBOX]
    uint32_t outbox_count
    Duplex* streams                 # the rings to the event-loop thread and back
    uint32_t tag                    # of the first socket's epoll events; that of the streams' answers comes last
    resume_fn resume
    void* owner
    Reply* reply                    # where replies are looked through before anybody gets them
    Query query
    uint8_t* received               # a batch of datagrams
    void* headers
    void* iovecs
    void** slots                    # what plugins have for this thread: see serve/_slots.pxd; NULL: none

# The number that the server counts a ForwardReason by.
cdef inline uint16_t reason_of(const Engine* e, uint8_t reason) noexcept nogil:
    return e.first_reason + reason - 1
