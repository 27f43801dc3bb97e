"""What is known of the pod that asks, as values: its namespace, its name and its labels."""

from libc.stdint cimport int32_t, uint8_t, uint32_t
from libc.string cimport memcpy

from fastdns.serve._context cimport Context
from fastdns.serve._values cimport NativeValue
from fastdns.plugins.kubernetes.answers._options cimport AnswerOptions
from fastdns.plugins.kubernetes.answers._pods cimport description_at, namespace_at
from fastdns.plugins.kubernetes.answers._request cimport Conf

# number: of the text that is kept of pods; -1: the namespace.
cdef struct Asked:
    const Conf* conf
    int32_t number


cdef uint32_t compute(Context* ctx, const void* conf, uint8_t* out, uint32_t room) noexcept nogil:
    cdef const Asked* asked = <const Asked*>conf
    cdef const uint8_t* text = NULL
    cdef uint32_t size = 0
    if asked.number >= 0:
        size = description_at(ctx, asked.conf, ctx.client, ctx.client_len, <uint32_t>asked.number, &text)
    else:
        text = namespace_at(ctx, asked.conf, ctx.client, ctx.client_len)
        if text != NULL:
            size = text[0]
            text += 1
    if size == 0 or size > room:
        return 0
    memcpy(out, text, size)
    return size


cdef class ClientValue(NativeValue):
    """number: the place in Config.described; None: the namespace."""
    cdef Asked asked
    cdef AnswerOptions options

    def __init__(self, AnswerOptions options not None, number):
        self.options = options
        self.asked.conf = &options.conf
        self.asked.number = -1 if number is None else number
        self.value.compute = compute
        self.value.conf = &self.asked
