"""A connection whose messages have their length before them: see _framed.pxd."""

import sys

from cpython.buffer cimport PyBUF_SIMPLE, Py_buffer, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE, PyByteArray_Resize
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdlib cimport malloc
from libc.string cimport memcpy, memmove

from fastdns.dns._framing cimport LENGTH_BYTES, end_of
from fastdns.transports._layer cimport READ_BYTES
from fastdns.transports._slow import PARKED, Messages
from fastdns.transports._stream cimport WRITE_HIGH
from fastdns._wire cimport MAX_MESSAGE_BYTES

cdef enum:
    # Replies that are gathered: as many as may be sent at once, and the longest on top of them.
    GATHERED_BYTES = WRITE_HIGH + LENGTH_BYTES + MAX_MESSAGE_BYTES + 1

# Replies of the connection that is served now. They are sent before anybody else is called.
cdef uint8_t* gathered = <uint8_t*>malloc(GATHERED_BYTES)
if gathered == NULL:
    raise MemoryError
cdef Py_ssize_t gathered_bytes = 0
cdef long gathered_replies = 0


cdef int append(bytearray to, const uint8_t* data, Py_ssize_t size) except -1:
    cdef Py_ssize_t before = PyByteArray_GET_SIZE(to)
    PyByteArray_Resize(to, before + size)
    memcpy(PyByteArray_AS_STRING(to) + before, data, size)
    return 0


cdef Py_ssize_t write_frame(uint8_t* to, bytes message) except -1:
    """A message with its length before it. Returns how many bytes that is."""
    cdef Py_ssize_t length = PyBytes_GET_SIZE(message)
    if length > MAX_MESSAGE_BYTES:
        raise ValueError(f"a message of at most {MAX_MESSAGE_BYTES} bytes expected, got {length}")
    to[0] = length >> 8
    to[1] = length & 0xFF
    memcpy(to + LENGTH_BYTES, PyBytes_AS_STRING(message), length)
    return LENGTH_BYTES + length


cdef class FramedConnection(StreamLayer):
    """One client's."""

    def __cinit__(self, *_, **__):
        self.pending = bytearray()

    cdef int receive(self, const uint8_t* data, Py_ssize_t size) except -1:
        cdef Py_ssize_t used
        if self.finishing:
            # To be counted.
            if PyByteArray_GET_SIZE(self.pending) < READ_BYTES:
                append(self.pending, data, size)
        elif self.deferred or PyByteArray_GET_SIZE(self.pending):
            append(self.pending, data, size)
            self.answer_pending()
        else:
            used = self.serve_messages(data, size)
            if used < size:
                append(self.pending, data + used, size - used)
            self.finish_turn(used)
        return self.count_held()

    def answer_pending(self):
        """Answer every whole message that has come, unless replies are left unread or the client has to wait."""
        cdef Py_buffer view
        cdef Py_ssize_t used, size
        cdef char* kept
        if self.deferred:
            return
        # While it is held nothing is added.
        PyObject_GetBuffer(self.pending, &view, PyBUF_SIMPLE)
        try:
            used = self.serve_messages(<const uint8_t*>view.buf, view.len)
        finally:
            PyBuffer_Release(&view)
        if used:
            size = PyByteArray_GET_SIZE(self.pending) - used
            kept = PyByteArray_AS_STRING(self.pending)
            memmove(kept, kept + used, size)
            PyByteArray_Resize(self.pending, size)
        self.finish_turn(used)

    cdef Py_ssize_t serve_messages(self, const uint8_t* data, Py_ssize_t size) except -1:
        """Serve what is whole of it. Returns how many bytes that was; what is to be sent is gathered."""
        global gathered_bytes, gathered_replies
        cdef Serving serving = self.serving
        cdef long left = self.turns.left_of(self.share)
        cdef long begun = left
        cdef long least = self.least_left()
        cdef Py_ssize_t at = 0
        cdef Py_ssize_t end
        cdef bint parked = False
        gathered_bytes = 0
        gathered_replies = 0
        while (end := end_of(data, size, at)) >= 0 and self.takes_more():
            if left <= least:
                self.deferred = True
                break
            left -= 1
            self.asked += 1
            if serving is not None:
                parked |= self.serve_where_it_lies(serving, data + at + LENGTH_BYTES, end - at - LENGTH_BYTES)
            else:
                self.serve_object(PyBytes_FromStringAndSize(<const char*>data + at + LENGTH_BYTES,
                                                            end - at - LENGTH_BYTES))
            at = end
            if gathered_bytes >= WRITE_HIGH:
                # May pause this connection: then the rest of the input waits.
                self.send_gathered()
            if 0 <= self.max_queries <= self.asked:
                self.finish_for("max_queries")
        self.share.left -= begun - left
        if serving is not None:
            serving.served(parked)
        return at

    cdef bint serve_where_it_lies(self, Serving serving, const uint8_t* message, Py_ssize_t size) except -1:
        """One message. True where it waits."""
        global gathered_bytes, gathered_replies
        cdef uint8_t* out = gathered + gathered_bytes
        cdef int length = serving.run(message, size, self.address, self.port, out + LENGTH_BYTES)
        if length < 0:
            self.waiting += 1
            serving.park(self.deliver)
            return True
        if length:
            several = serving.messages()
            if several is not None:
                self.begin_series(several)
            else:
                out[0] = length >> 8
                out[1] = length & 0xFF
                gathered_bytes += LENGTH_BYTES + length
                gathered_replies += 1
        return False

    cdef int serve_object(self, bytes message) except -1:
        """The same for what serves objects."""
        global gathered_bytes, gathered_replies
        reply = self.serve_with(message, self.address, self.port, self.deliver)
        if reply is PARKED:
            self.waiting += 1
        elif isinstance(reply, bytes):
            gathered_bytes += write_frame(gathered + gathered_bytes, reply)
            gathered_replies += 1
        elif isinstance(reply, Messages):
            self.begin_series(reply)
        return 0

    cdef int finish_turn(self, Py_ssize_t used) except -1:
        """Send what is gathered. used: bytes of queries that were served."""
        if self.transport_below is None or self.closing:
            return 0
        if gathered_bytes:
            self.send_gathered()
        return self.go_on(used > 0)

    cdef int send_gathered(self) except -1:
        global gathered_bytes, gathered_replies
        cdef Py_ssize_t size = gathered_bytes
        cdef long replies = gathered_replies
        gathered_bytes = 0
        gathered_replies = 0
        return self.send_parts(gathered, &size, 1, replies)

    def deliver(self, reply):
        """Send the reply to a query that has waited for an upstream. Returns False where the client is gone."""
        cdef Py_ssize_t size
        self.waiting -= 1
        if self.transport_below is None or self.closing:
            return False
        if isinstance(reply, Messages):
            self.begin_series(reply)
        elif reply is not None:
            size = write_frame(gathered, reply)
            if self.waiting:
                self.send_parts_later(gathered, &size, 1, 1)
            else:
                self.send_parts(gathered, &size, 1, 1)
        if PyByteArray_GET_SIZE(self.pending):
            self.answer_pending()
        if self.transport_below is not None and not self.closing:
            self.wait_on(True)
        self.count_held()
        return True

    def held_bytes(self):
        """What it holds in memory now: queries that are not whole or not served, and replies that are not read."""
        cdef Py_ssize_t held = 0
        if self.transport_below is not None and not self.aborted:
            self.unsent.update(self.transport_below.get_write_buffer_size())
            held = self.layer_bytes + self.unsent.held_bytes()
            if PyByteArray_GET_SIZE(self.pending):
                held += sys.getsizeof(self.pending)
        self.counted = held
        return held

    cdef int count_held(self) except -1:
        if (
            self.below is None or self.counted != self.layer_bytes or PyByteArray_GET_SIZE(self.pending)
            or self.below.unsent_bytes()
        ):
            self.clients_.held.count(self)
        return 0
