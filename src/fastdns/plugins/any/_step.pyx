"""The any step: one HINFO record answers a question for all records (RFC 8482 section 4.2)."""

from libc.stdint cimport uint8_t

from fastdns._wire cimport RR, TYPE_ANY, add_rr
from fastdns.serve._context cimport NEXT, Context, Outcome, written
from fastdns.serve._zones cimport NativeStep

cdef enum:
    TYPE_HINFO = 13
    # The RFC's number, as CoreDNS has it.
    TTL_S = 8482
    RDATA_BYTES = 27

cdef const uint8_t* RDATA = <const uint8_t*>b"\x0dANY obsoleted\x0cSee RFC 8482"


cdef Outcome before(Context* ctx, const void* conf) noexcept nogil:
    cdef RR* rr
    if ctx.q.qtype != TYPE_ANY:
        return NEXT
    rr = add_rr(ctx.reply, &ctx.reply.answer, TYPE_HINFO, TTL_S)
    if rr != NULL:
        rr.fixed = RDATA
        rr.fixed_len = RDATA_BYTES
    return written(ctx)


cdef class AnyStep(NativeStep):
    def __init__(self):
        self.step.before = before
