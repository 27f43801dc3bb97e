"""The slow thread's way to serve: see _slow.pxd."""

from libc.errno cimport errno
from libc.stdlib cimport free, malloc

from fastdns._chain cimport (
    OVER_TCP, OVER_UDP, Context, UpstreamReply, Worker, monotonic_ns, serve, serve_background,
)
from fastdns._stats cimport FAILED_DISCONNECTED, count_failed
from fastdns._store cimport enter_epoch, leave_epoch
from fastdns._upstream cimport (
    Exchanges, Waiter, flush, give_up, has_to_flush, on_event, on_time, wait_ms, waiter_msg,
)
from fastdns._wire cimport MAX_MESSAGE_BYTES

cdef extern from "sys/epoll.h" nogil:
    ctypedef union epoll_data_t:
        uint32_t u32
    struct epoll_event:
        uint32_t events
        epoll_data_t data
    int epoll_create1(int flags)
    int epoll_wait(int epfd, epoll_event* events, int maxevents, int timeout)
    enum:
        EPOLL_CLOEXEC

cdef extern from "unistd.h" nogil:
    int c_close "close"(int fd)

cdef enum:
    EVENTS = 64
    LISTENER_SHIFT = 40             # of a token: its listener stands above its serial number
    IDLE_MS = 3600000

PARKED = object()


cdef void serve_again(void* owner, Waiter* w, const UpstreamReply* reply) noexcept with gil:
    """What _upstream calls for a query that has waited. Called only from process and tick, so with the GIL."""
    (<SlowPath>owner).again(w, reply)


cdef class SlowPath:
    """workers: one a listener, in their order; exchanges: None where nothing is forwarded."""

    def __cinit__(self, list workers not None, Exchanges exchanges=None):
        cdef Worker worker
        self.epoll_fd = -1
        self.workers = workers
        self.exchanges = exchanges
        self.waiting = {}
        self.out = <uint8_t*>malloc(MAX_MESSAGE_BYTES + 1)
        if self.out == NULL:
            raise MemoryError
        self.epoll_fd = epoll_create1(EPOLL_CLOEXEC)
        if self.epoll_fd < 0:
            raise OSError(errno, "epoll_create1")
        if exchanges is not None:
            worker = workers[0]
            exchanges.attach(self.epoll_fd, 0, worker.reply, serve_again, <void*>self)
            for worker in workers:
                worker.ctx.exchanges = &exchanges.engine

    def __dealloc__(self):
        free(self.out)
        if self.epoll_fd >= 0:
            c_close(self.epoll_fd)

    @property
    def fd(self):
        """Readable when process has something to do."""
        return self.epoll_fd

    def serve(self, uint32_t listener, bytes message not None, bytes client not None, int client_port, deliver,
              *, bint tcp=True):
        """The reply to one message, None for silence, or PARKED: then deliver gets either of these later, once, and
        not before this has returned. What is to be sent to upstreams goes out with flush, process or tick.
        It returns False where the client is gone.

        client: 4 or 16 address bytes.
        """
        cdef Worker worker = self.workers[listener]
        cdef Context* ctx = &worker.ctx
        cdef int size
        ctx.transport = OVER_TCP if tcp else OVER_UDP
        ctx.client = <const uint8_t*>client
        ctx.client_len = len(client)
        ctx.client_port = client_port
        ctx.peer = ctx.client
        ctx.peer_len = ctx.client_len
        ctx.control_len = 0
        ctx.replays = 0
        ctx.upstream = NULL
        ctx.received_ns = monotonic_ns()
        self.serial += 1
        ctx.token = (<uint64_t>listener << LISTENER_SHIFT) | (self.serial & ((<uint64_t>1 << LISTENER_SHIFT) - 1))
        if ctx.store != NULL:
            enter_epoch(ctx.store, worker.reader_slot)
        size = serve(ctx, <const uint8_t*>message, len(message), self.out, MAX_MESSAGE_BYTES)
        if ctx.store != NULL:
            leave_epoch(ctx.store, worker.reader_slot)
        if size < 0:
            self.waiting[ctx.token] = deliver
            return PARKED
        return self.out[:size] if size else None

    cdef int again(self, Waiter* w, const UpstreamReply* reply) except -1:
        """Serve a query again that has waited, and deliver what comes of it."""
        cdef Worker worker = self.workers[w.token >> LISTENER_SHIFT]
        cdef Context* ctx = &worker.ctx
        cdef int size = 0
        cdef bint was_served
        ctx.transport = w.transport
        ctx.client = w.peer
        ctx.client_len = w.client_len
        ctx.client_port = w.client_port
        ctx.peer = w.peer
        ctx.peer_len = w.peer_len
        ctx.control_len = 0
        ctx.replays = w.replays + 1
        ctx.upstream = reply
        ctx.received_ns = w.received_ns
        ctx.token = w.token
        if ctx.store != NULL:
            enter_epoch(ctx.store, worker.reader_slot)
        if w.background:
            ctx.zone_slot = w.zone_slot
            serve_background(ctx, waiter_msg(w), w.msg_len, w.chain, w.step)
        else:
            size = serve(ctx, waiter_msg(w), w.msg_len, self.out, MAX_MESSAGE_BYTES)
        if ctx.store != NULL:
            leave_epoch(ctx.store, worker.reader_slot)
        ctx.upstream = NULL
        if size < 0 or w.background:
            return 0
        # A reply that is bare has been counted as a failure already. (Delivering may serve the next query.)
        was_served = ctx.written and size > 0
        deliver = self.waiting.pop(w.token, None)
        if deliver is not None and deliver(self.out[:size] if size else None) is False and was_served:
            count_failed(ctx.counters, FAILED_DISCONNECTED)
        return 0

    def flush(self):
        """Send what serve has left to be sent. What cannot be sent may deliver."""
        if self.exchanges is not None and has_to_flush(&self.exchanges.engine):
            flush(&self.exchanges.engine)

    def process(self):
        """Take what upstreams have answered."""
        cdef epoll_event events[EVENTS]
        cdef int ready, i
        if self.exchanges is None:
            return
        ready = epoll_wait(self.epoll_fd, events, EVENTS, 0)
        for i in range(ready):
            on_event(&self.exchanges.engine, events[i].data.u32)

    def tick(self):
        """Look at the clock. Returns in how many seconds to do so again, or None: nothing is in flight."""
        if self.exchanges is None or self.exchanges.engine.out == 0:
            return None
        # After a pause of this thread, what has come meanwhile was not silence.
        self.process()
        on_time(&self.exchanges.engine, monotonic_ns())
        if self.exchanges.engine.out == 0:
            return None
        return wait_ms(&self.exchanges.engine, IDLE_MS) / 1000

    def give_up(self):
        """Serve everybody who waits again, with what there is; later queries that would have to wait fail."""
        if self.exchanges is not None:
            give_up(&self.exchanges.engine)

    @property
    def in_flight(self):
        """How many questions are in flight, those that nobody waits for included."""
        return 0 if self.exchanges is None else self.exchanges.engine.out

    @property
    def waits(self):
        """How many queries wait for upstreams."""
        return 0 if self.exchanges is None else self.exchanges.engine.waiting
