"""The writer of the zones of one source: see _writer.pyx."""

from libc.stdint cimport uint32_t, uint64_t

from fastdns.memory._store cimport Writer
from fastdns.rrsets._draft cimport Draft
from fastdns.rrsets._layout cimport ZoneHead


cdef class Zone:
    cdef ZoneHead head


cdef class ZoneWriter:
    cdef readonly Writer writer
    cdef readonly uint32_t source
    cdef dict known             # zone name -> Zone
    cdef list waiting           # Pending, oldest first
    cdef uint32_t next_zone_id
    cdef uint32_t max_names
    cdef uint32_t max_changes
    cdef uint64_t max_change_bytes

    cdef int take_over(self) except -1
    cdef int say_labels(self, object names) except -1
    cdef dict rrsets_of(self, Zone zone, bytes name)
    cdef uint32_t publish(self, Draft draft, bint whole, object serial) except? 0xFFFFFFFF


cdef class Replacement:
    cdef ZoneWriter writer
    cdef Draft draft
    cdef object serial
    cdef readonly uint32_t changed      # names, once it is served
