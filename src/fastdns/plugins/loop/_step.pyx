"""The loop step: sees the probes that come back from upstreams, and ends them.

A probe is a question for HINFO of ``<16 hex digits>.<16 hex digits>.<first zone>``; its digits are the token that
is armed for one upstream in the shared table. Nobody else knows it, so its coming back proves a loop.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from fastdns.memory._atomics cimport load, publish_u64
from fastdns.memory._clock cimport monotonic_ns
from fastdns.serve._context cimport DROPPED, NEXT, Context, Outcome
from fastdns.serve._zones cimport NativeStep
from fastdns.plugins.forward.engine._shared cimport SharedUpstream, Upstreams
from fastdns.plugins.forward.engine._stanza cimport MAX_UPSTREAMS

cdef enum:
    TYPE_HINFO = 13
    DIGITS = 16

cdef struct Conf:
    SharedUpstream* table


cdef bint read_hex(const uint8_t* label, uint64_t* value) noexcept nogil:
    """A label of 16 lowercased hex digits."""
    cdef uint32_t i
    cdef uint8_t byte
    if label[0] != DIGITS:
        return False
    value[0] = 0
    for i in range(1, DIGITS + 1):
        byte = label[i]
        if byte >= 48 and byte <= 57:
            byte -= 48
        elif byte >= 97 and byte <= 102:
            byte -= 87
        else:
            return False
        value[0] = (value[0] << 4) | byte
    return True


cdef Outcome before(Context* ctx, const void* conf) noexcept nogil:
    cdef SharedUpstream* table = (<const Conf*>conf).table
    cdef uint64_t high = 0
    cdef uint64_t low = 0
    cdef uint32_t i
    if (ctx.q.qtype != TYPE_HINFO or ctx.q.label_count < 2 or not read_hex(ctx.q.name, &high)
            or not read_hex(ctx.q.name + DIGITS + 1, &low)):
        return NEXT
    for i in range(MAX_UPSTREAMS):
        if (table[i].token[0] == high and table[i].token[1] == low
                and load(&table[i].armed_until_ns) > monotonic_ns()):
            publish_u64(&table[i].seen_ns, monotonic_ns())
            return DROPPED
    return NEXT


cdef class LoopStep(NativeStep):
    """upstreams: the table that the probes are armed in."""
    cdef Conf conf
    cdef Upstreams keep

    def __init__(self, Upstreams upstreams not None):
        self.keep = upstreams
        self.conf.table = upstreams.table
        self.step.before = before
        self.step.conf = &self.conf
