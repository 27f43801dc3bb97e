"""The names of a packed slice's endpoints, and endpoints by their names."""

from libc.stdint cimport uint8_t, uint32_t

from fastdns.plugins.kubernetes.records._layout cimport SectionView

# The name of endpoint i: where it stands (derived has room for 64 bytes) and its length, at most 63; 0: none.
cdef uint32_t endpoint_text(const SectionView* v, uint32_t i, uint8_t* derived,
                            const uint8_t** text) noexcept nogil

# The endpoints of a slice that have a name (any case, of a question's label): at most one after its address, found
# by address, and those of by_name from first to end.
cdef struct Named:
    uint32_t first_address      # endpoints of that address: from here to the end_address
    uint32_t end_address
    uint32_t first
    uint32_t end

# address: what undashed makes of the label; address_len: 0 where it makes none.
cdef void find_named(const SectionView* v, const uint8_t* label, const uint8_t* address, uint32_t address_len,
                     Named* named) noexcept nogil
