"""The native step that stands in the chain for a step in Python.

It suspends a query (opcode QUERY) once, and then does what the coroutine has said: its reply, the next plugin, or
silence.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from fastdns.metrics._stats cimport ZoneBank, zone_counters
from fastdns.serve._context cimport NO_SLOT, Context
from fastdns.serve._values cimport Value
from fastdns.serve._zones cimport NativeStep

# What became of queries: places in a row of counters of a zone, from Handing.first_counter on. Behind them stand
# the buckets of the times that queries have waited, and their sum. COUNTERS in _step.pyx has their names.
cdef enum Result:
    ANSWER = 0
    PASS = 1                    # the next plugin's
    SILENCE = 2
    TIMED_OUT = 3
    RAISED = 4
    BAD_REPLY = 5
    DRAINED = 6                 # the worker has ended
    SHED_PLACES = 7
    SHED_RING = 8
    SHED_CLIENT = 9
    SHED_TASKS = 10
    RESULTS = 11

cdef enum:
    TIME_BUCKETS = 9            # TIME_BOUNDS_S in _step.pyx, and +Inf
    MAX_VALUES = 16
    MAX_HANDED_BYTES = 98304

# What a step with a native half hands along with a query that it suspends. Returns its size, at most
# MAX_HANDED_BYTES.
ctypedef uint32_t (*hand_fn)(Context* ctx, const uint8_t** handed) noexcept nogil

# One step of one block: the request that is given to suspend.
cdef struct Handing:
    uint32_t slot               # of the thread's service
    uint32_t number             # among all steps in Python
    uint32_t first_counter
    uint64_t timeout_ns
    bint cacheable              # its replies may be kept by a cache as an upstream's
    uint32_t value_count        # what it reads of plugins
    const Value* values[MAX_VALUES]
    hand_fn hand                # NULL: nothing

# banks: the thread's counters of zones; NULL: it has none.
cdef inline void count_result(ZoneBank** banks, uint32_t zone_slot, const Handing* h, uint32_t result,
                              uint64_t more) noexcept nogil:
    if banks != NULL and zone_slot != NO_SLOT:
        zone_counters(banks, zone_slot).plugins[h.first_counter + result] += more

cdef void count_time(ZoneBank** banks, uint32_t zone_slot, const Handing* h, uint64_t ns) noexcept nogil


cdef class HandOver(NativeStep):
    cdef Handing handing
    # The PythonStep, and the name of its plugin.
    cdef readonly object python
    cdef readonly str plugin
    cdef list values
