"""Queries and answers over connections: written to, and read from."""

from libc.stdint cimport uint32_t, uint64_t

from fastdns.bench._asking cimport Asking
from fastdns.bench._group cimport LaneGroup
from fastdns.bench._lanes cimport Lane


cdef uint32_t write_queries(Asking* a, Lane* lane, uint32_t n, uint64_t now) noexcept nogil
cdef uint32_t flush_all(LaneGroup* g, Asking* a) noexcept nogil
cdef uint32_t take_stream(LaneGroup* g, Asking* a, uint32_t at) noexcept nogil
