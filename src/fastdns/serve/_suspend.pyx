"""Suspended client queries: see _suspend.pxd."""

from libc.string cimport memcpy

from fastdns.serve._chain cimport (
    ERROR_REPLAYS, ERROR_TOO_LONG, MAX_REPLAYS, PENDING, bare, serve, serve_background,
)
from fastdns._wire cimport SERVFAIL, put_u16

cdef enum:
    OPT_CLASS_AT = 3                # in an OPT record: behind its owner and its type


cdef Outcome suspend(Context* ctx, const void* request) noexcept nogil:
    cdef Service* service = <Service*>ctx.service
    cdef Outcome outcome
    if ctx.replays >= MAX_REPLAYS:
        ctx.error = ERROR_REPLAYS
        return bare(ctx, SERVFAIL)
    if (ctx.peer_len > MAX_PEER_BYTES or ctx.control_len > MAX_CONTROL_BYTES
            or message_bytes(ctx) > MAX_SUSPENDED_BYTES):
        ctx.error = ERROR_TOO_LONG
        return bare(ctx, SERVFAIL)
    outcome = service.suspend(service.state, ctx, request)
    if outcome == PENDING:
        ctx.parked = True
    return outcome


cdef void write_suspended(const Context* ctx, Suspended* query) noexcept nogil:
    cdef uint8_t* message = <uint8_t*>query + sizeof(Suspended)
    query.received_ns = ctx.received_ns
    # An inner question's stale answer is not the query's.
    query.stale_after_ns = ctx.stale_after_ns if ctx.depth == 0 else 0
    query.token = ctx.token
    query.chain = ctx.chain
    query.step = ctx.background_step
    query.zone_slot = ctx.zone_slot
    query.message_len = message_bytes(ctx)
    query.client_port = ctx.client_port
    query.client_len = ctx.client_len
    query.client_at = ctx.client - ctx.peer if ctx.peer_len else 0
    query.transport = ctx.transport
    query.replays = ctx.replays
    query.background = ctx.background
    query.peer_len = ctx.peer_len
    query.control_len = ctx.control_len
    if ctx.peer_len:
        memcpy(query.peer, ctx.peer, ctx.peer_len)
    if ctx.control_len:
        memcpy(query.control, ctx.control, ctx.control_len)
    memcpy(message, ctx.q.msg if ctx.background else ctx.msg, query.message_len)
    if ctx.background and ctx.q.has_opt:
        # It goes on from the step that refreshes, where bufsize has done its part already.
        put_u16(message + ctx.q.opt_at + OPT_CLASS_AT, ctx.q.asked_udp_bytes)


cdef int32_t serve_resumed(Context* ctx, const Suspended* query, const UpstreamReply* reply, uint8_t* out,
                           uint32_t room) noexcept nogil:
    cdef const uint8_t* message = <const uint8_t*>query + sizeof(Suspended)
    cdef int32_t size = 0
    ctx.transport = query.transport
    ctx.token = query.token
    ctx.replays = query.replays + 1
    ctx.upstream = reply
    ctx.received_ns = query.received_ns
    ctx.client = query.peer + query.client_at
    ctx.client_len = query.client_len
    ctx.client_port = query.client_port
    ctx.peer = query.peer
    ctx.peer_len = query.peer_len
    ctx.control = query.control
    ctx.control_len = query.control_len
    if query.background:
        ctx.zone_slot = query.zone_slot
        serve_background(ctx, message, query.message_len, query.chain, query.step)
    else:
        size = serve(ctx, message, query.message_len, out, room)
    ctx.upstream = NULL
    return size


cdef class NativeService:
    cdef int attach(self, int epoll_fd, uint32_t tag, Reply* reply, resume_fn resume, void* owner) except -1:
        raise NotImplementedError
