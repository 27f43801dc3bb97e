"""What all threads of all workers know of an upstream, in shared memory, by the upstream's slot.

Any process may write a word, and reads what another one has written last. Slots and addresses:
supervisor/routes.py.
"""

from libc.stdint cimport uint32_t, uint64_t
from fastdns.memory._atomics cimport load, publish_u64
from fastdns.plugins.forward.engine._stanza cimport MAX_UPSTREAMS

cdef struct SharedUpstream:
    uint64_t token[2]               # of the loop probe that is out
    uint64_t armed_until_ns         # CLOCK_MONOTONIC
    uint64_t seen_ns                # when the loop probe came back to this server
    uint64_t cut                    # a loop was found: nobody asks this upstream
    uint64_t counter_slots          # of the first entry: counter slots that an engine ever used
    uint64_t no_stream_until_ns     # until then truncated replies are not asked for again over TCP; 0: TCP may work
    uint64_t pad[1]

cdef enum:
    NO_STREAM_MS = 30000            # for so long after TCP has failed

cdef inline bint is_cut(const SharedUpstream* s) noexcept nogil:
    return load(&s.cut) != 0

# Whether TCP has failed a short while ago, so that a truncated reply is all that can be had.
cdef inline bint avoids_streams(const SharedUpstream* s, uint64_t now_ns) noexcept nogil:
    return load(&s.no_stream_until_ns) > now_ns

# Whether TCP has failed, however long ago, and has not worked since.
cdef inline bint streams_failed(const SharedUpstream* s) noexcept nogil:
    return load(&s.no_stream_until_ns) != 0

# A truncated reply could not be had over TCP. Other queries need not find that out for themselves.
cdef inline void avoid_streams(SharedUpstream* s, uint64_t now_ns) noexcept nogil:
    publish_u64(&s.no_stream_until_ns, now_ns + <uint64_t>NO_STREAM_MS * 1000000)

cdef inline void stream_works(SharedUpstream* s) noexcept nogil:
    if streams_failed(s):
        publish_u64(&s.no_stream_until_ns, 0)


cdef class Upstreams:
    """The table, made by the supervisor before it forks."""
    cdef SharedUpstream* table
    cdef SharedUpstream* of(self, uint32_t slot) except NULL
