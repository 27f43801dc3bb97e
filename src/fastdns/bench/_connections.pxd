"""Connections that are made, until they are ready for queries or have failed."""

from libc.stdint cimport uint32_t, uint64_t

from fastdns.bench._asking cimport Asking
from fastdns.bench._group cimport LaneGroup


cdef uint32_t go_on_opening(LaneGroup* g, Asking* a, uint32_t at) noexcept nogil
cdef void give_up_opening(LaneGroup* g, Asking* a, uint32_t at, uint64_t now) noexcept nogil
cdef uint32_t connect_all(LaneGroup* g, Asking* a) noexcept nogil
cdef bint nobody_accepts(LaneGroup* g, const Asking* a, uint64_t now) noexcept nogil
