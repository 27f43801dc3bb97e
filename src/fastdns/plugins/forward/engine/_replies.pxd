"""Is a reply true, and is it good enough?

A datagram counts only if upstream, port, ID and question all match; anything else is counted and leaves the query
as it was, so that a forged or stray datagram never displaces the true reply. An error reply without a question
(see _relay.pxd) matches any question: it is believed if nothing better has come in the time that the upstream
usually takes; meanwhile another one is asked.

A reply ends the query, unless another upstream may have a better one: SERVFAIL, and the stanza's failover codes,
are kept until the others have replied. A truncated reply is asked for again over TCP; records that came truncated
are better than an error over TCP.
"""

from libc.stdint cimport uint8_t, uint32_t
from fastdns.plugins.forward.engine._state cimport Engine

# A reply to an attempt, from the upstream that was asked and with its ID.
cdef void on_reply(Engine* e, uint32_t place, uint32_t which, uint8_t* msg, uint32_t size) noexcept nogil
# Nothing better than an error reply without a question has come: it is the upstream's reply.
cdef void believe_error(Engine* e, uint32_t place, uint32_t which) noexcept nogil
