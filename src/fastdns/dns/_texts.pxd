"""Types, classes, names and addresses as text, as CoreDNS prints them.

Each function writes one text at out and returns where it ends; the caller has room for it.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

cdef enum:
    MAX_WORD_BYTES = 15             # of a type, a class or a response code
    MAX_NAME_TEXT_BYTES = 1024      # 255 bytes, four characters each, and a root
    MAX_ADDRESS_TEXT_BYTES = 48     # with brackets

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
# The bytes of one label.
cdef uint8_t* put_label(uint8_t* out, const uint8_t* label, uint32_t length) noexcept nogil
# The other way: write the wire form of a name's text, fully qualified or not, in its case; at most MAX_NAME_BYTES.
# Returns the length; 0 where the text is no name: an empty label, more than 63 bytes in one, more than 255 in all,
# nothing behind a backslash.
cdef uint32_t parse_name(const uint8_t* text, uint32_t length, uint8_t* out) noexcept nogil
# address: 4 or 16 bytes.
cdef uint8_t* put_bare_address(uint8_t* out, const uint8_t* address, uint32_t length) noexcept nogil
# The same; IPv6 stands in brackets.
cdef uint8_t* put_address(uint8_t* out, const uint8_t* address, uint32_t length) noexcept nogil
