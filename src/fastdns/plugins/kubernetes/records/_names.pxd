"""Labels and addresses as bytes. Nothing here knows of records."""

from libc.stdint cimport uint8_t, uint32_t
from fastdns.dns._cursor cimport lower

cdef inline int compare_lowered(const uint8_t* a, uint32_t a_len, const uint8_t* b, uint32_t b_len) noexcept nogil:
    cdef uint32_t i
    for i in range(a_len if a_len < b_len else b_len):
        if lower(a[i]) != lower(b[i]):
            return <int>lower(a[i]) - <int>lower(b[i])
    return <int>a_len - <int>b_len


# Whether text can be a label that every resolver takes: letters, digits, hyphens within, underscores.
cdef bint is_label(const uint8_t* text, uint32_t size) noexcept nogil

# One label in wire form, lowercased, at out, which has room for 64 bytes: its length. Raises SourceError where the
# text is no label.
cdef uint32_t put_label(str text, uint8_t* out) except 0

# The endpoint name that an address gives (dashes for dots and colons); out has room for 46 bytes.
cdef uint32_t dashed_name(const uint8_t* address, uint32_t address_len, uint8_t* out) noexcept nogil

# The address of 4 or 16 bytes that a dashed name is made of: its length, or 0.
cdef uint32_t undashed(const uint8_t* text, uint32_t size, uint8_t* address) noexcept nogil
