"""The bytes of a Service's record: a head and sections put together, and taken apart. See _layout.pxd."""

import struct

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.string cimport memcmp, memcpy, memset

from fastdns.plugins.kubernetes.records._endpoints cimport endpoint_text
from fastdns.memory._hash cimport hash_bytes
from fastdns.plugins.kubernetes.records._layout cimport (
    ADDRESS_IS_NAME, FLAG_EXPOSED, FLAG_HAS_ENDPOINTS, FLAG_MAY_REPEAT, ExposedView, SectionView, SectionWalk,
    exposed_address, next_section, open_exposed, open_section, section_has, walk_sections,
)
from fastdns.plugins.kubernetes.records._ports cimport finish_ports
from fastdns.errors import StoreFull

cdef enum:
    MAX_RECORD_BYTES = 0x40000000

cdef object HEAD = struct.Struct("<BBBBHHIII")
cdef object EXPOSED_HEAD = struct.Struct("<BBBH")


cdef inline tuple by_family(list addresses):
    """(IPv4 ones, IPv6 ones)."""
    return [one for one in addresses if len(one) == 4], [one for one in addresses if len(one) == 16]


cdef bytes pack_head(int svc_type, list addresses, PortTable* ports, bytes external, bytes exposed):
    """The part of a service record that its Service object gives; section fields, and their flags, still zero.

    addresses: of both families, 4 or 16 bytes each, at most MAX_CLUSTER_IPS of a family. exposed: see pack_exposed.
    """
    cdef bytes ports_raw = finish_ports(ports) if ports != NULL else b""
    ip4, ip6 = by_family(addresses)
    body = b"".join(ip4) + b"".join(ip6) + ports_raw + external + exposed
    body += b"\0" * (-(HEAD.size + len(body)) % 8)
    return HEAD.pack(svc_type, FLAG_EXPOSED if exposed else 0, len(ip4), len(ip6),
                     ports.count if ports != NULL else 0, len(external), len(ports_raw), 0,
                     HEAD.size + len(body)) + body


cdef bytes pack_exposed(list addresses, list names):
    """Where a Service is reached from outside; empty where it is not.

    addresses: at most MAX_CLUSTER_IPS of a family. names: wire form, at most MAX_EXPOSED_NAMES.
    """
    if not addresses and not names:
        return b""
    ip4, ip6 = by_family(addresses)
    texts = b"".join(names)
    return EXPOSED_HEAD.pack(len(ip4), len(ip6), len(names), len(texts)) + b"".join(ip4) + b"".join(ip6) + texts


cdef bytes head_of(bytes payload):
    """The head of a service record as pack_head gives it."""
    cdef uint32_t size = (<const ServiceHead*><const uint8_t*>payload).sections_at
    cdef bytes head = PyBytes_FromStringAndSize(<const char*><const uint8_t*>payload, size)
    cdef ServiceHead* made = <ServiceHead*><uint8_t*><const uint8_t*>head
    made.flags &= FLAG_EXPOSED
    made.section_count = 0
    return head


cdef list split_sections(bytes payload):
    """The sections of a service record, each as bytes."""
    cdef SectionWalk walk
    cdef SectionView v
    sections = []
    walk_sections(payload, len(payload), &walk)
    while next_section(&walk, &v):
        sections.append(PyBytes_FromStringAndSize(<const char*>v.s, v.s.total_len))
    return sections


cdef bint head_has(const ServiceHead* head, const uint8_t* address, uint32_t size) noexcept nogil:
    cdef const uint8_t* at = <const uint8_t*>head + sizeof(ServiceHead)
    cdef uint32_t _i
    cdef uint32_t count = head.ip4_count if size == 4 else head.ip6_count
    if size == 16:
        at += 4 * head.ip4_count
    for _i in range(count):
        if memcmp(at, address, size) == 0:
            return True
        at += size
    return False


cdef bint endpoints_have(const uint8_t* payload, uint32_t payload_len, const uint8_t* address,
                         uint32_t size) noexcept nogil:
    cdef SectionWalk walk
    cdef SectionView v
    walk_sections(payload, payload_len, &walk)
    while next_section(&walk, &v):
        if section_has(&v, address, size):
            return True
    return False


cdef set head_addresses(bytes payload):
    """The ClusterIPs of a head."""
    cdef const ServiceHead* head = <const ServiceHead*><const uint8_t*>payload
    cdef const uint8_t* at = <const uint8_t*>payload + sizeof(ServiceHead)
    cdef uint32_t i
    found = {at[i * 4:(i + 1) * 4] for i in range(head.ip4_count)}
    at += 4 * head.ip4_count
    return found | {at[i * 16:(i + 1) * 16] for i in range(head.ip6_count)}


cdef set exposed_addresses(bytes payload):
    """The addresses outside of the cluster of a record or a head."""
    cdef ExposedView v
    cdef const uint8_t* at
    cdef uint32_t i, size
    found = set()
    if open_exposed(payload, <uint32_t>len(payload), &v):
        for i in range(v.ip4_count + v.ip6_count):
            at = exposed_address(&v, i, &size)
            found.add(at[:size])
    return found


cdef bint exposed_has(const uint8_t* payload, uint32_t payload_len, const uint8_t* address,
                      uint32_t size) noexcept nogil:
    cdef ExposedView v
    cdef uint32_t i, length
    cdef const uint8_t* at
    if open_exposed(payload, payload_len, &v):
        for i in range(v.ip4_count + v.ip6_count):
            at = exposed_address(&v, i, &length)
            if length == size and memcmp(at, address, size) == 0:
                return True
    return False


cdef inline bint mark(uint8_t* seen, uint64_t hash) noexcept nogil:
    """Whether the bit of a hash was set; it is now."""
    cdef uint32_t bit = <uint32_t>(hash >> 48)
    cdef bint was = seen[bit >> 3] >> (bit & 7) & 1
    seen[bit >> 3] |= 1 << (bit & 7)
    return was


cdef bint may_repeat(list sections) noexcept:
    """Whether an address or a name may occur twice; False only where none does."""
    cdef uint8_t addresses[8192]    # a bit a hash
    cdef uint8_t names[8192]
    cdef uint8_t lowered[64]
    cdef uint8_t derived[64]
    cdef const uint8_t* text
    cdef SectionView v
    cdef uint32_t i, j, size
    cdef bint any_named = False
    memset(addresses, 0, sizeof(addresses))
    for section in sections:
        if not open_section(<bytes>section, len(<bytes>section), &v):
            continue
        any_named |= v.named_count != 0 or v.address_len == ADDRESS_IS_NAME
        if v.address_len == ADDRESS_IS_NAME:
            # Their places say nothing about what stands in another slice.
            if len(sections) > 1 and v.count:
                return True
            continue
        for i in range(v.count):
            if mark(addresses, hash_bytes(1, v.addresses + <size_t>i * v.address_len, v.address_len)):
                return True
    if not any_named:
        # Every name is made of its address.
        return False
    memset(names, 0, sizeof(names))
    for section in sections:
        if not open_section(<bytes>section, len(<bytes>section), &v):
            continue
        for i in range(v.count):
            size = endpoint_text(&v, i, derived, &text)
            for j in range(size):
                lowered[j] = text[j] | 32 if 65 <= text[j] <= 90 else text[j]
            if mark(names, hash_bytes(1, lowered, size)):
                return True
    return False


cdef bytes join_record(bytes head, list sections):
    """A service record of a head and sections, its flags found. Raises StoreFull over MAX_RECORD_BYTES."""
    cdef SectionView v
    cdef uint32_t flags = 0
    cdef size_t size = len(head)
    cdef bytes payload
    cdef uint8_t* out
    for section in sections:
        size += len(<bytes>section)
        if open_section(<bytes>section, len(<bytes>section), &v) and v.count:
            flags |= FLAG_HAS_ENDPOINTS
    if size > MAX_RECORD_BYTES:
        raise StoreFull(f"a Service with its EndpointSlices takes {size} bytes; {MAX_RECORD_BYTES} are the most")
    if flags and may_repeat(sections):
        flags |= FLAG_MAY_REPEAT
    payload = PyBytes_FromStringAndSize(NULL, size)
    out = <uint8_t*><const uint8_t*>payload
    memcpy(out, <const uint8_t*>head, len(head))
    (<ServiceHead*>out).flags |= flags
    (<ServiceHead*>out).section_count = len(sections)
    out += len(head)
    for section in sections:
        memcpy(out, <const uint8_t*><bytes>section, len(<bytes>section))
        out += len(<bytes>section)
    return payload
