"""The sockets of stream connections: see _sockets.pxd."""

import os
import socket

from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, Py_buffer, PyBuffer_Release, PyObject_GetBuffer
from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy, memmove

from fastdns.memory._syscalls cimport (
    EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, EPOLLIN, EPOLLOUT, MSG_DONTWAIT, MSG_NOSIGNAL,
    c_close, c_recv, c_send, epoll_create1, epoll_ctl, epoll_event, epoll_wait,
)
from fastdns.transports._layer cimport READ_BYTES

cdef enum:
    # Of one turn. Who has nothing left of a turn is looked at, and costs next to nothing.
    EVENTS = 128
    WRITE_HIGH_BYTES = 65536
    LEAST_OUT_BYTES = 4096

# What has been read of the connection that is served now.
cdef uint8_t* received = <uint8_t*>malloc(READ_BYTES)
if received == NULL:
    raise MemoryError


cdef class Sockets:
    """loop: tells when there is something to do. turns: of the clients."""

    def __cinit__(self, loop, TurnNumber turns not None):
        self.loop = loop
        self.turns = turns
        self.streams = []
        self.unflushed = []
        self.lost = []
        self.epoll_fd = epoll_create1(EPOLL_CLOEXEC)
        if self.epoll_fd < 0:
            raise OSError(errno, "epoll_create1")
        loop.add_reader(self.epoll_fd, self.on_ready)

    def close(self):
        """Watch no more. Connections that are open are left as they are."""
        if self.epoll_fd >= 0:
            self.loop.remove_reader(self.epoll_fd)
            c_close(self.epoll_fd)
            self.epoll_fd = -1

    def connect(self, accepted, tuple peer not None, protocol):
        """Begin a connection on a socket that does not block, and is part of it from now on."""
        cdef SocketStream stream = SocketStream.__new__(SocketStream)
        cdef int fd = accepted.detach()
        stream.sockets = self
        stream.fd = fd
        stream.peer = peer
        stream.reading = True
        stream.set_write_buffer_limits()
        stream.set_protocol(protocol)
        while len(self.streams) <= fd:
            self.streams.append(None)
        self.streams[fd] = stream
        self.open += 1
        try:
            protocol.connection_made(stream)
            stream.watch(stream.wanted())
        except Exception as error:
            self.fail(stream, error)
        return stream

    def on_ready(self):
        """Serve what is ready, each connection once."""
        cdef epoll_event events[EVENTS]
        cdef int ready = epoll_wait(self.epoll_fd, events, EVENTS, 0)
        cdef int i, passed
        while ready > 0:
            passed = 0
            for i in range(ready):
                stream = self.streams[<int>events[i].data.u32]
                if stream is not None and self.on_event(<SocketStream>stream, events[i].events):
                    events[passed] = events[i]
                    passed += 1
            if not passed or self.turns.behind:
                # Or who waits longer begins the next turn.
                return
            self.turns.turn += 1
            ready = passed

    cdef bint on_event(self, SocketStream stream, uint32_t events) except -1:
        """True where it was passed over: its client has had its turn."""
        cdef uint32_t wanted
        cdef bint passed = False
        try:
            if stream.over:
                return False
            wanted = stream.wanted()
            # An error, or the end of both directions, is found out by whoever wants something.
            if events & ~<uint32_t>EPOLLOUT and wanted & EPOLLIN:
                passed = stream.on_readable()
            if events & ~<uint32_t>EPOLLIN and wanted & EPOLLOUT and not stream.over:
                stream.flush()
            wanted = stream.wanted()
            if stream.watched & ~wanted:
                stream.watch(wanted)
        except Exception as error:
            self.fail(stream, error)
        return passed

    cdef int fail(self, SocketStream stream, error) except -1:
        """An error of ours."""
        self.loop.call_exception_handler({"message": "a connection failed", "exception": error})
        stream.error = error
        return stream.shut()

    cdef int flush_soon(self, SocketStream stream) except -1:
        if not stream.queued:
            stream.queued = True
            if not self.unflushed:
                self.loop.call_soon(self.flush_all)
            self.unflushed.append(stream)
        return 0

    def flush_all(self):
        """Send what was written since the last turn."""
        cdef SocketStream stream
        unflushed, self.unflushed = self.unflushed, []
        for stream in unflushed:
            stream.queued = False
            try:
                stream.flush()
            except Exception as error:
                self.fail(stream, error)

    cdef int lose_soon(self, SocketStream stream) except -1:
        if not self.lost:
            self.loop.call_soon(self.lose_all)
        self.lost.append(stream)
        return 0

    def lose_all(self):
        """Tell connections that they are over."""
        cdef SocketStream stream
        lost, self.lost = self.lost, []
        for stream in lost:
            try:
                stream.protocol.connection_lost(stream.error)
            except Exception as error:
                self.loop.call_exception_handler({"message": "a connection failed", "exception": error})
            self.streams[stream.fd] = None
            self.open -= 1
            c_close(stream.fd)
            stream.fd = -1
            stream.protocol = None
            stream.above = None


cdef class SocketStream(Layer):
    """The transport of one socket. Made by Sockets.connect."""

    def __dealloc__(self):
        free(self.out)

    # As the lowest layer

    cdef bint put(self, const uint8_t* data, Py_ssize_t size) except -1:
        cdef Py_ssize_t sent = 0
        if self.over or self.closing:
            return False
        if self.out_at == self.out_end:
            sent = c_send(self.fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL)
            if sent == size:
                return False
            if sent < 0:
                if errno not in (EAGAIN, EINTR):
                    self.fail(errno)
                    return False
                sent = 0
            self.keep(data + sent, size - sent)
            self.watch(self.wanted())
        else:
            self.keep(data, size)
        if self.out_end - self.out_at > self.high and not self.full:
            self.full = True
            return True
        return False

    cdef Py_ssize_t unsent_bytes(self) noexcept:
        return self.out_end - self.out_at

    cdef int keep(self, const uint8_t* data, Py_ssize_t size) except -1:
        """Have the kernel take it later."""
        cdef Py_ssize_t held = self.out_end - self.out_at
        cdef Py_ssize_t room
        cdef uint8_t* grown
        if self.out_end + size > self.out_room:
            if held:
                memmove(self.out, self.out + self.out_at, held)
            self.out_at = 0
            self.out_end = held
            if held + size > self.out_room:
                room = max(LEAST_OUT_BYTES, held + size, held * 2)
                grown = <uint8_t*>realloc(self.out, room)
                if grown == NULL:
                    raise MemoryError
                self.out = grown
                self.out_room = room
        memcpy(self.out + self.out_end, data, size)
        self.out_end += size
        return 0

    cdef int flush(self) except -1:
        """Have the kernel take what it has room for."""
        cdef Py_ssize_t sent
        if self.over or self.out_at == self.out_end:
            return 0
        sent = c_send(self.fd, self.out + self.out_at, self.out_end - self.out_at, MSG_DONTWAIT | MSG_NOSIGNAL)
        if sent < 0:
            if errno not in (EAGAIN, EINTR):
                return self.fail(errno)
            sent = 0
        self.out_at += sent
        if self.out_at == self.out_end:
            free(self.out)
            self.out = NULL
            self.out_at = self.out_end = self.out_room = 0
            if self.closing:
                return self.shut()
        self.watch(self.wanted())
        if self.full and self.out_end - self.out_at <= self.low:
            self.full = False
            self.protocol.resume_writing()
        return 0

    # Events

    cdef uint32_t wanted(self) noexcept:
        cdef uint32_t events = 0
        if self.reading and not (self.ended or self.closing):
            events |= EPOLLIN
        if self.out_at != self.out_end and not self.queued:
            events |= EPOLLOUT
        return events

    cdef int watch(self, uint32_t events) except -1:
        """Let epoll tell of these events. Who wants less than before is told once more, and says so then."""
        cdef epoll_event event
        cdef int what
        if self.over or self.sockets.epoll_fd < 0 or events == self.watched:
            return 0
        what = EPOLL_CTL_MOD if self.watched and events else EPOLL_CTL_ADD if events else EPOLL_CTL_DEL
        event.events = events
        event.data.u32 = self.fd
        if epoll_ctl(self.sockets.epoll_fd, what, self.fd, &event) < 0:
            raise OSError(errno, os.strerror(errno))
        self.watched = events
        return 0

    cdef bint on_readable(self) except -1:
        cdef Py_ssize_t size
        if self.above is not None and not self.above.has_turn():
            return True
        size = c_recv(self.fd, received, READ_BYTES, MSG_DONTWAIT)
        if size > 0:
            if self.above is not None:
                self.above.receive(received, size)
            else:
                self.give(size)
        elif size == 0:
            self.ended = True
            if not self.protocol.eof_received():
                self.close()
        elif errno not in (EAGAIN, EINTR):
            self.fail(errno)
        return False

    cdef int give(self, Py_ssize_t size) except -1:
        """What was received, to a protocol in Python."""
        cdef Py_buffer room
        cdef Py_ssize_t at = 0
        cdef Py_ssize_t part
        while at < size and not self.over:
            PyObject_GetBuffer(self.protocol.get_buffer(size - at), &room, PyBUF_WRITABLE)
            part = min(size - at, room.len)
            memcpy(room.buf, received + at, part)
            PyBuffer_Release(&room)
            if part <= 0:
                raise ValueError("get_buffer has returned no room")
            at += part
            self.protocol.buffer_updated(part)
        return 0

    cdef int fail(self, int number) except -1:
        """The connection is broken."""
        if self.error is None:
            self.error = OSError(number, os.strerror(number))
        return self.shut()

    cdef int shut(self) except -1:
        """Nothing more happens. The protocol is told in the loop's next turn."""
        if not self.over:
            self.watch(0)
            self.over = self.closing = True
            free(self.out)
            self.out = NULL
            self.out_at = self.out_end = self.out_room = 0
            self.sockets.lose_soon(self)
        return 0

    # As asyncio's transports

    def get_extra_info(self, name, default=None):
        """The peer's address, or the socket's own."""
        if name == "peername":
            return self.peer
        if name == "sockname" and self.fd >= 0:
            with socket.socket(fileno=os.dup(self.fd)) as duplicate:
                return duplicate.getsockname()
        return default

    def get_protocol(self):
        """What takes what comes."""
        return self.protocol

    def set_protocol(self, protocol):
        """Have something else take what comes."""
        self.protocol = protocol
        self.above = protocol if isinstance(protocol, Layer) else None

    def set_write_buffer_limits(self, high=None, low=None):
        """When the protocol is told to wait, and when to go on."""
        self.high = WRITE_HIGH_BYTES if high is None else high
        self.low = self.high // 4 if low is None else low

    def get_write_buffer_size(self):
        """Bytes that the kernel has not taken yet."""
        return self.out_end - self.out_at

    def write(self, data):
        """Send it with all else that is written in this turn."""
        cdef Py_buffer view
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            self.write_later(<const uint8_t*>view.buf, view.len)
        finally:
            PyBuffer_Release(&view)

    cdef int write_later(self, const uint8_t* data, Py_ssize_t size) except -1:
        if self.over or self.closing:
            return 0
        if self.out_at == self.out_end:
            self.sockets.flush_soon(self)
        self.keep(data, size)
        if self.out_end - self.out_at > self.high and not self.full:
            # Not before the kernel was asked.
            self.flush()
            if self.out_end - self.out_at > self.high:
                self.full = True
                self.protocol.pause_writing()
        return 0

    def pause_reading(self):
        """Leave what comes in the kernel."""
        self.reading = False

    def resume_reading(self):
        """Read again."""
        self.reading = True
        self.watch(self.watched | self.wanted())

    def is_closing(self):
        """Whether it ends."""
        return self.closing

    def close(self):
        """End when the kernel has taken everything."""
        if not self.closing:
            self.closing = True
            if self.out_at == self.out_end:
                self.shut()
            else:
                self.flush()

    def abort(self):
        """End at once."""
        self.shut()
