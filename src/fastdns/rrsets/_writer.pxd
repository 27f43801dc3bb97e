"""The writer of the zones of one source: see _writer.pyx."""

from libc.stdint cimport uint32_t, uint64_t

from fastdns.memory._store cimport Writer
from fastdns.rrsets._draft cimport Draft
from fastdns.rrsets._edit cimport Edit
from fastdns.rrsets._layout cimport ZoneHead
from fastdns.rrsets._pending cimport Pending


cdef class Zone:
    cdef ZoneHead head


cdef class ZoneWriter:
    cdef readonly Writer writer
    cdef readonly uint32_t source
    cdef dict known             # zone name -> Zone
    cdef set changing           # zones that are being changed
    cdef list waiting           # Pending, oldest first
    cdef uint64_t labels        # what say_labels says
    cdef bint labels_are_old    # of zones that are gone, too
    cdef uint32_t next_zone_id
    cdef uint32_t max_names
    cdef uint32_t max_changes
    cdef uint64_t max_change_bytes

    cdef int take_over(self) except -1
    cdef int say_labels(self, object names) except -1
    cdef int count_labels(self) except -1
    cdef dict rrsets_of(self, Zone zone, bytes name)
    cdef Edit begin(self, Draft draft, bint whole, object serial)
    cdef int complete(self, Edit edit) except -1
    cdef int forget(self, Edit edit) except -1
    cdef int leave(self, Pending pending) except -1
    cdef uint32_t publish(self, Draft draft, bint whole, object serial) except? 0xFFFFFFFF


cdef class Replacement:
    cdef ZoneWriter writer
    cdef Edit edit                      # None: it has ended
    cdef object error                   # why it is being undone
    cdef readonly uint32_t changed      # names, once it is served

    cdef int end(self) except -1
