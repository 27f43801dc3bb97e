"""The step of a block with zones of its own in the store."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t

from fastdns._wire cimport Query
from fastdns.serve._zones cimport NativeStep

cdef struct Name:
    const uint8_t* wire         # lowercased
    uint16_t size

cdef struct Names:
    Name* names
    uint32_t count

cdef struct Conf:
    uint32_t source
    uint16_t not_loaded         # the reason that a query fails for
    bint any_zone               # whatever zone the source has, below these zones
    Names zones
    Names fall

# Whether the question is in one of these zones.
cdef bint below_any(const Names* names, const Query* q) noexcept nogil


cdef class ZoneStep(NativeStep):
    cdef Conf conf
    cdef list keep
