"""The cancel step: says until when a query may wait. What waits looks at it: see suspend of serve/_suspend.pxd."""

from libc.stdint cimport uint64_t

from fastdns.serve._context cimport NEXT, Context, Outcome
from fastdns.serve._zones cimport NativeStep

cdef struct Conf:
    uint64_t timeout_ns


cdef Outcome before(Context* ctx, const void* conf) noexcept nogil:
    cdef uint64_t deadline_ns = ctx.received_ns + (<const Conf*>conf).timeout_ns
    # A question inside a query may have less time than the query, never more.
    if ctx.deadline_ns == 0 or deadline_ns < ctx.deadline_ns:
        ctx.deadline_ns = deadline_ns
    return NEXT


cdef class CancelStep(NativeStep):
    """timeout_ns: from when the query has come."""
    cdef Conf conf

    def __init__(self, uint64_t timeout_ns):
        self.conf.timeout_ns = timeout_ns
        self.step.before = before
        self.step.conf = &self.conf
