"""A client query is suspended: it waits for a service, and its transport resumes it.

A *service* is what a query may wait for: upstreams, or plugins in Python. A step that needs one calls suspend,
which lets the service copy what it takes to serve the query again from its bytes (Suspended): the memory that the
query was received in belongs to the transport, which uses it for the next one. When the service has what was asked
for, it calls the transport's resume function with it. The transport serves the query again (serve_resumed), and the
same step finds what it has asked for with find_reply (_replies.pxd). It may be suspended again, for another
question or by another service: all that it has waited for stays with the query.

Each serving thread has services of its own, and calls them:

    flush      after each batch of queries, if ``unsent`` is set
    on_event   when epoll reports one of its descriptors
    on_time    while anything is outstanding: wait_ms says when
    give_up    when the thread ends: everybody is resumed
"""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from fastdns.serve._context cimport Chain, Context, Outcome, ServiceReply, ZoneEntry
from fastdns._wire cimport Reply

cdef enum:
    MAX_SUSPENDED_BYTES = 4096      # of messages: a longer one cannot wait
    MAX_REPLAYS = 16                # of one query that waits
    MAX_PEER_BYTES = 28             # struct sockaddr_in6
    MAX_CONTROL_BYTES = 40          # struct cmsghdr with struct in6_pktinfo

# The message follows the struct; then the question that is waited for, where a refresh goes on with that; then how
# to reach the client (peer_of, control_of). A query takes no more than it needs: tens of thousands may wait.
cdef struct Suspended:
    ServiceReply* replies           # what it has waited for before; given to who serves it again
    const void* asker               # the request, and the question that it is for
    uint64_t question
    uint64_t received_ns            # CLOCK_MONOTONIC
    uint64_t stale_after_ns         # then there is a stale answer to give; 0: there is none
    uint64_t token                  # the transport's own
    const ZoneEntry* chosen         # the block that it stays in, of a server with filters
    const Chain* chain              # that runs
    uint32_t asking_step            # which waits
    uint32_t step                   # where a background refresh goes on
    uint32_t zone_slot              # of its counters
    uint32_t asked                  # questions inside the query
    uint16_t message_len
    uint16_t question_len           # 0: it is the message's
    uint16_t sent_len               # of its EDNS options, those that upstreams are told
    uint16_t client_port
    uint16_t peer_len
    uint16_t control_len
    uint8_t client_at               # of the address in peer
    uint8_t client_len
    uint8_t transport
    uint8_t replays
    bint background

# struct sockaddr, and struct cmsghdr where there is one.
cdef inline uint8_t* peer_of(Suspended* query) noexcept nogil:
    return <uint8_t*>query + sizeof(Suspended) + query.message_len + query.question_len

cdef inline uint8_t* control_of(Suspended* query) noexcept nogil:
    return peer_of(query) + query.peer_len

# The transport serves a suspended query again, and delivers what comes of it.
ctypedef void (*resume_fn)(void* owner, Suspended* query, ServiceReply* reply) noexcept nogil

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

# The services of a thread, as its transport calls them.
cdef struct ServiceTable:
    uint32_t count
    Service** services
    uint32_t* first_tags            # of each

# How many client queries wait.
cdef inline uint32_t any_suspended(const ServiceTable* t) noexcept nogil:
    cdef uint32_t i
    cdef uint32_t found = 0
    for i in range(t.count):
        found += t.services[i].suspended
    return found

# How many things time may do something to.
cdef inline uint32_t any_outstanding(const ServiceTable* t) noexcept nogil:
    cdef uint32_t i
    cdef uint32_t found = 0
    for i in range(t.count):
        found += t.services[i].outstanding
    return found

cdef inline bint any_unsent(const ServiceTable* t) noexcept nogil:
    cdef uint32_t i
    for i in range(t.count):
        if t.services[i].unsent:
            return True
    return False

cdef inline void flush(const ServiceTable* t) noexcept nogil:
    cdef uint32_t i
    for i in range(t.count):
        if t.services[i].unsent:
            t.services[i].flush(t.services[i].state)

cdef inline void on_event(const ServiceTable* t, uint32_t tag) noexcept nogil:
    cdef uint32_t i = t.count
    while i > 0:
        i -= 1
        if tag >= t.first_tags[i]:
            t.services[i].on_event(t.services[i].state, tag)
            break
    # What it has resumed may wait for another service.
    flush(t)

cdef inline void on_time(const ServiceTable* t, uint64_t now_ns) noexcept nogil:
    cdef uint32_t i
    for i in range(t.count):
        if t.services[i].outstanding:
            t.services[i].on_time(t.services[i].state, now_ns)
    flush(t)

cdef inline int wait_ms(const ServiceTable* t, int limit_ms) noexcept nogil:
    cdef uint32_t i
    for i in range(t.count):
        limit_ms = t.services[i].wait_ms(t.services[i].state, limit_ms)
    return limit_ms

cdef inline void give_up(const ServiceTable* t) noexcept nogil:
    cdef uint32_t i
    for i in range(t.count):
        t.services[i].give_up(t.services[i].state)

# Let the query of ctx wait for a service of its thread. SUSPENDED; or ANSWERED with an error, where the query
# cannot wait: also where ctx.deadline_ns is over. When it comes while the query waits, the query is served again as
# if there were a stale answer to give (ServiceReply.stale), and what it waits for goes on for nobody.
cdef Outcome suspend(Context* ctx, Service* service, const void* request) noexcept nogil

# Serve a query again, as serve of _chain does, with the reply in ctx.replies. The caller has entered an epoch and
# set ctx.server. Nothing is written of a background refresh: 0.
cdef int32_t serve_resumed(Context* ctx, Suspended* query, ServiceReply* reply, uint8_t* out,
                           uint32_t room) noexcept nogil

# A background refresh is served again from the question that it is of, not from the message that led to it.
cdef inline uint32_t message_bytes(const Context* ctx) noexcept nogil:
    return ctx.q.msg_len if ctx.background else ctx.msg_len

# A query that is to be answered with what is stale goes on as a refresh of the question that is asked here.
cdef inline uint32_t question_bytes(const Context* ctx) noexcept nogil:
    return ctx.q.msg_len if ctx.stale_after_ns and not ctx.background and ctx.q.msg != ctx.msg else 0

# What write_suspended writes for the query of ctx.
cdef inline uint32_t suspended_bytes(const Context* ctx) noexcept nogil:
    return sizeof(Suspended) + message_bytes(ctx) + question_bytes(ctx) + ctx.peer_len + ctx.control_len

# For services: copy what it takes to serve the query of ctx again. What the query has waited for goes with it: once
# this is written, the service's suspend returns SUSPENDED.
cdef void write_suspended(Context* ctx, Suspended* query) noexcept nogil


cdef class NativeService:
    """A serving thread's service: a subclass fills in the table, and keeps what state points to."""
    cdef Service* service
    # Of what in the threads' slots steps find it.
    cdef readonly str name
    # Once, before anything is suspended: where the service's descriptors are waited for, the first tag of their
    # epoll events, and which function resumes queries. reply is room for looking replies through. Returns how many
    # tags it has.
    cdef int attach(self, int epoll_fd, uint32_t tag, Reply* reply, resume_fn resume, void* owner) except -1


cdef class Services:
    """The services of one thread."""
    cdef readonly list services
    cdef ServiceTable table
    # As attach of each, from a tag on. The workers find each service in the slot of its name.
    cdef int attach(self, list workers, int epoll_fd, uint32_t tag, Reply* reply, resume_fn resume,
                    void* owner) except -1
