"""Reads the counters of a run from their memory."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport uint64_t

from fastdns.bench import result

COUNTS_BYTES = sizeof(Counts)


cdef Counts* counts_in(object memory, bint writable) except NULL:
    cdef Py_buffer view
    PyObject_GetBuffer(memory, &view, PyBUF_WRITABLE if writable else PyBUF_SIMPLE)
    cdef Counts* counts = <Counts*>view.buf
    cdef Py_ssize_t size = view.len
    PyBuffer_Release(&view)
    if size < <Py_ssize_t>sizeof(Counts):
        raise ValueError(f"counters: {sizeof(Counts)} bytes expected, got {size}")
    return counts


def stop(memory not None):
    """End the run at once; outstanding queries are interrupted."""
    counts_in(memory, True).stop = 1


cdef tuple histogram_of(const Latencies* latencies):
    cdef list found = []
    cdef int i
    for i in range(BUCKETS):
        if latencies.buckets[i]:
            found.append((i, latencies.buckets[i]))
    return tuple(found)


def read_result(memory not None):
    """The result so far. While the run goes on, sums may differ by what changes during the read."""
    cdef const Counts* c = counts_in(memory, False)
    cdef uint64_t end_ns = max(c.last_ns, c.asked_ns)
    cdef uint64_t asking_ns = c.asked_ns - c.begin_ns if c.asked_ns > c.begin_ns else 0
    cdef list samples = []
    cdef int i
    for i in range(<int>min(c.sample_count, <uint64_t>SAMPLES)):
        samples.append(result.Wrong(c.samples[i].question, (<const char*>c.samples[i].answer)[:c.samples[i].size]))
    return result.Result(
        sent=c.sent, answered=c.answers.count, lost=c.lost, mismatched=c.mismatched, truncated=c.truncated,
        errors=c.errors, stream_errors=c.stream_errors, answer_bytes=c.answer_bytes,
        elapsed_s=(end_ns - c.begin_ns) / 1e9 if end_ns > c.begin_ns else 0.0, max_ns=c.answers.max_ns,
        rcodes=tuple([c.rcodes[i] for i in range(16)]), histogram=histogram_of(&c.answers),
        min_ns=c.answers.min_ns, sum_ns=c.answers.sum_ns, query_bytes=c.query_bytes,
        interrupted=c.interrupted, unsent=c.unsent, late=c.late,
        duplicates=c.duplicates, reconnects=c.reconnects, checked=c.checked, wrong=c.wrong,
        wrong_samples=tuple(samples), resumed=c.resumed,
        set_ups=result.Latencies(
            histogram_of(&c.set_ups), c.set_ups.min_ns, c.set_ups.max_ns, c.set_ups.sum_ns),
        cpu_ns=c.cpu_ns - c.idle_cpu_ns if c.cpu_ns > c.idle_cpu_ns else 0,
        busy=1.0 - min(1.0, <double>c.idle_ns / <double>asking_ns) if asking_ns else 0.0,
    )
