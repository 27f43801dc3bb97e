"""Everything one serving thread needs to serve the messages of one listener: query, reply, Context."""

from libc.stdint cimport uint32_t
from fastdns.metrics._stats cimport MAX_ZONE_BANKS, ZoneBank
from fastdns.serve._context cimport Context, KeptReplies
from fastdns.serve._errors cimport ErrorRing
from fastdns.serve._slots cimport MAX_SLOTS
from fastdns.serve._zones cimport ServerTable
from fastdns._wire cimport Query, Reply


cdef class Worker:
    cdef Context ctx
    cdef Query query
    cdef Reply* reply
    cdef ErrorRing* ring
    cdef void* slots[MAX_SLOTS]
    cdef KeptReplies kept
    cdef ZoneBank* zone_banks[MAX_ZONE_BANKS]
    cdef readonly object store
    cdef readonly object stats
    cdef readonly ServerTable table
    cdef readonly uint32_t reader_slot
    # Raises ValueError where a table's zones have no counters here.
    cdef int expect_counters(self, ServerTable table) except -1
