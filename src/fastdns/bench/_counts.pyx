"""Reads what a run counts, from the memory that it counts in."""

from libc.stdint cimport uint8_t, uint64_t

from fastdns.bench.result import Result, Wrong

COUNTS_BYTES = sizeof(Counts)


cdef const Counts* counts_in(const uint8_t[::1] memory) except NULL:
    if memory.shape[0] < <Py_ssize_t>sizeof(Counts):
        raise ValueError(f"{sizeof(Counts)} bytes expected, got {memory.shape[0]}")
    return <const Counts*>&memory[0]


def stop(uint8_t[::1] memory):
    """End the run that counts there, at once: what is under way is interrupted."""
    if memory.shape[0] < <Py_ssize_t>sizeof(Counts):
        raise ValueError(f"{sizeof(Counts)} bytes expected, got {memory.shape[0]}")
    (<Counts*>&memory[0]).stop = 1


def read_result(const uint8_t[::1] memory):
    """What a run has given so far. Of one that goes on, sums may differ by what happens while they are read."""
    cdef const Counts* c = counts_in(memory)
    cdef uint64_t end_ns = max(c.last_ns, c.asked_ns)
    cdef uint64_t asking_ns = c.asked_ns - c.begin_ns if c.asked_ns > c.begin_ns else 0
    cdef list histogram = []
    cdef list samples = []
    cdef int i
    for i in range(BUCKETS):
        if c.buckets[i]:
            histogram.append((i, c.buckets[i]))
    for i in range(<int>min(c.sample_count, <uint64_t>SAMPLES)):
        samples.append(Wrong(c.samples[i].question, (<const char*>c.samples[i].answer)[:c.samples[i].size]))
    return Result(
        sent=c.sent, answered=c.answered, lost=c.lost, mismatched=c.mismatched, truncated=c.truncated,
        errors=c.errors, answer_bytes=c.answer_bytes,
        elapsed_s=(end_ns - c.begin_ns) / 1e9 if end_ns > c.begin_ns else 0.0, max_ns=c.max_ns,
        rcodes=tuple([c.rcodes[i] for i in range(16)]), histogram=tuple(histogram),
        min_ns=c.min_ns, sum_ns=c.sum_ns, query_bytes=c.query_bytes, interrupted=c.interrupted, unsent=c.unsent,
        late=c.late, duplicates=c.duplicates, reconnects=c.reconnects, checked=c.checked, wrong=c.wrong,
        wrong_samples=tuple(samples),
        cpu_ns=c.cpu_ns - c.idle_cpu_ns if c.cpu_ns > c.idle_cpu_ns else 0,
        busy=1.0 - min(1.0, <double>c.idle_ns / <double>asking_ns) if asking_ns else 0.0,
    )
