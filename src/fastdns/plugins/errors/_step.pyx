"""The errors step: hands every error that the rest of the chain returned to the thread that logs."""

from fastdns._chain cimport Context, NativeStep, report_error


cdef void after(Context* ctx, const void* conf) noexcept nogil:
    if ctx.error:
        report_error(ctx)


cdef class ErrorsStep(NativeStep):
    def __init__(self):
        self.step.after = after
