"""Searching by simulating the automaton: slower than a table, and as bounded; it knows where the groups are."""

from libc.stdint cimport int32_t, uint8_t

from fastdns.regex._pattern cimport Pattern


cdef bint simulate(const Pattern* pattern, const uint8_t* text, int32_t size, int32_t* offsets) noexcept nogil
