"""Datagrams from and to upstreams, many of one socket with one call."""

from libc.stdint cimport uint32_t
from fastdns.plugins.forward.engine._state cimport Engine

# Memory for a batch of datagrams that come in. False where there is none; close_batch is right in any case.
cdef bint open_batch(Engine* e) noexcept nogil
cdef void close_batch(Engine* e) noexcept nogil

# Take what a socket has received.
cdef void receive(Engine* e, uint32_t upstream, uint32_t which) noexcept nogil
# Send what attempts have put into the outbox.
cdef void send(Engine* e) noexcept nogil
# The same where it has become half full.
cdef void send_much(Engine* e) noexcept nogil
