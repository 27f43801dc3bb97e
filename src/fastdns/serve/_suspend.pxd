"""A client query is suspended: it waits for a service, and its transport resumes it.

A *service* is what a query may wait for: upstreams, for example. A step that needs one calls suspend, which lets
the service copy what it takes to serve the query again from its bytes (Suspended): the memory that the query was
received in belongs to the transport, which uses it for the next one. When the service has what was asked for, it
calls the transport's resume function with it. The transport serves the query again (serve_resumed), and the same
step finds what it has asked for in ``ctx.upstream``.

Each serving thread has a service of its own, and calls it:

    flush      after each batch of queries, if ``unsent`` is set
    on_event   when epoll reports one of its descriptors
    on_time    while anything is outstanding: wait_ms says when
    give_up    when the thread ends: everybody is resumed
"""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from fastdns.serve._chain cimport Chain, Context, Outcome, UpstreamReply
from fastdns._wire cimport Reply

cdef enum:
    MAX_SUSPENDED_BYTES = 4096      # of a message: a longer one cannot wait
    MAX_PEER_BYTES = 28             # struct sockaddr_in6
    MAX_CONTROL_BYTES = 40          # struct cmsghdr with struct in6_pktinfo

# The message follows the struct.
cdef struct Suspended:
    uint64_t received_ns            # CLOCK_MONOTONIC
    uint64_t stale_after_ns         # then there is a stale answer to give; 0: there is none
    uint64_t token                  # the transport's own
    const Chain* chain              # where a background refresh goes on
    uint32_t step
    uint32_t zone_slot              # of its counters
    uint16_t message_len
    uint16_t client_port
    uint16_t peer_len
    uint16_t control_len
    uint8_t client_at               # of the address in peer
    uint8_t client_len
    uint8_t transport
    uint8_t replays
    bint background
    uint8_t peer[MAX_PEER_BYTES]
    uint8_t control[MAX_CONTROL_BYTES]

# The transport serves a suspended query again, and delivers what comes of it.
ctypedef void (*resume_fn)(void* owner, const Suspended* query, const UpstreamReply* reply) noexcept nogil

# A table of functions, and what a transport looks at without a call. state is the service's own, and the first
# argument of each function.
cdef struct Service:
    void* state
    uint32_t outstanding            # what time may do something to
    uint32_t suspended              # client queries that wait
    bint unsent                     # flush has something to do
    Outcome (*suspend)(void* state, Context* ctx, const void* request) noexcept nogil
    # Send what suspended queries ask for. May resume.
    void (*flush)(void* state) noexcept nogil
    # A descriptor of the service is readable; tag is of its epoll events.
    void (*on_event)(void* state, uint32_t tag) noexcept nogil
    void (*on_time)(void* state, uint64_t now_ns) noexcept nogil
    # Milliseconds until on_time has something to do; limit_ms at most.
    int (*wait_ms)(void* state, int limit_ms) noexcept nogil
    # Resume everybody, with what there is, and suspend nobody any more.
    void (*give_up)(void* state) noexcept nogil

# Let the query of ctx wait for the thread's service, which must be there. PENDING; or ANSWERED with an error, where
# the query cannot wait.
cdef Outcome suspend(Context* ctx, const void* request) noexcept nogil

# Serve a query again, as serve of _chain does, with the reply in ctx.upstream. The caller has entered an epoch and
# set ctx.server. Nothing is written of a background refresh: 0.
cdef int32_t serve_resumed(Context* ctx, const Suspended* query, const UpstreamReply* reply, uint8_t* out,
                           uint32_t room) noexcept nogil

# A background refresh is served again from the question that it is of, not from the message that led to it.
cdef inline uint32_t message_bytes(const Context* ctx) noexcept nogil:
    return ctx.q.msg_len if ctx.background else ctx.msg_len

# What write_suspended writes for the query of ctx.
cdef inline uint32_t suspended_bytes(const Context* ctx) noexcept nogil:
    return sizeof(Suspended) + message_bytes(ctx)

# For services: copy what it takes to serve the query of ctx again.
cdef void write_suspended(const Context* ctx, Suspended* query) noexcept nogil


cdef class NativeService:
    """A serving thread's service: a subclass fills in the table, and keeps what state points to."""
    cdef Service* service
    # Once, before anything is suspended: where the service's descriptors are waited for, the first tag of their
    # epoll events, and which function resumes queries. reply is room for looking replies through.
    cdef int attach(self, int epoll_fd, uint32_t tag, Reply* reply, resume_fn resume, void* owner) except -1
