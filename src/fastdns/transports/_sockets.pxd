"""The sockets of stream connections: one epoll for all of a worker, which the event loop watches.

One call of the event loop serves the connections that have something to say, each once: what has come is read,
answered and sent where it lies. ``SocketStream`` has the methods of an asyncio transport that connections here use,
so that a protocol in Python may stand on it as well.

A connection of a client that has had its share of a turn is not read before others are. Where nobody has waited for
the next turn already, that begins when all of them were looked at.
"""

from libc.stdint cimport uint8_t, uint32_t
from fastdns.transports._layer cimport Layer
from fastdns.transports._shares cimport TurnNumber


cdef class Sockets:
    """All of a worker. Only for the thread of its loop."""
    cdef object loop
    cdef TurnNumber turns
    cdef int epoll_fd
    cdef list streams                   # by their descriptors
    cdef list unflushed                 # with something that was written since the loop's last turn
    cdef list lost                      # whose connection is over, and not told yet
    cdef readonly int open              # how many

    cdef int fail(self, SocketStream stream, error) except -1
    cdef bint on_event(self, SocketStream stream, uint32_t events) except -1
    cdef int flush_soon(self, SocketStream stream) except -1
    cdef int lose_soon(self, SocketStream stream) except -1


cdef class SocketStream(Layer):
    """The transport of one socket."""
    cdef Sockets sockets
    cdef object protocol
    cdef Layer above                    # the protocol, where it is a layer; else None
    cdef object peer
    cdef object error
    cdef int fd
    cdef uint32_t watched               # what epoll tells of it
    cdef uint8_t* out                   # what the kernel has not taken: from out_at to out_end
    cdef Py_ssize_t out_at
    cdef Py_ssize_t out_end
    cdef Py_ssize_t out_room
    cdef Py_ssize_t high
    cdef Py_ssize_t low
    cdef bint full                      # the layer above knows that it is to wait
    cdef bint reading
    cdef bint ended                     # the peer sends no more
    cdef bint closing
    cdef bint over                      # nothing more happens to it
    cdef bint queued                    # stands in unflushed

    cdef uint32_t wanted(self) noexcept
    cdef int watch(self, uint32_t events) except -1
    cdef bint on_readable(self) except -1
    cdef int give(self, Py_ssize_t size) except -1
    cdef int keep(self, const uint8_t* data, Py_ssize_t size) except -1
    cdef int write_later(self, const uint8_t* data, Py_ssize_t size) except -1
    cdef int flush(self) except -1
    cdef int fail(self, int number) except -1
    cdef int shut(self) except -1
