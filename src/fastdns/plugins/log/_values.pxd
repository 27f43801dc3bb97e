"""Values of a log line as text. Each function writes one at out and returns where it ends; the caller has room."""

from libc.stdint cimport uint8_t, uint16_t, uint64_t

cdef enum:
    FLAG_Z = 0x0040             # RFC 1035 section 4.1.1: reserved
    SECOND_NS = 1000000000

# Seconds, with as many of nine decimals as say something.
cdef uint8_t* put_duration(uint8_t* out, uint64_t took_ns) noexcept nogil
# flags: the second 16 bits of a header.
cdef uint8_t* put_flags(uint8_t* out, uint16_t flags) noexcept nogil
