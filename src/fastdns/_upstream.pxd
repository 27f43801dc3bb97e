"""Questions to upstreams over UDP, and to the slow thread for the rest. One table a serving thread, without GIL.

A query that needs an upstream is parked (``park``): its message and how to reach its client are copied into a
Waiter, and its question becomes an Exchange, or joins an equal one. Attempts of an exchange go to one upstream
each, with a random ID from a random one of that upstream's connected sockets. A datagram counts only if upstream,
port, ID and question all match; anything else is counted and leaves the exchange as it was. When an exchange ends,
each of its queries is served again by its transport, with the reply in ``ctx.upstream`` (see _chain.pxd).

    attempt   ends with its reply, a refusal (ICMP), or after the stanza's read timeout; while it is out, silence
              for the upstream's adaptive timeout starts an attempt at another upstream, or sends the same again.
              An error reply without a question (see _relay.pxd) matches any question, so it is believed only when
              nothing better has come in the time that the upstream takes; meanwhile another one is asked.
              What was not sent for want of room of ours counts against nobody.
    exchange  ends with the first reply that is good, or when attempts or its DEADLINE are used up: then with the
              best of the bad ones (SERVFAIL, truncated), or an error. Records that came truncated are better than
              an error over TCP; where TCP has failed, an upstream is not asked that way again for NO_STREAM_NS.
              Where many have joined it each turn of the
              thread serves SERVED_AT_ONCE of them, so that names of the cluster do not wait for all.
    upstream  suspect after some silences in a row: others go first. Down after max_fails failed probes.

Attempts over TCP, TLS and HTTPS are asked of the slow thread through a bounded ring and come back through another;
for the table they are attempts like any other.

Equal questions of other threads and workers are not asked either where a cache keeps the answers: the cache names
a word in shared memory (``ctx.claim``), and who writes its mark there first asks. The others follow: they wait
until the mark is gone or a second old (its thread may be dead), and are served again, from the cache.

    claim     31 bits of the question's hash, whether it has been given back, and when it was taken or given back,
              in ms of CLOCK_MONOTONIC modulo 2^32. 0: never taken.

What is asked is not the client's message, but a question of our own (see _relay.pxd), so that clients whose queries
differ in cookies, padding or flags without a meaning join one exchange.

Each exchange of a name, type and class is one more target for forged replies (RFC 5452 section 5), and a client can
make any number of questions that differ in nothing but their client subnets. So at a stanza there are MAX_ALIKE at
most. A query that would make one more waits for one of these to end, and is then served again: it asks, if there is
room, or finds its answer in a cache. DEADLINE bounds that, too.

Room in a table is counted in units of 64 bytes of its memory for messages; a place is worth UNITS_A_PLACE. What a
client has in there is counted by its address, and so is what a stanza has:

    client    gets no more once it holds over SHARE times what is still free: it may have nearly all of an empty
              table, and who has little finds room in a full one (dynamic thresholds: Choudhury and Hahne, 1998).
    stanza    where there are others an eighth of the whole is not for it, so that a zone whose upstreams are dead
              leaves room for those whose upstreams are well.

Clients are counted in two rows by different parts of a keyed hash, and hold what the smaller one says: whoever
shares one place with a flood does not share the other.

The shared memory (``Upstreams``) holds what all threads of all workers must know of an upstream: whether a loop has
been found behind it (its probes are armed and seen there), whether TCP works there, and
how many queries wait at each forward stanza.
"""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from fastdns._chain cimport Chain, Context, Outcome, UpstreamReply
from fastdns._stats cimport ThreadCounters, UpstreamCounters
from fastdns._wire cimport Query, Reply
from fastdns.memory._random cimport Random
from fastdns.memory._ring cimport ByteRing
from fastdns.memory._slabs cimport UNIT_BYTES, Slabs
from fastdns.memory._wheel cimport Timer, Wheel

cdef enum:
    MAX_UPSTREAMS = 128             # of one worker
    SOCKETS = 16                    # an upstream; each is replaced, for a new port, after
    SOCKET_QUERIES = 1024           # so many, or
    SOCKET_S = 10                   # so many seconds: on a quiet server a port would be there for days
    MAX_ATTEMPTS = 4                # of one exchange that are out at a time
    MAX_STANZAS = 64
    MAX_PARKED_BYTES = 4096         # a longer query is not forwarded
    PEER_ROOM = 28                  # struct sockaddr_in6
    CONTROL_ROOM = 40
    PLACE_BYTES = 1024              # of memory for messages, for each place in a table
    UNITS_A_PLACE = PLACE_BYTES // UNIT_BYTES
    CLIENT_SLOTS = 4096             # in each of two rows
    SHARE = 8
    OUTBOX = 512
    MAX_FOLLOWERS = 256             # exchanges; more of them ask themselves
    SERVED_AT_ONCE = 256            # queries that one reply serves before others have their turn
    MAX_ALIKE = 64                  # exchanges of one name, type and class, at a stanza
    NONE = 0xFFFFFFFF

cdef enum Policy:
    RANDOM = 0
    ROUND_ROBIN = 1
    SEQUENTIAL = 2

# What came of an attempt over a stream.
cdef enum Failing:
    REPLIED = 0
    FAILED = 1                      # the upstream gave no reply
    HAD_NO_ROOM = 2                 # it was not asked: this process had no place or no descriptor for it

cdef enum AttemptState:
    FREE = 0
    OVER_DATAGRAMS = 1
    OVER_STREAM = 2

# What all threads know of an upstream, by its slot.
cdef struct SharedUpstream:
    uint64_t token[2]               # of the loop probe that is out
    uint64_t armed_until_ns         # CLOCK_MONOTONIC
    uint64_t seen_ns                # when it came back to us
    uint64_t cut                    # a loop was found: nobody asks it
    uint64_t counter_slots          # of the first entry: counter slots ever used by a table of questions
    uint64_t no_stream_until_ns     # what it truncates is not asked for over TCP before; 0: TCP may work
    uint64_t pad[1]

# One forward stanza, as the step's conf. Names are lowercased wire form.
cdef struct Stanza:
    uint16_t number                 # among all stanzas of the worker
    uint8_t policy
    bint force_tcp
    bint prefer_udp
    bint failfast
    bint next_on_nodata
    bint randomize_case
    bint probe_rd
    uint32_t max_fails
    uint32_t max_attempts           # failed ones; 0: as many as time allows
    uint32_t max_concurrent         # queries, in all processes; 0: not bounded here
    uint32_t next_rcodes            # bit n: rcode n
    uint32_t failover_rcodes
    uint64_t read_timeout_ns
    uint64_t probe_interval_ns
    uint16_t upstream_count
    uint16_t upstreams[MAX_UPSTREAMS]   # their numbers in the table
    const uint8_t* probe_name
    uint16_t probe_name_len
    const uint8_t* zone
    uint16_t zone_len
    uint16_t except_count
    const uint8_t** excepted
    const uint16_t* excepted_len

cdef struct UdpSocket:
    int fd                          # negative: not open
    uint32_t sent                   # since it was opened
    uint64_t opened_ns
    uint32_t first                  # of the attempts that are out on it; NONE: none

cdef struct Upstream:
    uint8_t address[PEER_ROOM]      # struct sockaddr
    uint16_t address_len
    uint8_t source[PEER_ROOM]       # to bind to; source_len 0: the kernel's choice
    uint16_t source_len
    bint stream_only                # TLS, HTTPS
    uint16_t slot                   # in the shared table and the counters
    uint64_t srtt_ns                # 0: not measured (RFC 6298)
    uint64_t rttvar_ns
    uint32_t silences               # in a row
    uint64_t doubted_ns             # when it was last found to be silent, or tried again all the same
    uint32_t failed_probes          # in a row
    bint probing
    uint32_t chosen                 # socket of this flush; NONE: none yet
    bint short                      # of sockets, ports or IDs, when it was last to be asked
    UdpSocket sockets[SOCKETS]

# A query that waits. Its message follows the struct.
cdef struct Waiter:
    Waiter* next
    uint64_t received_ns
    uint64_t stale_after_ns         # 0: never
    uint64_t token
    const Chain* chain              # where a background refresh goes on
    uint32_t step
    uint32_t zone_slot              # of its counters
    uint16_t msg_len
    uint16_t client_port
    uint16_t peer_len
    uint16_t control_len
    uint8_t client_at               # of the address in peer
    uint8_t client_len
    uint8_t transport
    uint8_t replays
    bint background
    bint follows                    # its exchange's question is only alike: served again, but not with that reply
    uint32_t units                  # of room that it takes, its exchange's included where it has begun that
    uint16_t client_slots[2]
    uint8_t peer[PEER_ROOM]
    uint8_t control[CONTROL_ROOM]

cdef inline uint8_t* waiter_msg(Waiter* w) noexcept nogil:
    return <uint8_t*>w + sizeof(Waiter)

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

cdef struct Exchange:
    uint32_t generation             # of this place; a stale answer of the slow thread does not match
    uint32_t next_hashed            # in the table by question
    Timer timer
    bint hashed
    bint probe                      # of one upstream's health; nobody waits
    bint last_chance                # all upstreams are down: one attempt
    bint follows                    # another thread asks
    uint64_t* claim                 # NULL: neither taken nor followed
    uint64_t claimed                # the mark that was taken, or is followed
    uint64_t hash
    const Stanza* stanza
    const void* asker
    Waiter* waiters
    uint64_t started_ns
    uint64_t deadline_ns
    uint64_t hedge_ns               # when silence starts another attempt
    uint64_t stale_after_ns         # the earliest of its waiters'; 0: none has one
    uint32_t failed                 # attempts
    uint64_t passed[2]              # upstreams (places in the stanza's list) that were asked
    uint16_t first                  # place in the stanza's list
    uint16_t turn                   # places looked at since
    bint stream
    uint8_t error
    uint16_t error_upstream
    uint8_t* query                  # what is sent, from write_asked; a block
    uint16_t query_len
    uint16_t name_len
    uint8_t* fallback               # a reply that others may better; a block, or NULL
    uint16_t fallback_len
    Attempt attempts[MAX_ATTEMPTS]

# What more queries wait for than are served at once; the message follows the struct.
cdef struct Ended:
    Ended* next
    uint32_t exchange               # in no table any more
    bint follows                    # it did
    UpstreamReply reply
    uint8_t name[256]

# In front of the message in both rings.
cdef struct StreamTicket:
    uint32_t exchange
    uint32_t generation
    uint16_t attempt
    uint16_t upstream
    uint16_t id                     # of the message, and of this attempt: its place may have another one since
    uint16_t failed                 # back: Failing
    uint64_t timeout_ns

cdef struct Outgoing:
    uint32_t exchange
    uint32_t attempt

# The transport serves a query again, and delivers what comes of it.
ctypedef void (*again_fn)(void* owner, Waiter* waiter, const UpstreamReply* reply) noexcept nogil

cdef struct Engine:
    Exchange* exchanges
    uint32_t room                   # how many exchanges there may be
    uint32_t used                   # places ever used
    uint32_t free_exchange          # list through next_hashed
    uint32_t out                    # exchanges now, probes included
    uint32_t followers[MAX_FOLLOWERS]
    uint32_t follower_count
    uint32_t waiting                # queries
    Ended* ended                    # exchanges that still serve; the first of them does
    Ended* last_ended
    uint64_t seed                   # of the hashes of clients and of questions
    uint32_t held[2][CLIENT_SLOTS]  # units, by client
    uint32_t stanza_held[MAX_STANZAS]
    uint32_t stanza_most            # units
    Slabs memory                    # of messages
    bint closed                     # nothing is parked any more
    uint32_t hash_mask              # of both tables: slots, a power of two, less one
    uint32_t* by_question
    uint32_t* by_id                 # exchange * MAX_ATTEMPTS + attempt
    Wheel wheel
    Upstream* upstreams
    uint32_t upstream_count
    uint32_t sockets                # of each upstream: SOCKETS, or as many as the process has descriptors for
    SharedUpstream* shared
    ThreadCounters* counters
    ThreadCounters* all_counters    # of every slot
    UpstreamCounters* upstream_counters
    uint64_t others_at_ns           # when waiting_elsewhere was summed up
    uint32_t waiting_elsewhere[MAX_STANZAS]
    uint32_t turns[MAX_STANZAS]
    Outgoing outbox[OUTBOX]
    uint32_t outbox_count
    int epoll_fd
    uint32_t tag                    # of the first socket's epoll events; the eventfd's comes last
    ByteRing* requests              # to the slow thread
    ByteRing* answers               # from it
    int request_event_fd            # wakes the slow thread
    bint has_requests               # that flush has still to wake it for
    int answer_event_fd             # wakes this one
    Random random
    uint64_t now_ns
    uint64_t socket_ns              # how old a socket may become
    again_fn again
    void* owner
    Reply* reply                    # where replies are looked through before anybody gets them
    Query query
    uint8_t* received               # a batch of datagrams
    void* headers
    void* iovecs

# Let an upstream answer ctx.q, for the stanza's queries; asker tells who asked, in ctx.upstream. PENDING, or
# ANSWERED with an error where the query cannot wait.
cdef Outcome park(Context* ctx, const Stanza* stanza) noexcept nogil

# Send what attempts have put into the outbox, and wake the slow thread for what they have put into its ring. After
# every batch of queries, and after on_event and on_time.
cdef void flush(Engine* e) noexcept nogil
cdef inline bint has_to_flush(Engine* e) noexcept nogil:
    return e.outbox_count != 0 or e.has_requests
cdef void on_event(Engine* e, uint32_t tag) noexcept nogil
cdef void on_time(Engine* e, uint64_t now_ns) noexcept nogil
# Milliseconds until on_time has something to do; limit_ms at most.
cdef int wait_ms(Engine* e, int limit_ms) noexcept nogil
# Serve everybody who waits again, with what there is, and let nobody wait any more.
cdef void give_up(Engine* e) noexcept nogil


cdef class Upstreams:
    """The shared table, made by the supervisor before it forks."""
    cdef SharedUpstream* table
    cdef SharedUpstream* of(self, uint32_t slot) except NULL


cdef class Exchanges:
    cdef Engine engine
    cdef readonly object stats
    cdef Upstreams shared
    cdef list keep
    cdef int attach(self, int epoll_fd, uint32_t tag, Reply* reply, again_fn again, void* owner) except -1
