"""TLS between a socket and the connection in it, where both are layers: what tls.py does, without an object.

OpenSSL is that of Python, by its functions (_openssl.pxd), with a context of Python's ssl. A session has no buffer
while nothing is under way: what comes is decrypted from where it was read, what leaves is encrypted for one send.
"""

from libc.stdint cimport uint8_t
from fastdns.transports._layer cimport Layer
from fastdns.transports._openssl cimport SSL
from fastdns.transports._sockets cimport SocketStream


cdef class TlsLayer(Layer):
    """One client."""
    cdef readonly object inner
    cdef Layer above                    # the same, where it is a layer; else None
    cdef SocketStream raw               # None: it is gone
    cdef object context
    cdef object handshakes
    cdef bytearray kept                 # what has come and is not decrypted yet; None for nothing
    cdef SSL* ssl                       # NULL before anything has come
    cdef bint more                      # the session has more than was taken
    cdef bint wants_more                # it could go on with more than it has read
    cdef bint partial                   # it has read a part of a record, which is counted
    cdef bint queued                    # a step of the handshake waits for its turn
    cdef bint shaken
    cdef bint broken                    # the session must not be used any more
    cdef object refused                 # why the handshake has failed
    cdef bint blocked                   # the connection inside takes nothing for now
    cdef bint pumping
    cdef bint ended                     # the client sends no more

    cdef int keep(self, const uint8_t* data, Py_ssize_t size) except -1
    cdef int keep_rest(self) except -1
    cdef int shake_hands(self) except -1
    cdef int pump_fed(self) except -1
    cdef Py_ssize_t decrypt(self) except -1
    cdef bint encrypt(self, const uint8_t* data, Py_ssize_t size) except -1
    cdef int send_made(self) except -1
    cdef int over(self) except -1
    cdef int count_partial(self) except -1
