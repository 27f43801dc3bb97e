"""What connections of clients have in common, natively: see _stream.pxd."""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.math cimport INFINITY

from fastdns.memory._clock cimport monotonic_ns
from fastdns.transports._shares cimport MOST_AHEAD
from fastdns.transports.stream import MAX_WAITING, WRITE_HIGH_BYTES

if WRITE_HIGH_BYTES != WRITE_HIGH:
    raise ImportError("the limits of connections differ")


cdef class StreamLayer(Layer):
    """One client's. Its attributes are those of ClientStream (stream.py), the other base of a connection."""

    def __cinit__(self, *_, **__):
        self.max_queries = -1
        self.max_waiting = MAX_WAITING

    @property
    def limits(self):
        """Limits."""
        return self.limits_

    @limits.setter
    def limits(self, limits):
        self.limits_ = limits
        self.idle_s = limits.idle_s
        self.max_queries = limits.max_queries

    @property
    def clients(self):
        """Clients."""
        return self.clients_

    @clients.setter
    def clients(self, clients):
        self.clients_ = clients
        self.turns = clients.turns
        self.open_places = clients.open

    @property
    def serve(self):
        """What serves its messages."""
        return self.serve_with

    @serve.setter
    def serve(self, serve):
        self.serve_with = serve
        self.serving = serve if isinstance(serve, Serving) else None

    @property
    def transport(self):
        """What it writes to; None before there is one, and when it is gone."""
        return self.transport_below

    @transport.setter
    def transport(self, transport):
        self.transport_below = transport
        self.below = transport if isinstance(transport, Layer) else None

    @property
    def owner(self):
        """Its client."""
        return self.share

    @owner.setter
    def owner(self, client):
        self.share = client
        self.owner_places = client.open

    cdef bint has_turn(self) except -1:
        cdef Share share = self.share
        if share is None or self.turns.left_of(share) > 0:
            return True
        share.passed = True
        return False

    cdef inline bint takes_more(self) except -1:
        return (
            self.transport_below is not None
            and not (self.paused or self.closing or self.finishing)
            and self.waiting < self.max_waiting
            and not (self.series is not None and self.series)
        )

    cdef long least_left(self) noexcept:
        return 0 if self.below is None else -MOST_AHEAD

    cdef int send_parts(self, const uint8_t* data, const Py_ssize_t* ends, int parts, long replies) except -1:
        cdef bint full
        if self.below is None or self.below.unsent_bytes():
            return self.send_parts_later(data, ends, parts, replies)
        full = self.below.put_parts(data, ends, parts)
        if self.below is not None and self.below.unsent_bytes():
            self.unsent.update(0)
            self.unsent.add(ends[parts - 1], replies)
            if full:
                self.pause_writing()
        return 0

    cdef int send_parts_later(self, const uint8_t* data, const Py_ssize_t* ends, int parts, long replies) except -1:
        cdef Py_ssize_t begin = 0
        cdef int part
        for part in range(parts):
            if self.transport_below is None or self.closing:
                self.clients_.failed("unread", replies // parts)
            else:
                self.send(PyBytes_FromStringAndSize(<const char*>data + begin, ends[part] - begin),
                          replies // parts)
            begin = ends[part]
        return 0

    cdef int go_on(self, bint served) except -1:
        if self.transport_below is None or self.closing:
            return 0
        if served:
            self.touch()
        if self.deferred:
            self.turns.defer(self)
        return self.wait_on(served)

    cdef int wait_on(self, bint progress) except -1:
        if (
            self.paused or self.closing or self.deferred or self.finishing or self.ended or not self.reading
            or self.waiting >= self.max_waiting or (self.series is not None and self.series)
            or self.clients_.draining
        ):
            self.read_on()
            self.settle(progress=progress)
        elif self.waiting:
            self.deadline = INFINITY
        elif progress:
            if self.below is None:
                self.deadline = self.clients_.loop.time() + self.idle_s
            else:
                # The clock of the loop, without a call of it.
                self.deadline = <double>monotonic_ns() / 1e9 + self.idle_s
        return 0

    cdef int touch(self) except -1:
        """It is the most recently active connection of its client, and of all."""
        if self in self.open_places:
            del self.open_places[self]
            self.open_places[self] = None
            del self.owner_places[self]
            self.owner_places[self] = None
        return 0
