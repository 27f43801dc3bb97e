"""The top step: counts who asks, for which name, which names there are not, and which are slow."""

from libc.stdint cimport uint32_t, uint64_t

from fastdns.memory._clock cimport monotonic_ns
from fastdns.memory._hash cimport hash_bytes
from fastdns.serve._context cimport Context
from fastdns.serve._slots cimport slot_of
from fastdns.serve._zones cimport NativeStep
from fastdns._wire cimport NXDOMAIN
from fastdns.plugins.top._sketch cimport CLIENTS, NAMES, NXDOMAINS, SLOW, Sketch, count_one, enter_window, expect

cdef struct Conf:
    uint32_t slot               # of the thread's sketch
    uint64_t slow_ns


cdef void after(Context* ctx, const void* opaque) noexcept nogil:
    cdef const Conf* conf = <const Conf*>opaque
    cdef Sketch* s = <Sketch*>ctx.slots[conf.slot]
    cdef uint64_t hash
    # Only what clients ask counts.
    if s == NULL or ctx.depth != 0 or ctx.background:
        return
    enter_window(s, ctx.received_ns)
    hash = hash_bytes(s.seed, ctx.q.name, ctx.q.name_len)
    expect(s, NAMES, hash)
    count_one(s, CLIENTS, hash_bytes(s.seed, ctx.client, ctx.client_len), ctx.client, ctx.client_len)
    count_one(s, NAMES, hash, ctx.q.name, ctx.q.name_len)
    if ctx.reply.rcode == NXDOMAIN:
        count_one(s, NXDOMAINS, hash, ctx.q.name, ctx.q.name_len)
    # What did not wait was answered from memory: the time of that is the server's, not the name's.
    if ctx.replays != 0 and monotonic_ns() - ctx.received_ns >= conf.slow_ns:
        count_one(s, SLOW, hash, ctx.q.name, ctx.q.name_len)


cdef class TopStep(NativeStep):
    """slow_ns: a query that waited, and took so long, was slow."""
    cdef Conf conf

    def __init__(self, uint64_t slow_ns):
        self.conf.slot = slot_of("top")
        self.conf.slow_ns = slow_ns
        self.step.after = after
        self.step.conf = &self.conf
