"""Records in the form that is signed: RFC 4034 section 6, RFC 6840 section 5.1."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from fastdns._wire cimport RR, lower

# Write the lowercased name. Returns its size.
cdef inline uint32_t lower_name(const uint8_t* name, uint32_t size, uint8_t* out) noexcept nogil:
    cdef uint32_t i
    for i in range(size):
        # The octets of labels' lengths are below all letters.
        out[i] = lower(name[i])
    return size

# Whether two names in uncompressed wire form are the same but for case.
cdef inline bint same_name(const uint8_t* a, uint32_t a_size, const uint8_t* b, uint32_t b_size) noexcept nogil:
    cdef uint32_t i
    if a_size != b_size:
        return False
    for i in range(a_size):
        if lower(a[i]) != lower(b[i]):
            return False
    return True

# Whether a lowercased zone is the end of a name, or the name.
cdef bint is_below(const uint8_t* name, uint32_t size, const uint8_t* zone, uint32_t zone_size) noexcept nogil

# What its rdata takes.
cdef inline uint32_t rdata_bytes(const RR* rr) noexcept nogil:
    return <uint32_t>rr.fixed_len + rr.name_len + rr.tail_len

# Write the rdata of a record without pointers, with names in lower case where its type wants that.
cdef void put_canonical(const RR* rr, uint8_t* out) noexcept nogil

# The name that follows a name in canonical order (RFC 4470). in_zone: as close as one may be, below it; else behind
# all that is below it. Returns its size, at most 255; 0: there is none.
cdef uint32_t put_next_name(const uint8_t* name, uint32_t size, bint in_zone, uint8_t* out) noexcept nogil
