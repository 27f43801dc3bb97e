"""The slow thread's way to serve: see _slow.pxd."""

from libc.errno cimport errno
from libc.stdint cimport int32_t, uint16_t
from libc.stdlib cimport free, malloc

from fastdns.dns._signatures cimport signature_bytes
from fastdns.memory._clock cimport monotonic_ns
from fastdns.memory._store cimport enter_epoch, leave_epoch
from fastdns.memory._syscalls cimport EPOLL_CLOEXEC, c_close, epoll_create1, epoll_event, epoll_wait
from fastdns.metrics._stats cimport FAILED_DISCONNECTED, count_failed
from fastdns.serve._arrival cimport write_arrival
from fastdns.serve._chain cimport begin_message, serve
from fastdns.serve._context cimport OVER_TCP, Chain, Context, ServiceReply
from fastdns.serve._following cimport (
    ALL_SENT, CLIENT_CLOSED, CLIENT_READS_TOO_SLOWLY, LATER, SERVER_CLOSED,
)
from fastdns.serve._signed cimport signer_of
from fastdns.serve._slots cimport slot_of
from fastdns.serve._suspend cimport (
    Services, Suspended, any_outstanding, any_suspended, any_unsent, flush, give_up, on_event, on_time,
    serve_resumed, wait_ms,
)
from fastdns.serve._worker cimport Worker
from fastdns._wire cimport MAX_MESSAGE_BYTES, reply_reset

cdef enum:
    EVENTS = 64
    LISTENER_SHIFT = 40             # of a token: its listener stands above its serial number
    IDLE_MS = 3600000

PARKED = object()


cdef class Messages:
    """A reply of several messages, which the transport asks for one at a time, as its client has room for them."""

    def next(self):
        """The next message; b"" where there is none any more; None where the reply cannot go on. PARKED: there is
        none yet, ask in another turn."""
        cdef Worker worker = self.worker
        cdef uint32_t room = MAX_MESSAGE_BYTES
        cdef bytes message
        cdef uint8_t* out
        cdef int32_t size
        if self.over:
            return b""
        if self.signer is not None:
            room -= signature_bytes(&self.signer.signing)
        out = <uint8_t*>malloc(room)
        if out == NULL:
            raise MemoryError
        try:
            reply_reset(worker.ctx.reply)
            if worker.ctx.store != NULL:
                enter_epoch(worker.ctx.store, worker.reader_slot)
            size = self.following.next(&self.following, &worker.ctx, out, room)
            if worker.ctx.store != NULL:
                leave_epoch(worker.ctx.store, worker.reader_slot)
            message = out[:size] if size > 0 else b""
        finally:
            free(out)
        if size > 0:
            return message if self.signer is None else self.signer.sign(message)
        if size == LATER:
            return PARKED
        self.end(size)
        return b"" if size == ALL_SENT else None

    def close(self, str why not None="peer"):
        """The connection is gone. why: as connections say it of themselves."""
        self.end(CLIENT_CLOSED if why == "peer" else CLIENT_READS_TOO_SLOWLY if why == "unread" else SERVER_CLOSED)

    def __del__(self):
        self.end(SERVER_CLOSED)

    cdef int end(self, int32_t why) except -1:
        if not self.over and self.following.ended != NULL:
            self.over = True
            self.following.ended(&self.following, why)
        return 0


cdef void resume(void* owner, Suspended* query, ServiceReply* reply) noexcept with gil:
    """What the service calls for a query that was suspended: only from flush, process, tick and give_up, so the
    thread has the GIL."""
    (<SlowPath>owner).resume(query, reply)


cdef int set_entry(Context* ctx, tuple inside) except -1:
    """Where a message begins. inside: None for a client's."""
    ctx.inside = 0
    ctx.entry = NULL
    if inside is None:
        return 0
    ctx.inside = inside[0]
    if inside[1] is not None:
        chain, step, zone_slot = inside[1]
        ctx.entry = <const Chain*><uint64_t>chain
        ctx.entry_step = <uint32_t>step + 1
        ctx.entry_slot = zone_slot
    return 0


cdef class SlowPath:
    """workers: one a listener, in their order; services: that queries may wait for."""

    def __cinit__(self, list workers not None, list services=None):
        cdef Worker worker
        self.epoll_fd = -1
        self.workers = workers
        self.services = Services(services or [])
        self.waiting = {}
        self.asked = {}
        self.out = <uint8_t*>malloc(MAX_MESSAGE_BYTES + 1)
        if self.out == NULL:
            raise MemoryError
        self.epoll_fd = epoll_create1(EPOLL_CLOEXEC)
        if self.epoll_fd < 0:
            raise OSError(errno, "epoll_create1")
        for worker in workers:
            worker.slots[slot_of("following")] = &self.following
        if workers:
            worker = workers[0]
            self.services.attach(workers, self.epoll_fd, 0, worker.reply, resume, <void*>self)
        self.table = self.services.table

    def __dealloc__(self):
        free(self.out)
        if self.epoll_fd >= 0:
            c_close(self.epoll_fd)

    @property
    def fd(self):
        """Readable when process has something to do."""
        return self.epoll_fd

    def serve(self, uint32_t listener, bytes message not None, bytes client not None, int client_port, deliver,
              *, uint8_t transport=OVER_TCP, bytes local not None=b""):
        """The reply to one message, None for silence, or PARKED: then deliver gets either of these later, once, and
        not before this has returned. Over a stream a reply may be Messages; else it is bytes. What is to be sent to
        upstreams goes out with flush, process or tick.
        It returns False where the client is gone.

        client: 4 or 16 address bytes. transport: the number of its row (transports/table.py). local: of a listener
        on every address, the one that the message came to.
        """
        return self.begin(listener, message, client, client_port, deliver, transport, local, None)

    def ask(self, uint32_t listener, bytes message not None, bytes client not None, int client_port, deliver,
            *, uint8_t transport, uint8_t depth, tuple entry=None, bytes local not None=b""):
        """As serve, for a step in Python that asks for the sake of a query. It is counted as no client's query, and
        the reply is whole, also over UDP.

        depth: how many questions it is inside of, itself included. entry: the steps that are asked, as the service
        of steps in Python has told of the query (chain, its step that asks, counters of the zone); None: all of the
        server's. What the service has told is right for as long as the worker serves.
        """
        if depth == 0:
            raise ValueError("a depth of at least 1 expected")
        return self.begin(listener, message, client, client_port, deliver, transport, local, (depth, entry))

    cdef object begin(self, uint32_t listener, bytes message, bytes client, int client_port, deliver,
                      uint8_t transport, bytes local, tuple inside):
        cdef int size = self.run(listener, message, len(message), client, client_port, transport, local, inside,
                                 self.out)
        if size < 0:
            self.waiting[self.token] = deliver
            if inside is not None:
                self.asked[self.token] = inside
            return PARKED
        return self.reply(self.workers[listener], size)

    cdef int run(self, uint32_t listener, const uint8_t* message, uint32_t message_len, bytes client,
                 int client_port, uint8_t transport, bytes local, tuple inside, uint8_t* out) except? -2:
        cdef Worker worker = self.workers[listener]
        cdef Context* ctx = &worker.ctx
        cdef uint64_t token
        cdef uint16_t control_len = 0
        cdef int size
        if len(local) == 4 or len(local) == 16:
            control_len = write_arrival(self.control, <const uint8_t*>local, len(local))
        self.serial += 1
        token = <uint64_t>listener << LISTENER_SHIFT | (self.serial & ((<uint64_t>1 << LISTENER_SHIFT) - 1))
        # The client's address is all that there is of a way back.
        begin_message(ctx, transport, monotonic_ns(), token, <const uint8_t*>client, len(client), client_port,
                      <const uint8_t*>client, len(client), self.control, control_len)
        set_entry(ctx, inside)
        self.following.next = NULL
        if ctx.store != NULL:
            enter_epoch(ctx.store, worker.reader_slot)
        size = serve(ctx, message, message_len, out, MAX_MESSAGE_BYTES)
        if ctx.store != NULL:
            leave_epoch(ctx.store, worker.reader_slot)
        self.token = token
        return -1 if size < 0 else size

    cdef object reply(self, Worker worker, int size):
        cdef Messages messages
        if size == 0:
            return None
        if self.following.next == NULL:
            return self.out[:size]
        messages = Messages.__new__(Messages)
        messages.worker = worker
        messages.following = self.following
        messages.signer = signer_of(&worker.ctx)
        return messages

    cdef int resume(self, Suspended* query, ServiceReply* reply) except -1:
        """Serve a suspended query again, and deliver what comes of it."""
        cdef Worker worker = self.workers[query.token >> LISTENER_SHIFT]
        cdef Context* ctx = &worker.ctx
        cdef uint64_t token = query.token
        cdef bint background = query.background
        cdef int size
        cdef bint was_served
        set_entry(ctx, self.asked.get(token) if self.asked else None)
        self.following.next = NULL
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
        if self.asked:
            self.asked.pop(token, None)
        if deliver is not None and deliver(self.reply(worker, size)) is False and was_served:
            count_failed(ctx.counters, FAILED_DISCONNECTED)
        return 0

    def flush(self):
        """Send what serve has left to be sent. What cannot be sent may deliver."""
        if any_unsent(&self.table):
            flush(&self.table)

    def process(self):
        """Take what the services have received."""
        cdef epoll_event events[EVENTS]
        cdef int ready, i
        if self.table.count == 0:
            return
        ready = epoll_wait(self.epoll_fd, events, EVENTS, 0)
        for i in range(ready):
            on_event(&self.table, events[i].data.u32)

    def tick(self):
        """Look at the clock. Returns in how many seconds to do so again, or None: nothing is in flight."""
        if not any_outstanding(&self.table):
            return None
        # After a pause of this thread, what has come meanwhile was not silence.
        self.process()
        on_time(&self.table, monotonic_ns())
        if not any_outstanding(&self.table):
            return None
        return wait_ms(&self.table, IDLE_MS) / 1000

    def give_up(self):
        """Serve everybody who waits again, with what there is; later queries that would have to wait fail."""
        give_up(&self.table)

    @property
    def may_wait(self):
        """Whether queries can wait for anything."""
        return self.table.count != 0

    @property
    def in_flight(self):
        """How many questions are in flight, those that nobody waits for included."""
        return any_outstanding(&self.table)

    @property
    def waits(self):
        """How many client queries are suspended."""
        return any_suspended(&self.table)


cdef class Serving:
    """slow: what serves. listener, transport, local: as of its serve. otherwise: serves messages that are objects,
    and says what becomes of an error. ask_soon: called when the services have something to send."""

    def __cinit__(self, SlowPath slow not None, uint32_t listener, uint8_t transport, otherwise, ask_soon,
                  bytes local not None=b""):
        if listener >= len(slow.workers):
            raise ValueError(f"no listener: {listener}")
        self.slow = slow
        self.listener = listener
        self.transport = transport
        self.otherwise = otherwise
        self.ask_soon = ask_soon
        self.local = local

    def __call__(self, message, client, client_port, deliver):
        return self.otherwise(message, client, client_port, deliver)

    cdef int run(self, const uint8_t* message, uint32_t message_len, bytes client, int client_port,
                 uint8_t* out) except? -2:
        return self.slow.run(self.listener, message, message_len, client, client_port, self.transport, self.local,
                             None, out)

    cdef object messages(self):
        return None if self.slow.following.next == NULL else self.slow.reply(self.slow.workers[self.listener], 1)

    cdef int park(self, deliver) except -1:
        self.slow.waiting[self.slow.token] = deliver
        return 0

    cdef int served(self, bint parked) except -1:
        if parked or (not self.slow.timed and any_outstanding(&self.slow.table)):
            self.ask_soon()
        return 0


def serving(slow, listener, transport, otherwise, ask_soon, bytes local not None=b""):
    """What serves the messages of connections: a Serving; or otherwise, where slow is of a class of its own."""
    if type(slow) is not SlowPath:
        return otherwise
    return Serving(slow, listener, transport, otherwise, ask_soon, local)
