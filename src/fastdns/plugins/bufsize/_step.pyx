"""The bufsize step: caps the UDP payload size that a client advertises (RFC 6891 section 6.2.5).

The reply's size goes by Query.udp_bytes, what upstreams are told by Query.asked_udp_bytes.
"""

from libc.stdint cimport uint16_t

from fastdns.serve._context cimport NEXT, Context, Outcome
from fastdns.serve._zones cimport NativeStep

cdef struct Conf:
    uint16_t max_udp_bytes


cdef Outcome before(Context* ctx, const void* conf) noexcept nogil:
    cdef uint16_t cap = (<const Conf*>conf).max_udp_bytes
    if ctx.q.has_opt and ctx.q.udp_bytes > cap:
        ctx.q.udp_bytes = cap
    if ctx.q.asked_udp_bytes > cap:
        ctx.q.asked_udp_bytes = cap
    return NEXT


cdef class BufsizeStep(NativeStep):
    """max_udp_bytes: 512 to 4096."""
    cdef Conf conf

    def __init__(self, uint16_t max_udp_bytes):
        self.conf.max_udp_bytes = max_udp_bytes
        self.step.before = before
        self.step.conf = &self.conf
