"""A service that a test plays: queries that wait for it are listed, and resumed with what the test says."""

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from fastdns.memory._clock cimport monotonic_ns
from fastdns.serve._chain cimport Ahead, begin_message, look_again, look_ahead, serve, serve_ahead
from fastdns.serve._context cimport (
    NEXT, OVER_TCP, OVER_UDP, SUSPENDED, Context, Outcome, ServiceReply, bare, written,
)
from fastdns.metrics._stats cimport ERROR_REPLAYS
from fastdns.serve._replies cimport find_reply
from fastdns.serve._slots cimport slot_of
from fastdns.serve._suspend cimport (
    NativeService, Service, Services, Suspended, resume_fn, serve_resumed, suspend, suspended_bytes,
    write_suspended,
)
from fastdns.serve._worker cimport Worker
from fastdns.serve._zones cimport NativeStep
from fastdns._wire cimport MAX_MESSAGE_BYTES, SERVFAIL, Reply
from fastdns.dns._replies cimport parse_reply
from tests.serve._idle cimport make_idle

WAITS = object()

cdef enum:
    MOST = 1024

cdef struct Played:
    Service service
    Suspended* waiting[MOST]
    uint8_t names[MOST][256]
    uint32_t name_lens[MOST]
    uint32_t types[MOST]
    uint32_t count
    bint refuses


cdef Outcome take(void* state, Context* ctx, const void* request) noexcept nogil:
    cdef Played* p = <Played*>state
    cdef Suspended* query
    cdef uint32_t i
    if p.refuses or p.count == MOST:
        ctx.error = ERROR_REPLAYS
        return bare(ctx, SERVFAIL)
    query = <Suspended*>malloc(suspended_bytes(ctx))
    if query == NULL:
        return bare(ctx, SERVFAIL)
    write_suspended(ctx, query)
    for i in range(ctx.q.name_len):
        p.names[p.count][i] = ctx.q.name[i]
    p.name_lens[p.count] = ctx.q.name_len
    p.types[p.count] = ctx.q.qtype
    p.waiting[p.count] = query
    p.count += 1
    return SUSPENDED


cdef void never(void* owner, Suspended* query, ServiceReply* reply) noexcept nogil:
    pass


cdef class PlayedService(NativeService):
    """What queries wait for is in ``Trial.asked``."""
    cdef Played played

    def __init__(self, str name not None):
        self.name = name
        make_idle(&self.played.service, &self.played)
        self.played.service.suspend = take
        self.service = &self.played.service

    def __dealloc__(self):
        cdef uint32_t i
        for i in range(self.played.count):
            free(self.played.waiting[i])

    cdef int attach(self, int epoll_fd, uint32_t tag, Reply* reply, resume_fn resume, void* owner) except -1:
        return 1

    def refuse(self, bint refuses=True):
        """Let nobody wait from now on."""
        self.played.refuses = refuses


cdef struct Waiting:
    uint32_t slot
    bint passes
    uint64_t asked


cdef Outcome wait_before(Context* ctx, const void* conf) noexcept nogil:
    cdef Waiting* c = <Waiting*>conf
    cdef const ServiceReply* reply = find_reply(ctx, c)
    cdef Service* service = <Service*>ctx.slots[c.slot]
    if reply == NULL:
        c.asked += 1
        return suspend(ctx, service, c)
    if c.passes:
        return NEXT
    if reply.msg == NULL or not parse_reply(reply.msg, reply.msg_len, ctx.q, ctx.reply):
        ctx.error = reply.error
        return bare(ctx, SERVFAIL)
    ctx.from_upstream = True
    return written(ctx)


cdef class Wait(NativeStep):
    """Lets every question wait for a service, and answers with what that says; passes: the next step does."""
    cdef Waiting conf

    def __init__(self, str service not None, *, bint passes=False):
        self.conf.slot = slot_of(service)
        self.conf.passes = passes
        self.step.before = wait_before
        self.step.conf = &self.conf

    @property
    def asked(self):
        """How often the service was asked."""
        return self.conf.asked


cdef class Trial:
    """A Worker, and services that a test plays."""
    cdef uint8_t* out
    cdef readonly Worker worker
    cdef Services services
    cdef uint64_t passed_ns

    def __cinit__(self, Worker worker not None, list services not None):
        self.worker = worker
        self.services = Services(services)
        self.services.attach([worker], -1, 0, worker.reply, never, NULL)
        self.out = <uint8_t*>malloc(MAX_MESSAGE_BYTES + 1)
        if self.out == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.out)

    cdef object finish(self, int32_t size):
        if size < 0:
            return WAITS
        return self.out[:size] if size else None

    cdef void begin(self, bytes client, uint8_t transport) except *:
        begin_message(&self.worker.ctx, transport, monotonic_ns() + self.passed_ns, 0, <const uint8_t*>client,
                      len(client), 53, <const uint8_t*>client, len(client), NULL, 0)

    def ask(self, bytes message not None, *, bytes client=b"\x7f\0\0\1", bint tcp=False):
        """The reply to a message, None for silence, or WAITS."""
        cdef Context* ctx = &self.worker.ctx
        self.begin(client, OVER_TCP if tcp else OVER_UDP)
        return self.finish(serve(ctx, <const uint8_t*>message, len(message), self.out, MAX_MESSAGE_BYTES))

    def ask_ahead(self, bytes message not None):
        """As ask, the way of a batch: the message is looked at before it is served."""
        cdef Context* ctx = &self.worker.ctx
        cdef Ahead ahead
        cdef bytearray room = bytearray(8 * max(1, self.worker.table.most_ahead))
        ahead.hashes = <uint64_t*><uint8_t*>room
        self.begin(b"\x7f\0\0\1", OVER_UDP)
        look_ahead(ctx, <const uint8_t*>message, len(message), &ahead)
        look_again(ctx, &ahead)
        return self.finish(serve_ahead(ctx, &ahead, <const uint8_t*>message, len(message), self.out,
                                       MAX_MESSAGE_BYTES))

    def asked(self, PlayedService service not None):
        """(lowercased wire name, type) of each question that waits, in their order."""
        cdef Played* p = &service.played
        cdef uint32_t i
        return [(p.names[i][:p.name_lens[i]], p.types[i]) for i in range(p.count)]

    def say(self, PlayedService service not None, reply, *, uint32_t number=0, bint stale=False,
            bint followed=False):
        """Resume one of those that wait: the reply to its client, None, or WAITS: it waits once more.

        reply: what the service says, or None for nothing. stale: it says nothing yet, and what is stale must do;
        the query stays, and nobody waits for it any more.
        """
        cdef Played* p = &service.played
        cdef Suspended* query = p.waiting[number]
        cdef ServiceReply said
        cdef uint32_t i
        memset(&said, 0, sizeof(said))
        said.received_ns = monotonic_ns() + self.passed_ns
        said.error = ERROR_REPLAYS
        said.stale = stale
        said.followed = followed
        if reply is not None:
            said.msg = <const uint8_t*><bytes>reply
            said.msg_len = len(reply)
        if not stale:
            p.count -= 1
            for i in range(number, p.count):
                p.waiting[i] = p.waiting[i + 1]
                p.names[i] = p.names[i + 1]
                p.name_lens[i] = p.name_lens[i + 1]
                p.types[i] = p.types[i + 1]
        size = serve_resumed(&self.worker.ctx, query, &said, self.out, MAX_MESSAGE_BYTES)
        if stale:
            query.background = True
        else:
            free(query)
        return self.finish(size)

    def sleep(self, uint64_t seconds):
        """From now on it is so much later."""
        self.passed_ns += seconds * 1000000000

    @property
    def kept_bytes(self):
        """What queries keep of what they have waited for."""
        return self.worker.kept.bytes

    def bound_kept(self, uint64_t most_bytes):
        """Let them keep no more than that."""
        self.worker.kept.most_bytes = most_bytes
