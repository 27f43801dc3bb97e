"""The prometheus step: counts the query and the reply of the rest of the chain."""

from libc.stdint cimport uint32_t

from fastdns.serve._chain cimport count_query
from fastdns.serve._context cimport Context
from fastdns.serve._zones cimport NativeStep
from fastdns._wire cimport uncompressed_bytes


cdef void after(Context* ctx, const void* conf) noexcept nogil:
    cdef uint32_t size = uncompressed_bytes(ctx.q, ctx.reply) if ctx.written else 0
    count_query(ctx, ctx.zone_slot, ctx.reply.rcode, ctx.written, size)


cdef class PrometheusStep(NativeStep):
    def __init__(self):
        self.step.after = after
