"""The taps of one serving thread: see _thread.pxd."""

cimport cython
from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free

from fastdns.memory._clock cimport clock_gettime, monotonic_ns, timespec
from fastdns.plugins.dnstap._ring cimport TapRing
from fastdns.serve._slots cimport slot_of
from fastdns.serve._worker cimport Worker

cdef extern from "time.h" nogil:
    enum:
        CLOCK_REALTIME

cdef enum:
    BELIEVED_NS = 100000000
    # Less is no change: the two clocks are read one after the other, and a query's time is told twice.
    LEAST_CHANGE_NS = 100000


cdef uint64_t time_of_day(Thread* thread, uint64_t at_ns) noexcept nogil:
    cdef timespec now
    cdef uint64_t now_ns
    cdef int64_t change_ns
    if at_ns >= thread.believed_until_ns:
        now_ns = monotonic_ns()
        clock_gettime(CLOCK_REALTIME, &now)
        change_ns = <int64_t>(<uint64_t>now.tv_sec * 1000000000 + now.tv_nsec - now_ns - thread.since_1970_ns)
        if not -LEAST_CHANGE_NS < change_ns < LEAST_CHANGE_NS:
            thread.since_1970_ns += <uint64_t>change_ns
        thread.believed_until_ns = now_ns + BELIEVED_NS
    return at_ns + thread.since_1970_ns


@cython.no_gc_clear
cdef class ThreadTaps:
    """rings: one for each destination, in their order."""

    def __cinit__(self, list rings not None):
        cdef TapRing ring
        cdef uint32_t i
        self.rings = rings
        self.workers = []
        self.thread.rings = <Ring**>calloc(len(rings) + 1, sizeof(Ring*))
        if self.thread.rings == NULL:
            raise MemoryError
        for i in range(<uint32_t>len(rings)):
            ring = rings[i]
            self.thread.rings[i] = ring.ring
        self.thread.count = len(rings)

    def __dealloc__(self):
        cdef Worker worker
        for worker in self.workers or ():
            worker.slots[slot_of("dnstap")] = NULL
        free(self.thread.rings)

    def attach(self, Worker worker not None):
        """Let a worker write into these rings. All workers of a ring serve on one thread."""
        self.workers.append(worker)
        worker.slots[slot_of("dnstap")] = &self.thread
