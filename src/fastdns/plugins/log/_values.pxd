"""Values of a log line as text. Each function writes one at out and returns where it ends; the caller has room."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

cdef enum:
    MAX_WORD_BYTES = 15
    FLAG_Z = 0x0040             # RFC 1035 section 4.1.1: reserved
    SECOND_NS = 1000000000

cdef inline uint8_t* put_bytes(uint8_t* out, const char* text, uint32_t length) noexcept nogil:
    memcpy(out, text, length)
    return out + length

cdef inline uint8_t* put_byte(uint8_t* out, uint8_t byte) noexcept nogil:
    out[0] = byte
    return out + 1

cdef uint8_t* put_decimal(uint8_t* out, uint64_t value) noexcept nogil
cdef uint8_t* put_type(uint8_t* out, uint16_t number) noexcept nogil
cdef uint8_t* put_class(uint8_t* out, uint16_t number) noexcept nogil
cdef uint8_t* put_rcode(uint8_t* out, uint16_t number) noexcept nogil
# name: uncompressed wire form.
cdef uint8_t* put_name(uint8_t* out, const uint8_t* name) noexcept nogil
# address: 4 or 16 bytes; IPv6 stands in brackets.
cdef uint8_t* put_address(uint8_t* out, const uint8_t* address, uint32_t length) noexcept nogil
# Seconds, with as many of nine decimals as say something.
cdef uint8_t* put_duration(uint8_t* out, uint64_t took_ns) noexcept nogil
# flags: the second 16 bits of a header.
cdef uint8_t* put_flags(uint8_t* out, uint16_t flags) noexcept nogil
