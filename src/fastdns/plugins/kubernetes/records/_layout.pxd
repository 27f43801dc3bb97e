"""What the zone store holds of a cluster: keys and payloads.

Keys begin with the source's number (two bytes) and a kind:

    S  svc label, ns label      ServiceHead: a Service and every EndpointSlice that names it
    I  svc label, ns label      the same of a ServiceImport (multicluster)
    N  ns label                 empty: the namespace exists
    C  4 or 16 address bytes    hashes (u64) of the S records that have it as ClusterIP
    A  4 or 16 address bytes    hashes (u64) of the S records that have an endpoint with it
    P  4 or 16 address bytes    the pods that have it (pods verified): ns label, hash (u64) of the name, of each
    D  a pod, as P has it       what a block reads of it: texts, each behind its length in a byte
    E  4 or 16 address bytes    hashes (u64) of the S records that are exposed at it

Labels are in wire form, lowercased. All answers are computed from these; there is no record an owner name.

    ServiceHead | IPv4 ClusterIPs | IPv6 ClusterIPs | ports | external name (wire form) | exposed | pad to 8
                | sections …
    exposed     | ExposedHead | IPv4 addresses | IPv6 addresses | names (wire form)
    Section     | ports | cluster id | pad to 4 | addresses | by name u32[named] | names u16[n] | zones u16[n]
                | blob

exposed is where a Service is reached from outside of the cluster: its externalIPs, and what its load balancer is
called. It is there where FLAG_EXPOSED is set, which only a cluster does whose block is asked for it.

Ports are different from each other and ordered by name, then protocol, then number. A port is PortHead, then its
protocol and its name, lowercased. Where there are more than PORTS_WITHOUT_INDEX, the last 4 bytes of ports for each
are where it begins: a port is found by its name in few steps.

Endpoints are different from each other and ordered by address: an address is found in few steps, and so is an
endpoint that is named after its address. names[i] is where in the blob the name of endpoint i begins, in units of
2 bytes (a length byte and the text); NAME_FROM_ADDRESS: its address with dashes. The array is there where at least
one endpoint has a name of its own; by name then has the numbers of these endpoints, ordered by lowercased name.
zones[i] begins in the blob likewise; it is there where the section has zones, and NO_ZONE means none.

An address of an FQDN slice is 2 bytes, big-endian: where in the blob (in units of 2 bytes) its name in wire form
begins, after a length byte.

What is read is checked: open_section takes nothing but a section whose parts lie within it, and what stands in it
(an offset, a length, an endpoint's number) is checked where it is used.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from fastdns.memory._store cimport SOURCE_BYTES, Record, put_source, record_key, source_of

cdef enum:
    KEY_HEAD_BYTES = 3          # of a key: source and kind
    HASH_BYTES = 8

cdef enum:
    KIND_SERVICE = 83           # 'S'
    KIND_IMPORT = 73            # 'I'
    KIND_NAMESPACE = 78         # 'N'
    KIND_CLUSTER_IP = 67        # 'C'
    KIND_ENDPOINT_IP = 65       # 'A'
    KIND_POD = 80               # 'P'
    KIND_DESCRIBED = 68         # 'D'
    KIND_EXPOSED_IP = 69        # 'E'

cdef enum:
    TYPE_SLICES_ONLY = 0        # slices name it, no Service does
    TYPE_CLUSTER_IP = 1
    TYPE_HEADLESS = 2
    TYPE_EXTERNAL_NAME = 3

cdef enum:
    FLAG_MAY_REPEAT = 1         # an address or a name may occur twice: answers must be deduplicated
    FLAG_HAS_ENDPOINTS = 2      # at least one ready address
    FLAG_EXPOSED = 4            # the Service's own; the others are of its sections

cdef enum:
    NAME_FROM_ADDRESS = 0xFFFF
    NO_NAME = 0xFFFE            # an endpoint of an FQDN slice whose address makes no label
    NO_ZONE = 0xFFFF
    MAX_BLOB_UNITS = 0xFFFD     # the last place that names and zones can name
    BLOB_UNIT_BYTES = 2
    PORT_NONE = 1               # PortHead.flags: the stand-in for "no ports": addresses, but no SRV
    PORTS_WITHOUT_INDEX = 16
    ADDRESS_IS_NAME = 2         # Section.address_len of an FQDN slice

# What is kept of one object. The API takes 1,000 endpoints of 100 addresses and 20,000 ports in a slice.
cdef enum:
    MAX_SLICE_ADDRESSES = 100000
    MAX_OBJECT_PORTS = 20000
    MAX_CLUSTER_IPS = 255       # of each family, and as many exposed addresses
    MAX_EXPOSED_NAMES = 16
    MAX_LABEL_BYTES = 63
    MAX_ZONE_BYTES = 253        # longer than any name that asks for it

cdef packed struct ServiceHead:
    uint8_t svc_type
    uint8_t flags
    uint8_t ip4_count
    uint8_t ip6_count
    uint16_t port_count
    uint16_t external_len
    uint32_t ports_len
    uint32_t section_count
    uint32_t sections_at

cdef packed struct ExposedHead:
    uint8_t ip4_count
    uint8_t ip6_count
    uint8_t name_count
    uint16_t names_len

# Where a Service is reached from outside.
cdef struct ExposedView:
    const uint8_t* addresses    # the IPv4 ones, then the IPv6 ones
    const uint8_t* names
    uint32_t ip4_count
    uint32_t ip6_count
    uint32_t name_count
    uint32_t names_len

cdef packed struct PortHead:
    uint16_t port
    uint8_t flags
    uint8_t protocol_len
    uint8_t name_len

cdef packed struct Section:
    uint32_t total_len          # a multiple of 8
    uint32_t count
    uint64_t slice_id
    uint32_t ports_len
    uint32_t named_count        # endpoints with a name of their own
    uint16_t port_count
    uint8_t address_len         # 4, 16 or ADDRESS_IS_NAME
    uint8_t cluster_len
    uint8_t has_zones
    uint8_t pad[3]

# The parts of a section.
cdef struct SectionView:
    const Section* s
    uint32_t count
    uint32_t address_len
    uint32_t named_count
    uint32_t cluster_len
    const uint8_t* ports
    const uint8_t* cluster
    const uint8_t* addresses
    const uint8_t* by_name      # u32 each
    const uint16_t* names       # NULL: all are named after their addresses
    const uint16_t* zones       # NULL: no zones
    const uint8_t* blob
    uint32_t blob_len

# The sections of a service record, one after the other.
cdef struct SectionWalk:
    const uint8_t* at
    uint64_t room               # bytes from at to the end of the record
    uint32_t left

# The size of the reference that begins at at, in the room bytes up to the end of a record by address; 0: none does.
cdef inline uint32_t reference_bytes(uint8_t kind, const uint8_t* at, uint32_t room) noexcept nogil:
    cdef uint32_t size = HASH_BYTES
    if kind == KIND_POD and room:
        size += at[0] + 1
    return size if size <= room else 0

# The beginning of a key.
cdef inline void begin_key(uint8_t* key, uint32_t source, uint8_t kind) noexcept nogil:
    put_source(key, source)
    key[SOURCE_BYTES] = kind

# The kind of a record, 0 where it is not of this source.
cdef inline uint8_t kind_in(const Record* record, uint32_t source) noexcept nogil:
    if record.key_len < KEY_HEAD_BYTES or source_of(record) != source:
        return 0
    return record_key(record)[SOURCE_BYTES]

# Where the Service of a record of size bytes is reached from outside; False: nowhere.
cdef inline bint open_exposed(const uint8_t* payload, uint32_t size, ExposedView* v) noexcept nogil:
    cdef const ServiceHead* head = <const ServiceHead*>payload
    cdef const ExposedHead* exposed
    cdef uint64_t at
    v.ip4_count = 0
    v.ip6_count = 0
    v.name_count = 0
    v.names_len = 0
    v.addresses = payload
    v.names = payload
    if size < sizeof(ServiceHead) or not head.flags & FLAG_EXPOSED or head.sections_at > size:
        return False
    at = sizeof(ServiceHead) + 4 * <uint64_t>head.ip4_count + 16 * <uint64_t>head.ip6_count \
        + <uint64_t>head.ports_len + head.external_len
    if at + sizeof(ExposedHead) > head.sections_at:
        return False
    exposed = <const ExposedHead*>(payload + at)
    at += sizeof(ExposedHead)
    if at + 4 * <uint64_t>exposed.ip4_count + 16 * <uint64_t>exposed.ip6_count + exposed.names_len \
            > head.sections_at:
        return False
    v.ip4_count = exposed.ip4_count
    v.ip6_count = exposed.ip6_count
    v.name_count = exposed.name_count
    v.names_len = exposed.names_len
    v.addresses = payload + at
    v.names = v.addresses + 4 * v.ip4_count + 16 * v.ip6_count
    return True

# The address number i, and its size: 4 or 16.
cdef inline const uint8_t* exposed_address(const ExposedView* v, uint32_t i, uint32_t* size) noexcept nogil:
    size[0] = 4 if i < v.ip4_count else 16
    if i < v.ip4_count:
        return v.addresses + 4 * i
    return v.addresses + 4 * v.ip4_count + 16 * (i - v.ip4_count)

# The size of the domain name in wire form, without pointers, that begins at at, which has room bytes; 0: none does.
cdef inline uint32_t wire_name_bytes(const uint8_t* at, uint32_t room) noexcept nogil:
    cdef uint32_t size = 0
    while size < room and size < 255:
        if at[size] == 0:
            return size + 1
        if at[size] > MAX_LABEL_BYTES:
            return 0
        size += at[size] + 1
    return 0

# Whether the parts of a section lie within it, and it within room bytes; then v is filled.
cdef inline bint open_section(const uint8_t* at, uint64_t room, SectionView* v) noexcept nogil:
    cdef const Section* s = <const Section*>at
    cdef uint64_t pos
    if room < sizeof(Section) or s.total_len > room or s.total_len < sizeof(Section) or s.total_len % 8:
        return False
    if (s.address_len != 4 and s.address_len != 16 and s.address_len != ADDRESS_IS_NAME) \
            or s.cluster_len > MAX_LABEL_BYTES or s.named_count > s.count:
        return False
    v.s = s
    v.count = s.count
    v.address_len = s.address_len
    v.named_count = s.named_count
    v.cluster_len = s.cluster_len
    pos = sizeof(Section)
    v.ports = at + pos
    pos += s.ports_len
    v.cluster = at + pos
    pos = (pos + s.cluster_len + 3) & ~<uint64_t>3
    v.addresses = at + pos
    pos = (pos + <uint64_t>s.count * s.address_len + 3) & ~<uint64_t>3
    v.by_name = at + pos
    pos += 4 * <uint64_t>s.named_count
    v.names = NULL
    v.zones = NULL
    if s.named_count:
        v.names = <const uint16_t*>(at + pos)
        pos += 2 * <uint64_t>s.count
    if s.has_zones:
        v.zones = <const uint16_t*>(at + pos)
        pos += 2 * <uint64_t>s.count
    if pos > s.total_len:
        return False
    v.blob = at + pos
    v.blob_len = <uint32_t>(s.total_len - pos)
    return True

cdef inline void walk_sections(const uint8_t* payload, uint32_t size, SectionWalk* walk) noexcept nogil:
    cdef const ServiceHead* head = <const ServiceHead*>payload
    walk.left = 0
    walk.at = payload
    walk.room = 0
    if size < sizeof(ServiceHead) or head.sections_at > size:
        return
    walk.at = payload + head.sections_at
    walk.room = size - head.sections_at
    walk.left = head.section_count

# The next section, or False at the end.
cdef inline bint next_section(SectionWalk* walk, SectionView* v) noexcept nogil:
    if walk.left == 0 or not open_section(walk.at, walk.room, v):
        return False
    walk.left -= 1
    walk.at += v.s.total_len
    walk.room -= v.s.total_len
    return True

# The first endpoint whose address is not below this one, which has the section's address_len; count where none is.
cdef inline uint32_t first_with_address(const SectionView* v, const uint8_t* address) noexcept nogil:
    cdef uint32_t low = 0, high = v.count, middle
    while low < high:
        middle = low + (high - low) // 2
        if memcmp(v.addresses + <size_t>middle * v.address_len, address, v.address_len) < 0:
            low = middle + 1
        else:
            high = middle
    return low

cdef inline bint has_address(const SectionView* v, uint32_t i, const uint8_t* address) noexcept nogil:
    return i < v.count and memcmp(v.addresses + <size_t>i * v.address_len, address, v.address_len) == 0

# Whether an endpoint of the slice has the address.
cdef inline bint section_has(const SectionView* v, const uint8_t* address, uint32_t size) noexcept nogil:
    return v.address_len == size and has_address(v, first_with_address(v, address), address)

# The text that begins in the blob at a place of names or zones: its length; 0 where there is none.
cdef inline uint32_t blob_text(const SectionView* v, uint32_t place, const uint8_t** text) noexcept nogil:
    cdef uint32_t at = place * BLOB_UNIT_BYTES
    text[0] = v.blob
    if at >= v.blob_len or v.blob_len - at <= v.blob[at]:
        return 0
    text[0] = v.blob + at + 1
    return v.blob[at]

# Endpoint number k by name.
cdef inline uint32_t nth_by_name(const SectionView* v, uint32_t k) noexcept nogil:
    cdef uint32_t i
    memcpy(&i, v.by_name + 4 * <size_t>k, 4)
    return i if i < v.count else 0

# Whether such a name fills so many bytes.
cdef inline bint is_wire_name(const uint8_t* at, uint32_t size) noexcept nogil:
    return size != 0 and wire_name_bytes(at, size) == size

# The target of endpoint i of an FQDN slice in wire form; its length, or 0.
cdef inline uint32_t target_name(const SectionView* v, uint32_t i, const uint8_t** name) noexcept nogil:
    cdef const uint8_t* at = v.addresses + <size_t>i * ADDRESS_IS_NAME
    cdef uint32_t size = blob_text(v, (<uint32_t>at[0] << 8) | at[1], name)
    return size if is_wire_name(name[0], size) else 0

# The port that begins at a place of ports; NULL where none does.
cdef inline const PortHead* port_at(const uint8_t* ports, uint32_t ports_len, uint32_t at) noexcept nogil:
    cdef const PortHead* port = <const PortHead*>(ports + at)
    if at > ports_len or ports_len - at < sizeof(PortHead) \
            or ports_len - at - sizeof(PortHead) < <uint32_t>port.protocol_len + port.name_len:
        return NULL
    return port

cdef inline uint32_t port_bytes(const PortHead* port) noexcept nogil:
    return sizeof(PortHead) + port.protocol_len + port.name_len
