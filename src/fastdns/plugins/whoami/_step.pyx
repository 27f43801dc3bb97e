"""The whoami step: answers any question with the client's address, port and transport."""

from libc.stdint cimport uint8_t, uint16_t
from libc.string cimport memcpy

from fastdns.serve._context cimport Context, Outcome, proto_of, written
from fastdns.serve._zones cimport NativeStep
from fastdns._wire cimport (
    HEADER_BYTES, MAX_NAME_BYTES, RR, TYPE_A, TYPE_AAAA, TYPE_SRV, add_rr, put_u16, scratch,
)


cdef Outcome before(Context* ctx, const void* conf) noexcept nogil:
    cdef RR* rr
    cdef uint8_t* owner
    cdef uint16_t owner_len = 5 + ctx.q.name_len
    ctx.reply.aa = True
    rr = add_rr(ctx.reply, &ctx.reply.additional, TYPE_A if ctx.client_len == 4 else TYPE_AAAA, 0)
    if rr == NULL:
        return written(ctx)
    rr.fixed = ctx.client
    rr.fixed_len = ctx.client_len
    # A qname that leaves no room for one more label gets the address only.
    owner = scratch(ctx.reply, owner_len) if owner_len <= MAX_NAME_BYTES else NULL
    if owner != NULL:
        memcpy(owner, b"\x04_tcp" if proto_of(ctx.transport) else b"\x04_udp", 5)
        memcpy(owner + 5, ctx.q.msg + HEADER_BYTES, ctx.q.name_len)
        rr = add_rr(ctx.reply, &ctx.reply.additional, TYPE_SRV, 0)
        if rr == NULL:
            return written(ctx)
        rr.owner = owner
        rr.owner_len = owner_len
        put_u16(rr.inline_fixed, 0)
        put_u16(rr.inline_fixed + 2, 0)
        put_u16(rr.inline_fixed + 4, ctx.client_port)
        rr.fixed_len = 6
        rr.name = b"\0"
        rr.name_len = 1
    return written(ctx)


cdef class WhoamiStep(NativeStep):
    def __init__(self):
        self.step.before = before
