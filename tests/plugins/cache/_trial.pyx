"""A chain with a scripted upstream below it, served message by message with a given clock: for tests.

What a transport and ``_upstream`` do between them with a query that waits is done by hand: ``ask`` may return
PARKED, and ``resume`` serves the same message again with what the upstream is to have said.
"""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from fastdns.serve._chain cimport begin_message, serve, serve_background
from fastdns.serve._context cimport (
    DROPPED, OVER_UDP, SUSPENDED, Chain, Context, Outcome, ServiceReply, bare, written,
)
from fastdns.metrics._stats cimport ERROR_REPLAYS
from fastdns.serve._replies cimport question_of, reply_to
from fastdns.serve._worker cimport Worker
from fastdns.serve._zones cimport NativeStep
from fastdns._wire cimport (
    ACCEPTED, FLAG_AD, MAX_MESSAGE_BYTES, SERVFAIL, Query, accept,
)
from fastdns.dns._replies cimport answers_question, parse_reply

PARKED = object()


cdef struct Script:
    const uint8_t* reply        # what it answers; NULL: see the rest
    uint32_t reply_len
    bint local                  # the reply is the server's own
    bint parks                  # it will answer later
    bint drops
    uint16_t rcode              # what it refuses with
    # What it has seen.
    uint32_t asked
    uint32_t asked_in_background
    uint32_t asked_with_ad
    uint64_t stale_after_ns
    # Of the query that it parked last.
    const Chain* chain
    uint32_t step


cdef Outcome say(Context* ctx, const uint8_t* reply, uint32_t reply_len, bint from_upstream) noexcept nogil:
    if reply == NULL or not parse_reply(reply, reply_len, ctx.q, ctx.reply):
        ctx.error = ERROR_REPLAYS
        return bare(ctx, SERVFAIL)
    ctx.from_upstream = from_upstream
    return written(ctx)


cdef Outcome before(Context* ctx, const void* conf) noexcept nogil:
    cdef Script* s = <Script*>conf
    cdef const ServiceReply* reply = reply_to(ctx)
    if reply != NULL and not reply.stale:
        return say(ctx, reply.msg, reply.msg_len, True)
    s.asked += 1
    s.asked_in_background += ctx.background
    s.asked_with_ad += ctx.asked_set & FLAG_AD != 0
    s.stale_after_ns = ctx.stale_after_ns
    if s.drops:
        return DROPPED
    if s.parks:
        s.chain = ctx.chain
        s.step = ctx.background_step
        ctx.suspended = True
        return SUSPENDED
    if s.reply == NULL:
        ctx.error = ERROR_REPLAYS
        return bare(ctx, s.rcode)
    return say(ctx, s.reply, s.reply_len, not s.local)


cdef class ScriptedUpstream(NativeStep):
    """The last step of a chain: it says what it is told to. It keeps the Trial's records of what it was asked."""
    cdef Script script
    cdef bytes reply

    def __init__(self):
        memset(&self.script, 0, sizeof(Script))
        self.script.rcode = SERVFAIL
        self.step.before = before
        self.step.conf = &self.script

    def answer(self, reply, *, bint local=False):
        """Answer with a message from now on; None: with SERVFAIL and an error, as if nobody had answered.

        local: the reply is the server's own, not an upstream's.
        """
        self.reply = reply
        self.script.reply = <const uint8_t*><bytes>reply if reply is not None else NULL
        self.script.reply_len = len(reply) if reply is not None else 0
        self.script.local = local
        self.script.parks = False
        self.script.drops = False

    def refuse(self, uint16_t rcode):
        """Answer with an rcode that nobody wrote."""
        self.answer(None)
        self.script.rcode = rcode

    def drop(self):
        """Meet queries with silence."""
        self.script.drops = True

    def park(self):
        """Let queries wait from now on: see Trial.resume."""
        self.script.parks = True

    @property
    def asked(self):
        """How many questions have come this far."""
        return self.script.asked

    @property
    def asked_in_background(self):
        return self.script.asked_in_background

    @property
    def asked_with_ad(self):
        return self.script.asked_with_ad

    @property
    def stale_after_ns(self):
        """When the last question was to be served stale; 0: never."""
        return self.script.stale_after_ns


cdef class Trial:
    """A Worker that is told what time it is, and what upstreams say. upstream: the last step of its chains."""
    cdef uint8_t* out
    cdef readonly Worker worker
    cdef readonly ScriptedUpstream upstream

    def __cinit__(self, Worker worker not None, ScriptedUpstream upstream not None):
        self.worker = worker
        self.upstream = upstream
        self.out = <uint8_t*>malloc(MAX_MESSAGE_BYTES + 1)
        if self.out == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.out)

    cdef object finish(self, int32_t size):
        if size < 0:
            return PARKED
        return self.out[:size] if size else None

    def ask(self, bytes message not None, uint64_t now_ns):
        """The reply to a message, None for silence, or PARKED. now_ns: the time in CLOCK_MONOTONIC."""
        begin_message(&self.worker.ctx, OVER_UDP, now_ns, 0, <const uint8_t*>b"\x7f\0\0\1", 4, 53, NULL, 0, NULL, 0)
        return self.finish(serve(&self.worker.ctx, <const uint8_t*>message, len(message), self.out,
                                 MAX_MESSAGE_BYTES))

    def resume(self, bytes message not None, uint64_t now_ns, reply=None, *, bint stale=False,
               bint background=False, bint stored=False):
        """Serve a message again that was parked: the reply, None, or PARKED.

        reply: the upstream's, or None where there is none. stale: it is still to come, and what is stale must do.
        background: nobody waits any more, or has ever waited. stored: another query that waited has stored it.
        Raises ValueError where the reply is no answer to the question.
        """
        cdef ServiceReply said
        cdef Query q
        memset(&said, 0, sizeof(said))
        said.stale = stale
        said.stored = stored
        said.received_ns = now_ns
        said.error = ERROR_REPLAYS
        if accept(<const uint8_t*>message, len(message), &q) != ACCEPTED:
            raise ValueError("the query is no query")
        said.question = question_of(&q)
        if reply is not None:
            if not answers_question(<const uint8_t*><bytes>reply, len(reply), q.name, q.name_len, q.qtype,
                                    q.qclass):
                raise ValueError("the reply is none to the query")
            said.msg = <const uint8_t*><bytes>reply
            said.msg_len = len(reply)
        # received_ns stays when the query came: long ago.
        self.worker.ctx.replies = &said
        self.worker.ctx.replays = 1
        try:
            if background:
                serve_background(&self.worker.ctx, <const uint8_t*>message, len(message), 0,
                                 self.upstream.script.chain, self.upstream.script.step)
                return None
            return self.finish(serve(&self.worker.ctx, <const uint8_t*>message, len(message), self.out,
                                     MAX_MESSAGE_BYTES))
        finally:
            self.worker.ctx.replies = NULL
