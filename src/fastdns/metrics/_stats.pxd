"""Counters in shared memory: one block a serving thread, summed when scraped.

A block has one writer; a scrape reads it as it changes and never touches the thread. Blocks belong to slots that
the supervisor hands out; a dead process's block is folded into the totals before its slot is used again.

The counters of zones stand in banks, each a mapping of its own with so many zones of every thread. Where a
configuration has more zones than there is room for, the supervisor adds a bank before it forks the workers.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

cdef enum:
    BANK_ZONES = 64             # (server, zone, view) in one bank
    MAX_ZONE_BANKS = 256
    MAX_ZONE_SLOTS = 16384      # (server, zone, view): BANK_ZONES * MAX_ZONE_BANKS
    TYPE_SLOTS = 48
    RCODE_SLOTS = 25            # the last: any other
    DURATION_BUCKETS = 16       # 0.00025 * 2^i seconds, i 0 to 15, and +Inf
    MAX_STANZAS = 64            # forward stanzas whose queries are counted
    MAX_UPSTREAM_SLOTS = 128    # upstreams that are counted apart
    PLUGIN_COUNTERS = 128       # of all plugins together, in each zone
    SIZE_BUCKETS = 14           # 0 100 200 300 400 511 1023 2047 4095 8291 16000 32000 48000 64000, and +Inf

# Why a query did not get what it asked for: each that fails is counted once, as its reply is written, or as it is
# plain that there will be none. metrics/reasons.py has their names, and what the client gets. Plugins' own follow.
cdef enum Failure:
    NO_ERROR = 0
    ERROR_NO_NEXT_PLUGIN = 1
    ERROR_REPLAYS = 2           # an answer kept changing while it was put together
    ERROR_IN_FLIGHT = 3         # what waiting queries may keep is used up
    ERROR_TOO_LONG = 4          # a query that cannot wait for its length
    # These are of queries that no chain sees.
    ERROR_NO_ZONE = 5
    ERROR_EDNS_VERSION = 6
    FAILED_SHORT = 7            # less than a header
    FAILED_RESPONSE = 8         # it says that it is a response
    FAILED_FORMERR = 9
    FAILED_NOTIMP = 10
    FAILED_SILENCE = 11         # a plugin chose to say nothing
    FAILED_PLUGIN_SERVFAIL = 12     # a plugin chose this code, and nothing went wrong
    FAILED_PLUGIN_REFUSED = 13
    FAILED_PLUGIN_NOTIMP = 14
    FAILED_PLUGIN_OTHER = 15
    FAILED_SEND = 16            # the kernel did not take the reply
    FAILED_DISCONNECTED = 17    # the connection was gone before the reply was there
    FAILED_UNREAD = 18          # the peer did not read replies
    FAILED_UNSERVED = 19        # whole queries that a connection held when it ended
    FAILED_WORKER = 20          # waited as its worker died
    # Of steps in Python.
    ERROR_STEP_TIMEOUT = 21     # no answer within its time
    ERROR_PANIC = 22            # an exception
    ERROR_STEP_REPLY = 23       # what it has returned is no reply to the question
    ERROR_CLIENT_SHARE = 24     # too many queries wait, and this client has many of them
    ERROR_DEADLINE = 25         # it would have to wait for longer than it may
    FAILED_EVICTED = 26         # newer queries took its place, before anybody had looked at it
    OWN_REASONS = 27
    MAX_REASONS = 256

# Why a TCP connection ended; CLOSINGS in _stats.pyx has their names.
cdef enum Closing:
    CLOSED_BY_PEER = 0
    CLOSED_IDLE = 1
    CLOSED_UNREAD = 2           # the peer did not read
    CLOSED_MAX_QUERIES = 3
    CLOSED_DRAINED = 4
    CLOSED_FOR_ROOM = 5         # a new connection needed the place of the longest quiet one
    CLOSED_FOR_SHARE = 6        # and this client had the most
    CLOSED_FOR_BYTES = 7        # all connections together held too much, and this one of this client the most
    CLOSED_FOR_HEADER = 8       # a proxy's header was none, or none was wanted
    CLOSINGS_COUNTED = 9

cdef struct ZoneCounters:
    uint64_t requests[4][TYPE_SLOTS]            # [2 * tcp + ipv6][type]
    uint64_t responses[2][RCODE_SLOTS]          # [written by a plugin][rcode]
    uint64_t do_requests
    uint64_t duration[DURATION_BUCKETS + 1]
    uint64_t duration_sum_ns
    uint64_t request_bytes[2][SIZE_BUCKETS + 1]
    uint64_t request_bytes_sum[2]
    uint64_t response_bytes[2][SIZE_BUCKETS + 1]
    uint64_t response_bytes_sum[2]
    uint64_t plugins[PLUGIN_COUNTERS]           # a row of each plugin's own: see metrics/registry.py

# What one thread has seen of the zones of one bank. used: whether anything was counted there. Nobody touches the
# pages of other zones: even reading them would take memory.
cdef struct ZoneBank:
    uint8_t used[BANK_ZONES]
    ZoneCounters zones[BANK_ZONES]

# What one thread has seen of one upstream.
cdef struct UpstreamCounters:
    uint64_t duration[RCODE_SLOTS][DURATION_BUCKETS + 1]    # of replies, by rcode
    uint64_t duration_sum_ns[RCODE_SLOTS]
    uint64_t failed_probes
    uint64_t timeouts
    uint64_t silent             # attempts that were silent for longer than is usual, so that more was asked
    uint64_t refused
    uint64_t broken             # attempts over streams that could not connect, or whose connection ended
    uint64_t passed_over        # answers such as SERVFAIL that another upstream might better
    uint64_t truncated          # replies that were asked for again over TCP
    uint64_t connections[2][5]  # [reused][PROTOS]: what was opened, and attempts over what was open already

cdef struct ThreadCounters:
    uint64_t heartbeat_ns       # CLOCK_MONOTONIC
    uint64_t queries
    uint64_t errors_unlogged    # error events that found the log's ring full
    uint64_t panics             # exceptions of the slow thread that a query ended in
    uint64_t parked             # queries that went to wait for upstreams
    uint64_t joined             # of these, to wait for an equal question
    uint64_t concurrent_rejects     # max_concurrent was reached
    uint64_t all_down           # every upstream of a stanza was down
    uint64_t mismatched         # datagrams from upstreams that match nothing that was asked
    uint64_t malformed          # replies that match, and are no DNS messages
    uint64_t log_dropped        # queries that the log plugin had to leave out
    uint64_t streams_shed       # attempts over streams that found the ring to the slow thread full
    uint64_t connections_open   # now
    uint64_t connections_bytes  # of queries and replies that they hold now
    uint64_t connections_closed[CLOSINGS_COUNTED]
    uint64_t failed[MAX_REASONS]    # queries, by reason
    uint64_t python_waiting     # queries now that steps in Python work on
    uint64_t pad[8]
    uint32_t waiting[MAX_STANZAS]   # queries now, by forward stanza
    UpstreamCounters upstreams[MAX_UPSTREAM_SLOTS]

cdef inline void count_failed(ThreadCounters* counters, uint32_t why) noexcept nogil:
    if counters != NULL:
        counters.failed[why] += 1

# Where a thread counts for a zone. banks: the thread's part of each bank.
cdef inline ZoneCounters* zone_counters(ZoneBank** banks, uint32_t slot) noexcept nogil:
    cdef ZoneBank* bank = banks[slot // BANK_ZONES]
    bank.used[slot % BANK_ZONES] = True
    return &bank.zones[slot % BANK_ZONES]

cdef uint32_t size_bucket(uint32_t size) noexcept nogil
cdef uint32_t duration_bucket(uint64_t ns) noexcept nogil
cdef uint32_t type_slot(uint16_t rrtype) noexcept nogil


cdef class Stats:
    cdef ThreadCounters* blocks
    cdef ZoneBank* banks[MAX_ZONE_BANKS]
    cdef uint32_t bank_count
    cdef readonly uint32_t slots
    cdef readonly size_t size_bytes
    cdef ThreadCounters* block(self, uint32_t slot) except NULL
    cdef ZoneBank* bank(self, uint32_t slot, uint32_t zone_slot) except NULL
    # The part that a thread has of each bank that there is.
    cdef int banks_of(self, uint32_t slot, ZoneBank** into) except -1
