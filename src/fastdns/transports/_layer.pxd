"""A layer of a connection: its socket, TLS, or the messages in it. Bytes go from one to the next without an object.

The socket is the lowest one. Each layer is the transport of the one above, and the protocol of the one below, with
the methods of asyncio's. Where both neighbours are layers they call each other as here; nothing is kept of the
bytes when a call has returned.
"""

from libc.stdint cimport uint8_t

cdef enum:
    READ_BYTES = 16384              # what is read at once, of one connection

cdef class Layer:
    # Take what has come from below.
    cdef int receive(self, const uint8_t* data, Py_ssize_t size) except -1
    # Send what comes from above, as soon as the socket takes it. True where that has reached the limit of what may
    # be unsent: then the layer above is told when it has gone down.
    cdef bint put(self, const uint8_t* data, Py_ssize_t size) except -1
    # The same of parts, each of which has a record of its own, where there is TLS. ends: of each part.
    cdef bint put_parts(self, const uint8_t* data, const Py_ssize_t* ends, int parts) except -1
    # Bytes that the socket has not taken yet.
    cdef Py_ssize_t unsent_bytes(self) noexcept
    # Whether to read what has come. False: the client has had its turn, and the kernel is asked again in the next.
    cdef bint has_turn(self) except -1
