"""Names between wire form and text (RFC 1035 section 5.1), with CoreDNS's escapes, without the GIL."""

from libc.stdint cimport int32_t, uint8_t, uint32_t
from fastdns.dns._numbers cimport MAX_NAME_BYTES
from fastdns.dns._texts cimport put_name

cdef enum:
    # Each byte of a name may be \DDD.
    MAX_TEXT_BYTES = 4 * MAX_NAME_BYTES

# Write the wire form of a text, fully qualified or not, in its case: at most MAX_NAME_BYTES. Returns the length; 0
# where the text is no name: an empty label, more than 63 bytes in one, more than 255 in all, nothing behind a
# backslash.
cdef uint32_t parse_name(const uint8_t* text, uint32_t length, uint8_t* out) noexcept nogil
