"""What the zone store holds of a cluster: keys and payloads.

Keys begin with the source's number (one byte) and a kind:

    S  svc label, ns label      ServiceHead: a Service and every EndpointSlice that names it
    I  svc label, ns label      the same of a ServiceImport (multicluster)
    N  ns label                 empty: the namespace exists
    C  4 or 16 address bytes    hashes (u64) of the S records that have it as ClusterIP
    A  4 or 16 address bytes    hashes (u64) of the S records that have an endpoint with it
    P  address bytes, ns label  hashes (u64) of the names of the pods that have it (pods verified)

Labels are in wire form, lowercased. All answers are computed from these; there is no record an owner name.

    ServiceHead | IPv4 ClusterIPs | IPv6 ClusterIPs | ports | external name (wire form) | pad to 8 | sections …
    Section     | ports | cluster id | pad to 4 | addresses | tags u16[n] | names u16[n] | zones u16[n] | blob

A port is PortHead, then its protocol and its name, lowercased. An endpoint's tag is a hash of its lowercased
name. names[i] is where in the blob its name stands (a length byte and the text), or NAME_FROM_ADDRESS: the
address with dashes. zones is there where the section has zones; NO_ZONE means none.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp

cdef enum:
    KIND_SERVICE = 83           # 'S'
    KIND_IMPORT = 73            # 'I'
    KIND_NAMESPACE = 78         # 'N'
    KIND_CLUSTER_IP = 67        # 'C'
    KIND_ENDPOINT_IP = 65       # 'A'
    KIND_POD = 80               # 'P'

cdef enum:
    TYPE_SLICES_ONLY = 0        # slices name it, no Service does
    TYPE_CLUSTER_IP = 1
    TYPE_HEADLESS = 2
    TYPE_EXTERNAL_NAME = 3

cdef enum:
    FLAG_MAY_REPEAT = 1         # an address or a name may occur twice: answers must be deduplicated
    FLAG_HAS_ENDPOINTS = 2      # at least one ready address

cdef enum:
    NAME_FROM_ADDRESS = 0xFFFF
    NO_ZONE = 0xFFFF
    PORT_NONE = 1               # PortHead.flags: the stand-in for "no ports": addresses, but no SRV

cdef packed struct ServiceHead:
    uint8_t svc_type
    uint8_t flags
    uint8_t ip4_count
    uint8_t ip6_count
    uint16_t port_count
    uint16_t section_count
    uint16_t ports_len
    uint16_t external_len
    uint32_t sections_at

cdef packed struct PortHead:
    uint16_t port
    uint8_t flags
    uint8_t protocol_len
    uint8_t name_len

cdef packed struct Section:
    uint32_t total_len          # a multiple of 8
    uint32_t count
    uint64_t slice_id
    uint16_t port_count
    uint16_t ports_len
    uint8_t address_len         # 4 or 16
    uint8_t cluster_len
    uint8_t has_zones
    uint8_t pad

cdef inline const uint8_t* section_addresses(const Section* s) noexcept nogil:
    return <const uint8_t*>s + ((sizeof(Section) + s.ports_len + s.cluster_len + 3) & ~<size_t>3)

cdef inline const uint16_t* section_tags(const Section* s) noexcept nogil:
    return <const uint16_t*>(section_addresses(s) + <size_t>s.count * s.address_len)

cdef inline const uint16_t* section_names(const Section* s) noexcept nogil:
    return section_tags(s) + s.count

cdef inline const uint16_t* section_zones(const Section* s) noexcept nogil:
    return section_names(s) + s.count

cdef inline const uint8_t* section_blob(const Section* s) noexcept nogil:
    return <const uint8_t*>(section_names(s) + (2 * s.count if s.has_zones else s.count))

# The tag of an endpoint's name, of its lowercased bytes.
cdef inline uint16_t name_tag(const uint8_t* text, uint32_t size) noexcept nogil:
    cdef uint32_t value = size
    cdef uint32_t i
    for i in range(size):
        value = (value ^ text[i]) * <uint32_t>0x01000193
    return <uint16_t>(value ^ (value >> 16))

# Whether an endpoint of the slice has the address.
cdef inline bint section_has(const Section* s, const uint8_t* address, uint32_t size) noexcept nogil:
    cdef const uint8_t* at = section_addresses(s)
    cdef uint32_t _i
    if s.address_len != size:
        return False
    for _i in range(s.count):
        if memcmp(at, address, size) == 0:
            return True
        at += size
    return False
