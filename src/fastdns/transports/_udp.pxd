"""The hot thread: batches of UDP messages through the chain, without the GIL.

    epoll_wait on the sockets, the sockets to upstreams and one eventfd
      → recvmmsg of up to BATCH messages → serve each → sendmmsg, until a socket has no more
      → of a socket with a stack (_newest.pxd): read until it is empty, then batches of the newest
      → what upstreams have answered: the queries that waited for it are served again, and sent
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from fastdns.serve._chain cimport Ahead
from fastdns.serve._context cimport Context
from fastdns.serve._worker cimport Worker
from fastdns.serve._zones cimport ServerTable
from fastdns.serve._suspend cimport Services, ServiceTable
from fastdns.memory._syscalls cimport mmsghdr
from fastdns.transports._newest cimport Newest
from fastdns.transports._proxies cimport ProxiedClient, ProxyRules

cdef enum:
    BATCH = 64
    GROUP = 16                  # messages of a batch that are looked at ahead of being served
    QUERY_ROOM = 4096           # a longer query is FORMERR
    REPLY_ROOM = 65507          # the most that UDP over IPv4 carries
    REPLIES_BYTES = 327680      # of one batch; what does not fit is sent first
    CONTROL_ROOM = 64
    ADDRESS_ROOM = 32
    NEWEST_ROUNDS = 8           # batches of a stack before its socket is read again
    MAX_SOCKETS = 256
    WAKE_TAG = MAX_SOCKETS      # of the eventfd in epoll's events; smaller ones are sockets
    SERVICE_TAG = MAX_SOCKETS + 1
    WAIT_MS = 250               # how long a beat of the heart may take
    STOP_NS = 1000000000        # a stopping loop under load ends after so long, between batches
    STOP_WAITING_NS = 4000000000    # where queries wait for upstreams; less than the supervisor's patience

cdef struct HotSocket:
    int fd
    Newest* newest              # NULL: first come, first served
    uint32_t first_counter      # where it counts what it drops, in the listener's counters: Dropped
    ProxyRules* proxies         # NULL: who sends a message is its client
    uint32_t first_unserved     # where it counts what proxies' headers do not let in: _proxies: Unserved
    bint wildcard               # IP_PKTINFO: the reply leaves from where the query came to
    void* server                # const Server*

# What a socket with a stack counts, from its first counter on.
cdef enum Dropped:
    DROPPED_QUERIES = 0         # newer ones came
    DROPPED_REPLIES = 1         # the kernel did not take them

# All that the loop works on. Replies of a batch stand one after the other in ``replies``.
cdef struct Hot:
    Context* ctx
    ServiceTable services       # that queries may wait for
    uint32_t reader_slot
    HotSocket sockets[MAX_SOCKETS]
    uint32_t socket_count
    int epoll_fd
    int event_fd
    int stopping
    uint8_t* queries
    uint8_t* replies
    uint8_t* controls           # of queries, then of replies to queries that waited
    uint8_t* addresses
    void* headers_in
    void* headers_out
    void* iovecs
    Ahead* ahead                # of a group
    uint64_t* hashes            # theirs
    uint32_t sending            # replies that are ready, and the bytes they take
    uint32_t used
    HotSocket* sending_to
    mmsghdr* received[BATCH]    # the batch that is served
    ProxiedClient clients[BATCH]    # of messages to a socket with proxies
    uint32_t stacked            # datagrams in the stacks of all sockets


cdef class HotLoop:
    cdef Hot hot
    cdef Worker worker
    cdef readonly Services services
    cdef Newest* stacks
    cdef uint32_t stack_count
    cdef list keep
