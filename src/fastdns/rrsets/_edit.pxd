"""One change of a zone, from its names to its ZoneHead: written beside what is served, until one store shows it.

An Edit is begun by ZoneWriter with the ZoneHead that is served, published in steps, or undone in steps where one of
them raises.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastdns.memory._store cimport Sweep, Writer
from fastdns.rrsets._chunks cimport OrderChange, OrderCopy
from fastdns.rrsets._draft cimport Buffer, Draft
from fastdns.rrsets._layout cimport Body, ZoneHead
from fastdns.rrsets._pending cimport Pending

# type -> (TTL, list of rdata)
cdef dict rrs_of(const Body* body)


cdef class Edit:
    cdef Writer writer
    cdef uint32_t source
    cdef Draft draft
    cdef bint whole                 # the draft is the whole zone, else the names that change
    cdef object serial              # of a zone without an SOA record
    cdef uint32_t from_serial       # that is served
    cdef ZoneHead head              # as it will be
    cdef bint is_new                # nobody sees the zone yet
    cdef uint32_t version
    cdef uint32_t changed           # names
    cdef uint32_t max_names
    cdef uint32_t max_changes
    cdef size_t max_change_bytes
    cdef bint records_history
    # How far it has come:
    cdef OrderCopy old              # the names that are served, where the whole zone is replaced
    cdef bint more                  # of them
    cdef uint32_t next_rr           # of the draft
    cdef size_t undone              # words of pending.names
    cdef Sweep sweep
    cdef OrderChange order
    cdef Pending pending
    cdef Buffer payload
    cdef Buffer body
    cdef Buffer removed             # RRs, for the history
    cdef Buffer added
    cdef uint32_t removed_count
    cdef uint32_t added_count

    # Go on until a time of monotonic_ns. Returns whether it is published; `changed` says whether anything has.
    cdef bint step(self, uint64_t until) except -1
    # Make undone what was staged, as long. Takes no memory but the writer's own. Returns whether all of it is.
    cdef bint undo(self, uint64_t until) except -1

    cdef bint stage_names(self, uint64_t until) except -1
    cdef int stage(self, const uint8_t* name, uint32_t size, const uint8_t* key, uint32_t key_len,
                   const Body* body) except -1
    cdef int count_name(self, const uint8_t* name, uint32_t size, const Body* body, int by) except -1
    cdef int read_soa(self, const Body* body) except -1
    cdef int note_difference(self, const uint8_t* name, uint32_t size, const Body* old, const Body* new) except -1
    cdef int note_rr(self, Buffer* into, const uint8_t* name, uint32_t size, uint16_t rrtype, uint32_t ttl_s,
                     bytes rdata) except -1
    cdef int put_history(self, uint32_t from_serial, uint32_t max_changes, uint64_t max_bytes) except -1
    cdef int forget_changes(self, uint32_t count) except -1
    cdef int put_head(self) except -1
