"""Suspended client queries: see _suspend.pxd."""

from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from fastdns.metrics._stats cimport ERROR_DEADLINE, ERROR_IN_FLIGHT, ERROR_REPLAYS, ERROR_TOO_LONG
from fastdns.serve._chain cimport begin_message, serve, serve_background
from fastdns.serve._context cimport SUSPENDED, bare
from fastdns.serve._replies cimport forget_replies, keep_replies, question_of
from fastdns.serve._slots cimport slot_of
from fastdns.serve._worker cimport Worker
from fastdns._wire cimport SERVFAIL, put_u16

cdef enum:
    OPT_CLASS_AT = 3                # in an OPT record: behind its owner and its type


cdef bint may_wait(Context* ctx) noexcept nogil:
    """Whether there is time left; the service is to let go of the query when there is none any more."""
    if ctx.deadline_ns == 0 or ctx.background:
        return True
    # It has waited only if there was time at first.
    if ctx.replies != NULL and ctx.replies.received_ns >= ctx.deadline_ns:
        return False
    if ctx.stale_after_ns == 0:
        # Nobody has said where it goes on for nobody: with this step, to which its reply belongs.
        ctx.background_step = ctx.step
    if ctx.stale_after_ns == 0 or ctx.stale_after_ns > ctx.deadline_ns:
        ctx.stale_after_ns = ctx.deadline_ns
    return True


cdef Outcome suspend(Context* ctx, Service* service, const void* request) noexcept nogil:
    cdef Outcome outcome
    if ctx.replays >= MAX_REPLAYS:
        ctx.error = ERROR_REPLAYS
        return bare(ctx, SERVFAIL)
    if (ctx.peer_len > MAX_PEER_BYTES or ctx.control_len > MAX_CONTROL_BYTES
            or message_bytes(ctx) + question_bytes(ctx) > MAX_SUSPENDED_BYTES):
        ctx.error = ERROR_TOO_LONG
        return bare(ctx, SERVFAIL)
    if not may_wait(ctx):
        ctx.error = ERROR_DEADLINE
        return bare(ctx, SERVFAIL)
    if not keep_replies(ctx):
        ctx.error = ERROR_IN_FLIGHT
        return bare(ctx, SERVFAIL)
    ctx.request = request
    outcome = service.suspend(service.state, ctx, request)
    if outcome == SUSPENDED:
        ctx.suspended = True
        # They are the suspended query's.
        ctx.replies = NULL
    return outcome


cdef void write_suspended(Context* ctx, Suspended* query) noexcept nogil:
    cdef uint8_t* message = <uint8_t*>query + sizeof(Suspended)
    query.replies = ctx.replies
    query.asker = ctx.request
    query.question = question_of(ctx.q)
    query.asked = ctx.asked
    query.received_ns = ctx.received_ns
    query.stale_after_ns = ctx.stale_after_ns
    query.token = ctx.token
    query.chosen = ctx.chosen
    query.chain = ctx.chain
    query.asking_step = ctx.step
    query.step = ctx.background_step
    query.zone_slot = ctx.zone_slot
    query.message_len = message_bytes(ctx)
    query.question_len = question_bytes(ctx)
    query.sent_len = ctx.q.sent_len
    query.client_port = ctx.client_port
    query.client_len = ctx.client_len
    query.client_at = ctx.client - ctx.peer if ctx.peer_len else 0
    query.transport = ctx.transport
    query.replays = ctx.replays
    query.background = ctx.background
    query.peer_len = ctx.peer_len
    query.control_len = ctx.control_len
    if ctx.peer_len:
        memcpy(peer_of(query), ctx.peer, ctx.peer_len)
    if ctx.control_len:
        memcpy(control_of(query), ctx.control, ctx.control_len)
    memcpy(message, ctx.q.msg if ctx.background else ctx.msg, query.message_len)
    if query.question_len:
        message += query.message_len
        memcpy(message, ctx.q.msg, query.question_len)
    if (ctx.background or query.question_len) and ctx.q.has_opt:
        # It goes on from the step that refreshes, where bufsize has done its part already.
        put_u16(message + ctx.q.opt_at + OPT_CLASS_AT, ctx.q.asked_udp_bytes)


cdef int32_t serve_resumed(Context* ctx, Suspended* query, ServiceReply* reply, uint8_t* out,
                           uint32_t room) noexcept nogil:
    cdef const uint8_t* message = <const uint8_t*>query + sizeof(Suspended)
    cdef uint32_t length = query.message_len
    cdef int32_t size = 0
    # Many queries may wait for one reply; what this one has waited for before is its own.
    cdef ServiceReply newest = reply[0]
    newest.previous = query.replies
    newest.asker = query.asker
    newest.chain = query.chain
    newest.step = query.asking_step
    newest.question = query.question
    newest.kept = False
    query.replies = NULL
    begin_message(ctx, query.transport, query.received_ns, query.token, peer_of(query) + query.client_at,
                  query.client_len, query.client_port, peer_of(query), query.peer_len, control_of(query),
                  query.control_len)
    ctx.chosen = query.chosen
    ctx.replays = query.replays + 1
    ctx.replies = &newest
    ctx.asked_before = query.asked
    if query.background:
        ctx.zone_slot = query.zone_slot
        if query.question_len:
            message += query.message_len
            length = query.question_len
        serve_background(ctx, message, length, query.sent_len, query.chain, query.step)
    else:
        size = serve(ctx, message, length, out, room)
    if ctx.replies == &newest:
        forget_replies(ctx.kept, newest.previous)
    else:
        # It waits once more, and has taken them along; or it was kept, and refused all the same.
        forget_replies(ctx.kept, ctx.replies)
    reply.stored |= newest.stored
    ctx.replies = NULL
    return size


cdef class NativeService:
    cdef int attach(self, int epoll_fd, uint32_t tag, Reply* reply, resume_fn resume, void* owner) except -1:
        raise NotImplementedError


cdef class Services:
    """services: NativeServices, each of another name."""

    def __cinit__(self, list services not None):
        cdef NativeService one
        cdef uint32_t i
        self.services = services
        self.table.services = <Service**>calloc(max(1, len(services)), sizeof(Service*))
        self.table.first_tags = <uint32_t*>calloc(max(1, len(services)), sizeof(uint32_t))
        if self.table.services == NULL or self.table.first_tags == NULL:
            raise MemoryError
        for i in range(<uint32_t>len(services)):
            one = services[i]
            self.table.services[i] = one.service
        self.table.count = len(services)

    def __dealloc__(self):
        free(self.table.services)
        free(self.table.first_tags)

    cdef int attach(self, list workers, int epoll_fd, uint32_t tag, Reply* reply, resume_fn resume,
                    void* owner) except -1:
        cdef NativeService one
        cdef Worker worker
        cdef uint32_t i
        for i in range(self.table.count):
            one = self.services[i]
            self.table.first_tags[i] = tag
            tag += one.attach(epoll_fd, tag, reply, resume, owner)
            for worker in workers:
                worker.ctx.slots[slot_of(one.name)] = one.service
        return 0
