"""What all processes know of each upstream: see _shared.pxd."""

from fastdns.memory._mapping cimport map_shared, unmap


cdef class Upstreams:
    """What every process knows of each upstream, by slot. The supervisor makes it before it forks."""

    def __cinit__(self):
        self.table = <SharedUpstream*>map_shared(MAX_UPSTREAMS * sizeof(SharedUpstream))
        if self.table == NULL:
            raise OSError("no memory for the table of upstreams")

    def __dealloc__(self):
        unmap(self.table, MAX_UPSTREAMS * sizeof(SharedUpstream))

    cdef SharedUpstream* of(self, uint32_t slot) except NULL:
        if slot >= MAX_UPSTREAMS:
            raise IndexError(f"upstream slot {slot}: there are {MAX_UPSTREAMS}")
        return &self.table[slot]

    def arm(self, uint32_t slot, uint64_t high, uint64_t low, uint64_t until_ns):
        """A loop probe with this token goes out to the upstream. It counts if it comes back until then."""
        cdef SharedUpstream* s = self.of(slot)
        s.armed_until_ns = 0
        s.seen_ns = 0
        s.token[0] = high
        s.token[1] = low
        publish_u64(&s.armed_until_ns, until_ns)

    def seen(self, uint32_t slot):
        """Whether the loop probe has come back."""
        return load(&self.of(slot).seen_ns) != 0

    def cut(self, uint32_t slot, bint cut):
        """Set whether the upstream is cut off: then nobody asks it."""
        publish_u64(&self.of(slot).cut, cut)

    def is_cut(self, uint32_t slot):
        """Whether the upstream is cut off, as a loop was found behind it."""
        return is_cut(self.of(slot))

    def avoid_streams(self, uint32_t slot, uint64_t until_ns):
        """Until this time of CLOCK_MONOTONIC, do not ask again over TCP for what the upstream truncates."""
        publish_u64(&self.of(slot).no_stream_until_ns, until_ns)

    def avoids_streams(self, uint32_t slot):
        """Whether TCP is known to fail there."""
        return streams_failed(self.of(slot))
