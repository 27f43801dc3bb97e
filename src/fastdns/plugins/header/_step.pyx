"""The header step: bits of the header that upstreams are asked with, and bits that clients get.

AA and RA of a response are changed where caches see them; RD is only in the message that leaves.
"""

from libc.stdint cimport uint16_t

from fastdns.serve._context cimport NEXT, Context, Outcome
from fastdns.serve._zones cimport NativeStep
from fastdns._wire cimport FLAG_AA, FLAG_RA, Reply

# The second 16 bits of the header.
cdef struct Bits:
    uint16_t set
    uint16_t cleared

cdef struct Conf:
    Bits query
    Bits response


cdef Outcome before(Context* ctx, const void* conf) noexcept nogil:
    cdef const Bits* bits = &(<const Conf*>conf).query
    ctx.asked_set = (ctx.asked_set & ~bits.cleared) | bits.set
    ctx.asked_cleared = (ctx.asked_cleared & ~bits.set) | bits.cleared
    return NEXT


cdef void after(Context* ctx, const void* conf) noexcept nogil:
    cdef const Bits* bits = &(<const Conf*>conf).response
    cdef Reply* reply = ctx.reply
    # An error that no plugin wrote is not a response that came by here.
    if not ctx.written:
        return
    reply.aa = (reply.aa and not bits.cleared & FLAG_AA) or bits.set & FLAG_AA != 0
    reply.ra = (reply.ra and not bits.cleared & FLAG_RA) or bits.set & FLAG_RA != 0
    reply.flags_set = (reply.flags_set & ~bits.cleared) | bits.set
    reply.flags_cleared = (reply.flags_cleared & ~bits.set) | bits.cleared


cdef class HeaderStep(NativeStep):
    cdef Conf conf

    def __init__(self, uint16_t query_set, uint16_t query_cleared, uint16_t response_set,
                 uint16_t response_cleared):
        self.conf.query.set = query_set
        self.conf.query.cleared = query_cleared
        self.conf.response.set = response_set
        self.conf.response.cleared = response_cleared
        self.step.before = before
        self.step.after = after
        self.step.conf = &self.conf
