"""TLS between a socket and the connection in it: see _tls.pxd. What is the same in tls.py is explained there."""

import asyncio

from cpython.buffer cimport PyBUF_SIMPLE, Py_buffer, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE
from libc.stdlib cimport malloc

from fastdns.transports._openssl cimport (
    MADE_BYTES, SSL_ERROR_WANT_READ, SSL_ERROR_ZERO_RETURN, feed, lib, made, new_session,
)
from fastdns.transports.tls import BUFFER, reason_of

cdef enum:
    MAX_RECORD_BYTES = 16384            # RFC 8446 section 5.1
    PLAIN_BYTES = 65536
    # At a time: what is made of it has room, with what TLS adds.
    ENCRYPTED_BYTES = MADE_BYTES - MADE_BYTES // 16
    # Of a handshake, while its next step waits: then the client has to wait, too.
    EARLY_BYTES = 16384
    # What a session allocates for a record of which a part has come.
    RECORD_BYTES = MAX_RECORD_BYTES + 1024

# What OpenSSL keeps for an idle connection, and the layers, as measured: 14.4 KiB. It counts as held.
SESSION_BYTES = 15 * 1024

# What was decrypted for the connection that is served now.
cdef uint8_t* plain = <uint8_t*>malloc(PLAIN_BYTES)
if plain == NULL:
    raise MemoryError


cdef class TlsLayer(Layer):
    """connect makes the connection inside; peer: for whom a proxy has made the connection."""

    def __init__(self, connect, context, handshakes, peer=None):
        self.inner = connect(peer=peer)
        self.above = self.inner if isinstance(self.inner, Layer) else None
        self.context = context()
        self.handshakes = handshakes
        self.refused = ""

    def __dealloc__(self):
        if self.ssl != NULL:
            lib.SSL_free(self.ssl)

    # As the protocol of the socket

    def connection_made(self, SocketStream transport not None):
        """The socket is connected."""
        self.raw = transport
        self.inner.layer_bytes = SESSION_BYTES
        self.inner.connection_made(self)
        self.inner.clients.held.count(self.inner)

    def connection_lost(self, exc):
        """The socket is gone."""
        self.raw = None
        self.kept = None
        if self.ssl != NULL:
            lib.SSL_free(self.ssl)
            self.ssl = NULL
        if not self.shaken:
            self.handshakes.counts.failed(self.refused or "closed")
        self.inner.connection_lost(exc)

    def eof_received(self):
        """The client sends no more, without having said so in TLS."""
        self.ended = True
        if not self.shaken:
            return False
        self.pump()
        return self.raw is not None and self.inner.eof_received()

    def pause_writing(self):
        """Of the socket."""
        self.inner.pause_writing()

    def resume_writing(self):
        """Of the socket."""
        self.inner.resume_writing()

    def get_buffer(self, sizehint):
        """For what has come before this was the protocol."""
        return BUFFER

    def buffer_updated(self, nbytes):
        """It has come."""
        self.data_received(memoryview(BUFFER)[:nbytes])

    cdef bint has_turn(self) except -1:
        return self.above is None or self.above.has_turn()

    cdef int receive(self, const uint8_t* data, Py_ssize_t size) except -1:
        if not self.shaken:
            self.keep(data, size)
            if not self.queued:
                self.queued = True
                self.handshakes.add(self)
            if PyByteArray_GET_SIZE(self.kept) >= EARLY_BYTES:
                self.raw.pause_reading()
            return 0
        if self.blocked or self.more or self.kept is not None or self.pumping:
            self.keep(data, size)
            self.pump()
            return 0
        feed.data = data
        feed.size = size
        return self.pump_fed()

    cdef int keep(self, const uint8_t* data, Py_ssize_t size) except -1:
        if self.kept is None:
            self.kept = bytearray()
        self.kept += data[:size]
        return 0

    cdef int keep_rest(self) except -1:
        """What the session has not read."""
        cdef Py_ssize_t size = feed.size
        feed.size = 0
        if size:
            self.keep(feed.data, size)
        return 0

    # TLS

    def shake(self):
        """The next step of the handshake, with what has come."""
        self.queued = False
        if self.raw is None or self.raw.closing:
            return
        if self.ssl == NULL:
            self.ssl = new_session(self.context)
            if self.ssl == NULL:
                raise MemoryError
        self.shake_hands()

    cdef int shake_hands(self) except -1:
        cdef int result
        cdef bytearray came = self.kept
        self.kept = None
        feed.data = <const uint8_t*>PyByteArray_AS_STRING(came)
        feed.size = PyByteArray_GET_SIZE(came)
        made.size = 0
        lib.ERR_clear_error()
        result = lib.SSL_do_handshake(self.ssl)
        self.keep_rest()
        self.raw.resume_reading()
        if result != 1:
            if lib.SSL_get_error(self.ssl, result) == SSL_ERROR_WANT_READ:
                self.send_made()
                return self.count_partial()
            self.broken = True
            text = lib.ERR_reason_error_string(lib.ERR_peek_last_error())
            self.refused = reason_of("" if text == NULL else text.decode().upper().replace(" ", "_"))
            lib.ERR_clear_error()
            # The alert says why.
            self.send_made()
            self.inner.close("peer")
            return 0
        self.shaken = True
        version = lib.SSL_get_version(self.ssl).decode()
        self.handshakes.counts.complete(version, lib.SSL_session_reused(self.ssl) == 1)
        self.send_made()
        self.pump()
        return 0

    def pump(self):
        """Decrypt what is kept, and give it to the connection inside, for as long as that takes it."""
        cdef bytearray came
        if not self.shaken or self.pumping or self.blocked or self.raw is None:
            return
        # Named here, so that it stays while the session reads it.
        came = self.kept
        self.kept = None
        feed.size = 0
        if came is not None:
            feed.data = <const uint8_t*>PyByteArray_AS_STRING(came)
            feed.size = PyByteArray_GET_SIZE(came)
        self.pump_fed()

    cdef int pump_fed(self) except -1:
        """The same with what is fed."""
        cdef Py_ssize_t size = self.decrypt()
        self.keep_rest()
        if self.partial or self.wants_more:
            self.count_partial()
        if size and self.raw is not None:
            self.pumping = True
            try:
                if self.above is not None:
                    self.above.receive(plain, size)
                else:
                    self.inner.data_received(plain[:size])
            finally:
                self.pumping = False
        if self.more and not self.blocked:
            self.pump()
        return 0

    cdef Py_ssize_t decrypt(self) except -1:
        """Put as much as there is, and has room, into plain. Returns how many bytes."""
        cdef Py_ssize_t size = 0
        cdef int count, why
        self.more = self.wants_more = False
        if self.broken:
            feed.size = 0
            return 0
        made.size = 0
        if lib.ERR_peek_last_error():
            lib.ERR_clear_error()
        while True:
            if PLAIN_BYTES - size < MAX_RECORD_BYTES:
                # Perhaps; it is asked again.
                self.more = True
                break
            count = lib.SSL_read(self.ssl, plain + size, PLAIN_BYTES - size)
            if count > 0:
                size += count
                # The session has no more than whole records that it has read, each of which has found room.
                if not feed.size:
                    break
                continue
            why = lib.SSL_get_error(self.ssl, count)
            if why == SSL_ERROR_ZERO_RETURN:
                self.over()
            elif why == SSL_ERROR_WANT_READ:
                self.wants_more = True
            else:
                # A record that is none. What came before it is served no more.
                self.broken = True
                lib.ERR_clear_error()
                self.send_made()
                self.raw.abort()
                feed.size = 0
                return 0
            break
        if made.size:
            # A key update, or another message of the protocol itself.
            self.send_made()
        return size

    cdef int count_partial(self) except -1:
        """What a part of a record takes counts as held, until the rest has come."""
        cdef bint partial = self.ssl != NULL and lib.SSL_has_pending(self.ssl)
        if partial != self.partial and self.raw is not None:
            self.partial = partial
            self.inner.layer_bytes = SESSION_BYTES + (RECORD_BYTES if partial else 0)
            self.inner.clients.held.count(self.inner)
        return 0

    cdef int over(self) except -1:
        """The client has said that it sends no more (RFC 8446 section 6.1): what follows is no part of that."""
        feed.size = 0
        if not self.ended:
            self.ended = True
            asyncio.get_running_loop().call_soon(self.tell_end)
        return 0

    def tell_end(self):
        """As if it had closed its side of the connection."""
        if self.raw is not None and not self.inner.eof_received():
            self.close()

    cdef int send_made(self) except -1:
        """What the protocol itself has to say."""
        cdef Py_ssize_t size = made.size
        made.size = 0
        if size and self.raw is not None and self.raw.put(made.data, size):
            self.inner.pause_writing()
        return 0

    # As the transport of the connection inside

    cdef Py_ssize_t unsent_bytes(self) noexcept:
        return 0 if self.raw is None else self.raw.unsent_bytes()

    cdef bint encrypt(self, const uint8_t* data, Py_ssize_t size) except -1:
        """Make records of it, behind those that are made. False where the session is over."""
        if self.raw is None or not self.shaken or self.broken:
            return False
        if lib.ERR_peek_last_error():
            lib.ERR_clear_error()
        if lib.SSL_write(self.ssl, data, size) <= 0:
            self.broken = True
            lib.ERR_clear_error()
            self.raw.abort()
            return False
        return True

    cdef bint put(self, const uint8_t* data, Py_ssize_t size) except -1:
        return self.put_parts(data, &size, 1)

    cdef bint put_parts(self, const uint8_t* data, const Py_ssize_t* ends, int parts) except -1:
        cdef Py_ssize_t begin = 0
        cdef Py_ssize_t ready
        cdef int part
        made.size = 0
        for part in range(parts):
            if not self.encrypt(data + begin, ends[part] - begin):
                return False
            begin = ends[part]
        ready = made.size
        made.size = 0
        return self.raw.put(made.data, ready)

    def write(self, data):
        """Send something, encrypted."""
        cdef Py_buffer view
        cdef Py_ssize_t at = 0
        cdef Py_ssize_t part, ready
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            while at < view.len:
                part = min(view.len - at, ENCRYPTED_BYTES)
                made.size = 0
                if not self.encrypt(<const uint8_t*>view.buf + at, part):
                    break
                at += part
                ready = made.size
                made.size = 0
                self.raw.write_later(made.data, ready)
        finally:
            PyBuffer_Release(&view)

    def get_extra_info(self, name, default=None):
        """Of the socket."""
        return default if self.raw is None else self.raw.get_extra_info(name, default)

    def set_write_buffer_limits(self, high=None, low=None):
        """Of the socket."""
        if self.raw is not None:
            self.raw.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self):
        """Of the socket."""
        return self.unsent_bytes()

    def pause_reading(self):
        """Decrypt no more for now."""
        self.blocked = True
        if self.raw is not None:
            self.raw.pause_reading()

    def resume_reading(self):
        """Go on."""
        self.blocked = False
        if self.raw is not None:
            self.raw.resume_reading()
            if self.more or self.kept is not None:
                asyncio.get_running_loop().call_soon(self.pump)

    def is_closing(self):
        """Whether it closes."""
        return self.raw is None or self.raw.closing

    def close(self):
        """Say that nothing follows, and close after sending what is left."""
        if self.raw is None or self.raw.closing:
            return
        if self.shaken and not self.broken:
            # The client's own end has not come, and is not waited for.
            made.size = 0
            lib.SSL_shutdown(self.ssl)
            lib.ERR_clear_error()
            self.send_made()
        self.raw.close()

    def abort(self):
        """Close at once."""
        if self.raw is not None:
            self.raw.abort()
