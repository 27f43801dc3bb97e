"""The ring of log events: see _ring.pxd."""

cimport cython
from libc.stdlib cimport calloc, free, malloc

from fastdns.memory._atomics cimport load, publish_u64
from fastdns.memory._syscalls cimport c_write
from fastdns.serve._slots cimport slot_of
from fastdns.serve._worker cimport Worker
from fastdns._wire cimport MAX_MESSAGE_BYTES, MAX_OPT_ECHO_BYTES

cdef enum:
    SECOND_NS = 1000000000
    MAX_LINES_S = 1000000000


cdef bint within_rate(Ring* ring, uint64_t now_ns) noexcept nogil:
    """Whether one more line may be logged now. A second's worth of lines may come at once."""
    if ring.due_ns + SECOND_NS < now_ns:
        ring.due_ns = now_ns - SECOND_NS
    if ring.due_ns > now_ns:
        return False
    ring.due_ns += ring.line_ns
    return True


cdef LogEvent* reserve(Ring* ring, uint32_t more, uint64_t now_ns) noexcept nogil:
    cdef uint32_t size = (<uint32_t>sizeof(LogEvent) + more + 7) & ~<uint32_t>7
    cdef uint32_t at = ring.head & (ring.capacity - 1)
    cdef uint32_t skipped = ring.capacity - at if at + size > ring.capacity else 0
    cdef LogEvent* event
    ring.used = ring.head - load(&ring.tail)
    if ring.used + skipped + size > ring.capacity or not within_rate(ring, now_ns):
        publish_u64(&ring.dropped, ring.dropped + 1)
        return NULL
    if skipped:
        (<LogEvent*>(ring.bytes + at)).size = 0
        at = 0
    event = <LogEvent*>(ring.bytes + at)
    event.size = size
    ring.next_head = ring.head + skipped + size
    return event


cdef void commit(Ring* ring) noexcept nogil:
    cdef uint64_t used = ring.used + (ring.next_head - ring.head)
    cdef uint64_t half = ring.capacity >> 1
    cdef uint64_t one = 1
    publish_u64(&ring.head, ring.next_head)
    if ring.wake_fd >= 0 and ring.used < half <= used:
        # An eventfd that is not read in time stays readable: nothing is lost where this fails.
        c_write(ring.wake_fd, &one, sizeof(one))


cdef const LogEvent* read_event(const Ring* ring, uint64_t* at, uint64_t head) noexcept nogil:
    cdef const LogEvent* event
    cdef uint32_t offset
    if at[0] == head:
        return NULL
    offset = at[0] & (ring.capacity - 1)
    event = <const LogEvent*>(ring.bytes + offset)
    if event.size == 0:
        at[0] += ring.capacity - offset
        event = <const LogEvent*>ring.bytes
    at[0] += event.size
    return event


@cython.no_gc_clear
cdef class LogRing:
    """capacity_bytes: a power of two; an event takes 72 to 320, and up to 256 for each value.

    lines_s: the most lines a second, on average. wake_fd: a non-blocking eventfd of the caller's, for the reader to
    be woken by; -1: none.
    """

    def __cinit__(self, uint32_t capacity_bytes, uint32_t lines_s, int wake_fd=-1):
        if not MIN_RING_BYTES <= capacity_bytes <= MAX_RING_BYTES or capacity_bytes & (capacity_bytes - 1):
            raise ValueError(f"a power of two from {MIN_RING_BYTES} bytes on expected, got {capacity_bytes}")
        if not 0 < lines_s <= MAX_LINES_S:
            raise ValueError(f"1 to {MAX_LINES_S} lines a second expected, got {lines_s}")
        self.workers = []
        self.ring = <Ring*>calloc(1, sizeof(Ring))
        if self.ring == NULL:
            raise MemoryError
        self.ring.bytes = <uint8_t*>malloc(capacity_bytes)
        self.ring.trial = <uint8_t*>malloc(MAX_MESSAGE_BYTES + MAX_OPT_ECHO_BYTES)
        if self.ring.bytes == NULL or self.ring.trial == NULL:
            raise MemoryError
        self.ring.capacity = capacity_bytes
        self.ring.line_ns = SECOND_NS // lines_s
        self.ring.wake_fd = wake_fd

    def __dealloc__(self):
        cdef Worker worker
        if self.ring != NULL:
            for worker in self.workers:
                worker.slots[slot_of("log")] = NULL
            free(self.ring.bytes)
            free(self.ring.trial)
        free(self.ring)

    def attach(self, Worker worker not None):
        """Let a worker log into this ring. All workers of a ring serve on one thread."""
        self.workers.append(worker)
        worker.slots[slot_of("log")] = self.ring

    @property
    def dropped(self):
        """How many events have been dropped so far."""
        return load(&self.ring.dropped)

    @property
    def used_bytes(self):
        """What lies in the ring and has not been read."""
        return load(&self.ring.head) - load(&self.ring.tail)
