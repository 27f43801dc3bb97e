"""The errors step: hands every error that the rest of the chain returned to the thread that logs."""

from libc.stdint cimport uint16_t

from fastdns.serve._chain cimport report_error
from fastdns.serve._context cimport Context
from fastdns.serve._zones cimport NativeStep

cdef struct Conf:
    uint16_t block


cdef void after(Context* ctx, const void* conf) noexcept nogil:
    if ctx.error:
        report_error(ctx, (<const Conf*>conf).block)


cdef class ErrorsStep(NativeStep):
    """block: the number by which Worker.take_errors tells whose options format the line."""
    cdef Conf conf

    def __init__(self, uint16_t block):
        self.conf.block = block
        self.step.after = after
        self.step.conf = &self.conf
