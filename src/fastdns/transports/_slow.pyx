"""The slow thread's way to serve: see _slow.pxd."""

from libc.errno cimport errno
from libc.stdlib cimport free, malloc

from fastdns.memory._clock cimport monotonic_ns
from fastdns.serve._chain cimport OVER_TCP, OVER_UDP, Context, UpstreamReply, Worker, serve
from fastdns.metrics._stats cimport FAILED_DISCONNECTED, count_failed
from fastdns.memory._store cimport enter_epoch, leave_epoch
from fastdns.memory._syscalls cimport EPOLL_CLOEXEC, c_close, epoll_create1, epoll_event, epoll_wait
from fastdns._wire cimport MAX_MESSAGE_BYTES
from fastdns.serve._suspend cimport NativeService, Suspended, serve_resumed

cdef enum:
    EVENTS = 64
    LISTENER_SHIFT = 40             # of a token: its listener stands above its serial number
    IDLE_MS = 3600000

PARKED = object()


cdef void resume(void* owner, const Suspended* query, const UpstreamReply* reply) noexcept with gil:
    """What the service calls for a query that was suspended: only from flush, process, tick and give_up, so the
    thread has the GIL."""
    (<SlowPath>owner).resume(query, reply)


cdef class SlowPath:
    """workers: one a listener, in their order; service: that queries may wait for; None: they cannot."""

    def __cinit__(self, list workers not None, NativeService service=None):
        cdef Worker worker
        self.epoll_fd = -1
        self.workers = workers
        self.service = service
        self.waiting = {}
        self.out = <uint8_t*>malloc(MAX_MESSAGE_BYTES + 1)
        if self.out == NULL:
            raise MemoryError
        self.epoll_fd = epoll_create1(EPOLL_CLOEXEC)
        if self.epoll_fd < 0:
            raise OSError(errno, "epoll_create1")
        if service is not None:
            worker = workers[0]
            service.attach(self.epoll_fd, 0, worker.reply, resume, <void*>self)
            self.table = service.service
            for worker in workers:
                worker.ctx.service = self.table

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

    cdef int resume(self, const Suspended* query, const UpstreamReply* reply) except -1:
        """Serve a suspended query again, and deliver what comes of it."""
        cdef Worker worker = self.workers[query.token >> LISTENER_SHIFT]
        cdef Context* ctx = &worker.ctx
        cdef uint64_t token = query.token
        cdef bint background = query.background
        cdef int size
        cdef bint was_served
        if ctx.store != NULL:
            enter_epoch(ctx.store, worker.reader_slot)
        size = serve_resumed(ctx, query, reply, self.out, MAX_MESSAGE_BYTES)
        if ctx.store != NULL:
            leave_epoch(ctx.store, worker.reader_slot)
        if size < 0 or background:
            return 0
        # A reply that is bare has been counted as a failure already. (Delivering may serve the next query.)
        was_served = ctx.written and size > 0
        deliver = self.waiting.pop(token, None)
        if deliver is not None and deliver(self.out[:size] if size else None) is False and was_served:
            count_failed(ctx.counters, FAILED_DISCONNECTED)
        return 0

    def flush(self):
        """Send what serve has left to be sent. What cannot be sent may deliver."""
        if self.table != NULL and self.table.unsent:
            self.table.flush(self.table.state)

    def process(self):
        """Take what the service has received."""
        cdef epoll_event events[EVENTS]
        cdef int ready, i
        if self.table == NULL:
            return
        ready = epoll_wait(self.epoll_fd, events, EVENTS, 0)
        for i in range(ready):
            self.table.on_event(self.table.state, events[i].data.u32)

    def tick(self):
        """Look at the clock. Returns in how many seconds to do so again, or None: nothing is in flight."""
        if self.table == NULL or self.table.outstanding == 0:
            return None
        # After a pause of this thread, what has come meanwhile was not silence.
        self.process()
        self.table.on_time(self.table.state, monotonic_ns())
        if self.table.outstanding == 0:
            return None
        return self.table.wait_ms(self.table.state, IDLE_MS) / 1000

    def give_up(self):
        """Serve everybody who waits again, with what there is; later queries that would have to wait fail."""
        if self.table != NULL:
            self.table.give_up(self.table.state)

    @property
    def in_flight(self):
        """How many questions are in flight, those that nobody waits for included."""
        return 0 if self.table == NULL else self.table.outstanding

    @property
    def waits(self):
        """How many client queries are suspended."""
        return 0 if self.table == NULL else self.table.suspended
