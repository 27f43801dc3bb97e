"""A connection of HTTP, whose requests are DNS messages: see _https.pxd."""

from functools import partial

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint32_t
from libc.stdlib cimport malloc

from fastdns.dns._numbers cimport MAX_MESSAGE_BYTES
from fastdns.transports._http2 cimport LEAST_ROOM, Exchange
from fastdns.transports._shares cimport MOST_AHEAD, QUERIES
from fastdns.transports._slow import PARKED, Messages
from fastdns.transports._stream cimport WRITE_HIGH
from fastdns.transports.stream import WRITE_MOST_BYTES

cdef enum:
    OK = 200
    NO_REPLY = 500
    # Responses that are gathered: as many as may be sent at once, and what one call of the session adds to them.
    GATHERED_BYTES = 2 * WRITE_HIGH + LEAST_ROOM
    MOST_PARTS = QUERIES + MOST_AHEAD
    # What a session has changes with each request by the fields that it remembers. It is counted again where it has
    # more than was counted, or less by so much.
    SESSION_STEP_BYTES = 4096

cdef Py_ssize_t MOST_UNSENT_BYTES = WRITE_MOST_BYTES

# The reply to the request that is served now, and the responses of its connection, in parts. They are sent before
# anybody else is called.
cdef uint8_t* served = <uint8_t*>malloc(MAX_MESSAGE_BYTES + 1)
cdef uint8_t* gathered = <uint8_t*>malloc(GATHERED_BYTES)
if served == NULL or gathered == NULL:
    raise MemoryError
cdef Py_ssize_t ends[MOST_PARTS]
cdef int parts = 0


cdef class HttpLayer(StreamLayer):
    """One client's."""

    def __cinit__(self, *_, **__):
        self.beginning = b""

    cdef int begin(self, bytes data) except -1:
        """Find out which version it is."""
        self.beginning += data
        http = self.version(self.beginning)
        if http is None:
            return 0
        data = self.beginning
        self.beginning = b""
        if isinstance(http, Http2):
            self.http2 = http
            self.http2.feed(<const uint8_t*>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))
        else:
            # The next request waits in its place until this one is answered.
            self.max_waiting = 1
            self.http1 = http
            self.http1.receive(data)
        return 0

    cdef int receive(self, const uint8_t* data, Py_ssize_t size) except -1:
        if self.http2 is not None:
            self.http2.feed(data, size)
        elif self.http1 is not None:
            self.http1.receive(PyBytes_FromStringAndSize(<const char*>data, size))
        else:
            self.begin(PyBytes_FromStringAndSize(<const char*>data, size))
        self.serve_requests()
        return self.count_held()

    # Requests

    cdef bint has_request(self) except -1:
        return self.http2.has_next() if self.http2 is not None else self.http1.unserved

    def unserved(self):
        """How many whole requests have come that are not served."""
        if self.http2 is not None:
            return self.http2.unserved()
        return 0 if self.http1 is None else self.http1.unserved

    def pending_bytes(self):
        """What is held of requests, and of responses that no window has room for."""
        if self.http2 is not None:
            return self.http2.request_bytes
        return len(self.beginning) if self.http1 is None else self.http1.request_bytes

    def answer_pending(self):
        """Answer every whole request that has come, unless replies are left unread or the client has to wait."""
        self.serve_requests()

    cdef int serve_requests(self) except -1:
        global parts
        cdef long left, begun, least, asked
        cdef bint waits = False
        if self.deferred or (self.http2 is None and self.http1 is None):
            return 0
        parts = 0
        left = begun = self.turns.left_of(self.share)
        least = self.least_left()
        asked = self.asked
        while self.takes_more() and self.has_request():
            if left <= least:
                self.deferred = True
                break
            left -= 1
            self.asked += 1
            waits |= self.serve_next() if self.http2 is not None else self.serve_next_object()
            if 0 <= self.max_queries <= self.asked:
                self.goodbye()
                self.finish_for("max_queries")
        self.share.left -= begun - left
        if self.serving is not None:
            self.serving.served(waits)
        self.send_all()
        return self.go_on(self.asked > asked)

    cdef bint serve_next(self) except -1:
        """The next request of HTTP/2. True where it waits."""
        cdef Exchange* exchange = self.http2.next()
        cdef int32_t stream = exchange.stream
        cdef int length
        if exchange.status:
            self.respond(stream, exchange.status, NULL, 0)
            return False
        if self.serving is None:
            message = PyBytes_FromStringAndSize(<const char*>exchange.message, exchange.message_len)
            return self.serve_object(stream, message)
        length = self.serving.run(exchange.message, exchange.message_len, self.address, self.port, served)
        if length < 0:
            self.waiting += 1
            self.serving.park(partial(self.deliver, stream))
            return True
        if length == 0:
            self.respond(stream, NO_REPLY, NULL, 0)
        elif (several := self.serving.messages()) is not None:
            self.respond_with(stream, several)
        else:
            self.respond(stream, OK, served, length)
        return False

    cdef bint serve_next_object(self) except -1:
        """The next request of HTTP/1.1."""
        stream, message = self.http1.next()
        if isinstance(message, int):
            self.respond(stream, message, NULL, 0)
            return False
        return self.serve_object(stream, message)

    cdef bint serve_object(self, int32_t stream, bytes message) except -1:
        """Serve one with what serves objects. It waits by itself."""
        reply = self.serve_with(message, self.address, self.port, partial(self.deliver, stream))
        if reply is PARKED:
            self.waiting += 1
        else:
            self.respond_with(stream, reply)
        return False

    def deliver(self, int32_t stream, reply):
        """Respond to a request whose query has waited for an upstream. Returns False where the client is gone."""
        global parts
        cdef bint sent
        self.waiting -= 1
        if self.transport_below is None or self.closing:
            return False
        parts = 0
        sent = self.respond_with(stream, reply)
        self.send_gathered(later=self.waiting > 0)
        self.send_all()
        if self.has_request():
            self.serve_requests()
        if self.transport_below is not None and not self.closing:
            self.wait_on(True)
        self.count_held()
        return sent

    # Responses

    cdef int respond_with(self, int32_t stream, reply) except -1:
        """Respond with a reply, or with the status of one that there is none of. 0: the client is gone."""
        if isinstance(reply, bytes):
            if PyBytes_GET_SIZE(reply) > MAX_MESSAGE_BYTES:
                raise ValueError(f"a message of at most {MAX_MESSAGE_BYTES} bytes expected, got {len(reply)}")
            return self.respond(stream, OK, <const uint8_t*>PyBytes_AS_STRING(reply), PyBytes_GET_SIZE(reply))
        if isinstance(reply, Messages):
            # A response has one message (RFC 8484 section 6).
            reply.close("peer")
        return self.respond(stream, NO_REPLY, NULL, 0)

    cdef bint respond(self, int32_t stream, uint16_t status, const uint8_t* reply, Py_ssize_t size) except -1:
        """Respond to a request, if its client still waits for it. reply: with status 200."""
        cdef Exchange* exchange
        if self.http2 is not None:
            exchange = self.http2.served_on(stream)
            if exchange == NULL:
                return False
            self.http2.answer(exchange, status, reply, <uint32_t>size)
        else:
            self.http1.answer(status, reply[:size] if status == OK else None)
        self.count(status)
        self.gather()
        return True

    cdef int gather(self) except -1:
        """Take what there is to send, and has room in the client's windows. A client that gives none is closed.

        Each response is a part, and so one TLS record: dnsperf loses those that share a record.
        """
        global parts
        cdef Py_ssize_t begin, size, room
        if self.http2 is None:
            if not self.closing and (data := self.http1.output()):
                self.send(data, 1)
            return 0
        while not (self.paused or self.closing) and self.transport_below is not None:
            begin = ends[parts - 1] if parts else 0
            room = GATHERED_BYTES - begin
            size = self.http2.output(gathered + begin, room)
            if size:
                ends[parts] = begin + size
                parts += 1
                if begin + size >= WRITE_HIGH or parts == MOST_PARTS:
                    # May pause this connection: then the rest waits.
                    self.send_gathered()
            if room - size >= LEAST_ROOM:
                # There is no more.
                break
        if self.http2.unsent_bytes > MOST_UNSENT_BYTES and not self.paused:
            self.send_gathered()
            self.end("unread")
        return 0

    cdef int send_gathered(self, bint later=False) except -1:
        global parts
        cdef int count = parts
        parts = 0
        if not count or self.transport_below is None or self.closing:
            return 0
        if later:
            return self.send_parts_later(gathered, ends, count, count)
        return self.send_parts(gathered, ends, count, count)

    cdef int send_all(self) except -1:
        """Send what there is, and close the connection where nothing follows."""
        self.gather()
        self.send_gathered()
        if self.transport_below is not None and not self.closing:
            if self.http2.is_over() if self.http2 is not None else self.http1.is_over:
                self.close(self.why)
        return 0

    def goodbye(self):
        """Tell the client that nothing more is taken."""
        if self.http2 is not None:
            self.http2.goodbye()
        elif self.http1 is not None:
            self.http1.goodbye()

    def farewell(self):
        """The same, and what is to be sent before the connection is closed."""
        cdef Py_ssize_t size
        cdef bytes data
        self.goodbye()
        if self.http2 is None:
            return b"" if self.http1 is None else self.http1.output()
        # Not what is gathered: that may be another connection's.
        data = PyBytes_FromStringAndSize(NULL, 2 * LEAST_ROOM)
        size = self.http2.output(<uint8_t*>PyBytes_AS_STRING(data), 2 * LEAST_ROOM)
        return data[:size]

    # Bounds

    cdef int touch(self) except -1:
        StreamLayer.touch(self)
        if self.listener_places is not None and self in self.listener_places:
            del self.listener_places[self]
            self.listener_places[self] = None
        return 0

    def held_bytes(self):
        """What it holds in memory now: its session, requests, and replies that are not read."""
        cdef Py_ssize_t held = 0
        self.session_bytes = 0
        if self.transport_below is not None and not self.aborted:
            self.unsent.update(self.transport_below.get_write_buffer_size())
            if self.http2 is not None:
                self.session_bytes = (self.http2.session_bytes + SESSION_STEP_BYTES // 2 - 1) // 512 * 512
            elif self.http1 is not None:
                self.session_bytes = self.http1.session_bytes
            held = self.layer_bytes + self.pending_bytes() + self.session_bytes + self.unsent.held_bytes()
        self.counted = held
        return held

    cdef int count_held(self) except -1:
        cdef Py_ssize_t session_bytes
        if self.http2 is not None and self.below is not None and not self.below.unsent_bytes():
            session_bytes = self.http2.session_bytes
            if (
                self.http2.request_bytes == 0 and self.counted == self.layer_bytes + self.session_bytes
                and session_bytes <= self.session_bytes <= session_bytes + SESSION_STEP_BYTES
            ):
                return 0
        self.clients_.held.count(self)
        return 0
