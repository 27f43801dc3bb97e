"""The nsid step: tells clients that ask for it which server this is (RFC 5001)."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t

from fastdns.serve._context cimport Context
from fastdns.serve._zones cimport NativeStep
from fastdns._wire cimport Query, add_option

cdef enum:
    OPTION_NSID = 3

cdef struct Conf:
    const uint8_t* data
    uint16_t length


cdef bint asks(const Query* q) noexcept nogil:
    """Whether the option is in the query; it is one of those that are echoed."""
    cdef uint32_t at = 0
    while at + 4 <= q.opt_echo_len:
        if ((<uint16_t>q.opt_echo[at] << 8) | q.opt_echo[at + 1]) == OPTION_NSID:
            return True
        at += 4 + ((<uint32_t>q.opt_echo[at + 2] << 8) | q.opt_echo[at + 3])
    return False


cdef void after(Context* ctx, const void* conf) noexcept nogil:
    cdef const Conf* c = <const Conf*>conf
    if asks(ctx.q):
        add_option(ctx.reply, OPTION_NSID, c.data, c.length)


cdef class NsidStep(NativeStep):
    """data: at most 255 bytes."""
    cdef Conf conf
    cdef bytes data

    def __init__(self, bytes data not None):
        self.data = data
        self.conf.data = <const uint8_t*>data
        self.conf.length = len(data)
        self.step.after = after
        self.step.conf = &self.conf
