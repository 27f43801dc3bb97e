"""The counters of a run, in memory that other processes may read meanwhile."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef extern from *:
    int leading_zeros "__builtin_clzll"(unsigned long long value) noexcept nogil

cdef enum:
    SUB_BITS = 10               # as in result.py
    SUBS = 1024
    BUCKETS = 29696
    SAMPLES = 8
    SAMPLE_BYTES = 1024

cdef struct Latencies:
    uint64_t count
    uint64_t min_ns
    uint64_t max_ns
    uint64_t sum_ns
    uint64_t buckets[BUCKETS]

cdef struct Sample:
    uint32_t question
    uint32_t size
    uint8_t answer[SAMPLE_BYTES]

cdef struct Counts:
    uint64_t stop               # the only field that other processes write: end the run
    uint64_t begin_ns
    uint64_t last_ns            # time of the last answer
    uint64_t asked_ns           # time when the last query was sent, or was due
    uint64_t idle_ns            # before asked_ns
    uint64_t cpu_ns             # of this thread, before asked_ns
    uint64_t idle_cpu_ns        # of it, in rounds that found nothing to do
    uint64_t sent
    uint64_t lost
    uint64_t interrupted
    uint64_t unsent
    uint64_t late
    uint64_t duplicates
    uint64_t mismatched
    uint64_t truncated
    uint64_t errors
    uint64_t stream_errors        # responses without a message, and streams that were reset
    uint64_t reconnects
    uint64_t checked
    uint64_t wrong
    uint64_t query_bytes
    uint64_t answer_bytes
    uint64_t rcodes[16]
    Latencies answers           # of all that were answered
    uint64_t sample_count
    Sample samples[SAMPLES]
    # Connections, those before the run as well: from the first packet until queries can be sent.
    uint64_t resumed            # of them, with a TLS session of an earlier one
    Latencies set_ups


cdef inline uint32_t bucket_of(uint64_t value) noexcept nogil:
    if value < SUBS:
        return <uint32_t>value
    cdef uint32_t octave = 63 - leading_zeros(value) - SUB_BITS
    cdef uint64_t bucket = (<uint64_t>octave << SUB_BITS) + (value >> octave)
    return <uint32_t>bucket if bucket < BUCKETS else BUCKETS - 1


cdef inline void add_latency(Latencies* to, uint64_t took_ns) noexcept nogil:
    to.buckets[bucket_of(took_ns)] += 1
    to.sum_ns += took_ns
    if took_ns > to.max_ns:
        to.max_ns = took_ns
    if took_ns < to.min_ns or to.count == 0:
        to.min_ns = took_ns
    to.count += 1


# The counts in a buffer. The caller keeps the buffer, unchanged in size, while it uses them. Not a typed
# memoryview: Cython writes 0.7 MB of C for the first one of a module.
cdef Counts* counts_in(object memory, bint writable) except NULL
