"""How records are packed: what the writer of a cluster's records and the step that reads them share."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastdns.plugins.kubernetes._layout cimport (
    NAME_FROM_ADDRESS, Section, ServiceHead, section_addresses, section_blob, section_names,
)

# The endpoints of one slice while they are collected; the arrays grow and are used again.
cdef struct Packing:
    uint32_t count
    uint32_t room               # of endpoints
    uint32_t blob_len
    uint32_t blob_room
    uint8_t* addresses
    uint16_t* tags
    uint16_t* names
    uint16_t* zones
    uint8_t* blob

# The endpoint name that an address gives (dashes for dots and colons); out has room for 46 bytes.
cdef uint32_t dashed_name(const uint8_t* address, uint32_t address_len, uint8_t* out) noexcept nogil

# The name of endpoint i: where it stands (derived has room for 64 bytes) and its length.
cdef inline uint32_t endpoint_text(const Section* s, uint32_t i, uint8_t* derived,
                                   const uint8_t** text) noexcept nogil:
    cdef uint16_t at = section_names(s)[i]
    cdef const uint8_t* entry
    if at == NAME_FROM_ADDRESS:
        text[0] = derived
        return dashed_name(section_addresses(s) + <size_t>i * s.address_len, s.address_len, derived)
    entry = section_blob(s) + at
    text[0] = entry + 1
    return entry[0]

cdef inline const Section* as_section(bytes section) noexcept:
    return <const Section*><const uint8_t*>section

cdef inline uint32_t lowered(const uint8_t* text, uint32_t size, uint8_t* out) noexcept nogil:
    cdef uint32_t i
    for i in range(size):
        out[i] = text[i] | 32 if 65 <= text[i] <= 90 else text[i]
    return size

cdef bytes pack_head(int svc_type, list ip4, list ip6, list ports, bytes external)
cdef int make_room(Packing* p, uint32_t endpoints, uint32_t blob) except -1
cdef uint32_t into_blob(Packing* p, const uint8_t* text, uint32_t size) except? 0xFFFFFFFF
cdef bytes finish_section(Packing* p, uint64_t slice_id, list ports, bytes cluster, uint32_t address_len,
                          bint zones)
cdef list split_sections(bytes payload)
cdef bint head_has(const ServiceHead* head, const uint8_t* address, uint32_t size) noexcept nogil
cdef bint endpoints_have(const ServiceHead* head, const uint8_t* address, uint32_t size) noexcept nogil
cdef set head_addresses(bytes payload)
cdef tuple changed_addresses(bytes old, bytes new)
cdef bytes join_record(bytes head, list sections)
