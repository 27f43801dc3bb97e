"""One change of a zone, from its names to its ZoneHead: written beside what is served, until one store shows it.

An Edit is begun by ZoneWriter with the ZoneHead that is served, published, or given up where that raises.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastdns.memory._store cimport Writer
from fastdns.rrsets._chunks cimport OrderChange
from fastdns.rrsets._draft cimport Buffer, Draft
from fastdns.rrsets._layout cimport Body, ZoneHead
from fastdns.rrsets._pending cimport Pending

# type -> (TTL, list of rdata)
cdef dict rrs_of(const Body* body)


cdef class Edit:
    cdef Writer writer
    cdef uint32_t source
    cdef ZoneHead head              # as it will be
    cdef bint is_new                # nobody sees the zone yet
    cdef uint32_t version
    cdef uint32_t changed           # names
    cdef uint32_t max_names
    cdef bint records_history
    cdef size_t max_change_bytes
    cdef OrderChange order
    cdef Pending pending
    cdef Buffer payload
    cdef Buffer body
    cdef Buffer removed             # RRs, for the history
    cdef Buffer added
    cdef uint32_t removed_count
    cdef uint32_t added_count

    # Publish a draft: the whole zone, or the names that are in it. Returns whether anything has changed.
    cdef int publish(self, Draft draft, bint whole, object serial, uint32_t max_changes,
                     uint64_t max_change_bytes) except -1
    # Make undone what was staged. Takes no memory but the writer's own.
    cdef int give_up(self) except -1

    cdef int stage_draft(self, Draft draft, bint whole) except -1
    cdef int stage(self, const uint8_t* name, uint32_t size, const uint8_t* key, uint32_t key_len,
                   const Body* body) except -1
    cdef int count_name(self, const uint8_t* name, uint32_t size, const Body* body, int by) except -1
    cdef int read_soa(self, const Body* body) except -1
    cdef int note_difference(self, const uint8_t* name, uint32_t size, const Body* old, const Body* new) except -1
    cdef int note_rr(self, Buffer* into, const uint8_t* name, uint32_t size, uint16_t rrtype, uint32_t ttl_s,
                     bytes rdata) except -1
    cdef int put_history(self, uint32_t from_serial, uint32_t max_changes, uint64_t max_bytes) except -1
    cdef int forget_changes(self, uint32_t count) except -1
