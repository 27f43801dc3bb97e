"""The slow thread's way to serve: messages that the event loop has in hand, one at a time.

The same chain as the hot thread's. A query that has to wait for an upstream is answered later, through the
``deliver`` that came with it.
"""

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from fastdns.dns._signatures cimport Signer
from fastdns.serve._context cimport ServiceReply
from fastdns.serve._following cimport Following
from fastdns.serve._suspend cimport MAX_CONTROL_BYTES, Services, ServiceTable, Suspended
from fastdns.serve._worker cimport Worker


cdef class Messages:
    """A reply of several messages (serve/_following.pxd)."""
    cdef Worker worker
    cdef Following following
    cdef Signer signer                  # of all of its messages; None: they are not signed
    cdef bint over
    cdef int end(self, int32_t why) except -1


cdef class SlowPath:
    cdef readonly list workers          # a Worker a listener
    cdef readonly Services services     # that queries may wait for
    cdef ServiceTable table             # their functions
    cdef dict waiting                   # token to deliver
    cdef dict asked                     # token of what a step in Python asks to its depth and entry
    cdef uint64_t serial
    cdef uint64_t token                 # of the message that was served last
    # The clock is looked at, for as long as questions are in flight.
    cdef public bint timed
    cdef int epoll_fd
    cdef Following following            # of the message that is served now
    cdef uint8_t* out
    cdef uint8_t control[MAX_CONTROL_BYTES]     # what the kernel tells of datagrams
    cdef object begin(self, uint32_t listener, bytes message, bytes client, int client_port, deliver,
                      uint8_t transport, bytes local, tuple inside)
    # Serve a message into out, which has room for MAX_MESSAGE_BYTES and one more. -1: it waits, as token. -2 is an
    # exception's.
    cdef int run(self, uint32_t listener, const uint8_t* message, uint32_t message_len, bytes client,
                 int client_port, uint8_t transport, bytes local, tuple inside, uint8_t* out) except? -2
    # The reply that has been written to out.
    cdef object reply(self, Worker worker, int size)
    cdef int resume(self, Suspended* query, ServiceReply* reply) except -1


cdef class Serving:
    """Serves the messages of the connections to a listener where they lie, without an object for each."""
    cdef SlowPath slow
    cdef uint32_t listener
    cdef uint8_t transport
    cdef bytes local
    cdef object otherwise
    cdef object ask_soon
    # As SlowPath.run. -1: it waits, if park follows.
    cdef int run(self, const uint8_t* message, uint32_t message_len, bytes client, int client_port,
                 uint8_t* out) except? -2
    # Messages, where the reply that was served last is several; else None.
    cdef object messages(self)
    cdef int park(self, deliver) except -1
    # After the last message of several.
    cdef int served(self, bint parked) except -1
