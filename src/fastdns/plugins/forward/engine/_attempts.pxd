"""An attempt begins: over UDP it is put into the outbox, over a stream into the ring to the event-loop thread.

Nothing is sent from here: sending may resume client queries, and one is just being served. What finds no room on
its way out is tried again soon, and counts against no upstream.
"""

from libc.stdint cimport uint32_t
from fastdns.plugins.forward.engine._state cimport Engine, Outstanding, Upstream

# Ask an upstream. False where that cannot even be tried; nothing has changed then.
cdef bint start_attempt(Engine* e, uint32_t place, uint32_t upstream, bint stream) noexcept nogil
# Send the same datagram again.
cdef void push_out(Engine* e, uint32_t place, uint32_t which) noexcept nogil
# An attempt found no room on its way out. It is sent soon again; if it was sent before, its time will tell.
cdef void was_unsent(Engine* e, uint32_t place, uint32_t which) noexcept nogil
# What was truncated could not be had over TCP.
cdef void stream_failed(Engine* e, const Outstanding* o, Upstream* u) noexcept nogil
