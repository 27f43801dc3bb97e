"""An answer as one number: the records of its question's type, in any order, names in lower case."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

cdef struct Said:
    uint32_t records        # of the type that was asked for
    uint64_t digest         # the same for the same records in any order

cdef int read_said(const uint8_t* message, uint32_t size, uint32_t at, uint16_t qtype, Said* said) noexcept nogil
