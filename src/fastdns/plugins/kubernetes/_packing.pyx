"""From an object's fields to the bytes of a record, and back: see _layout.pxd for the layout."""

import socket
import struct
from datetime import datetime

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcmp, memcpy, memset

from fastdns._store cimport hash_bytes
from fastdns.plugins.kubernetes._layout cimport (
    FLAG_HAS_ENDPOINTS, FLAG_MAY_REPEAT, NAME_FROM_ADDRESS, section_has, section_names, section_tags,
)
from fastdns.errors import SourceError

cdef extern from "arpa/inet.h" nogil:
    const char* inet_ntop(int family, const void* src, char* dst, unsigned int size)
    enum:
        AF_INET
        AF_INET6

cdef object HEAD = struct.Struct("<BBBBHHHHI")
cdef object PORT = struct.Struct("<HBBB")


cdef uint32_t dashed_name(const uint8_t* address, uint32_t address_len, uint8_t* out) noexcept nogil:
    cdef char text[64]
    cdef uint32_t size = 0
    inet_ntop(AF_INET if address_len == 4 else AF_INET6, address, text, 64)
    while text[size] != 0:
        out[size] = 45 if text[size] == 46 or text[size] == 58 else text[size]
        size += 1
    if address_len == 16 and out[size - 1] == 45:
        # A label may not end in a dash: RFC 1123 section 2.1; CoreDNS appends a zero.
        out[size] = 48
        size += 1
    return size


def address_bytes(text: str) -> bytes | None:
    """4 or 16 bytes of an address in text form (IPv4-mapped IPv6 as IPv4), or None."""
    try:
        if ":" not in text:
            return socket.inet_pton(socket.AF_INET, text)
        packed = socket.inet_pton(socket.AF_INET6, text)
    except (OSError, ValueError, UnicodeEncodeError):
        return None
    if packed[:12] == b"\0\0\0\0\0\0\0\0\0\0\xff\xff":
        return packed[12:]
    return packed


def endpoint_name(address: bytes) -> str:
    """The name of an endpoint without hostname: its address with dashes."""
    cdef uint8_t out[64]
    cdef uint32_t size = dashed_name(<const uint8_t*>address, len(address), out)
    return out[:size].decode()


def label(text: str) -> bytes:
    """One label in wire form, lowercased. Raises SourceError where it is none."""
    raw = text.encode()
    if not 0 < len(raw) < 64:
        raise SourceError(f"{text!r} is not a DNS label: 1 to 63 bytes expected")
    return bytes((len(raw),)) + raw.lower()


def wire_name(text: str) -> bytes | None:
    """A domain name in uncompressed wire form, or None where it is none. No escapes: Kubernetes has none."""
    out = bytearray()
    for part in text.rstrip(".").split("."):
        raw = part.encode()
        if not 0 < len(raw) < 64:
            return None
        out.append(len(raw))
        out += raw
    out.append(0)
    return bytes(out) if len(out) <= 255 else None


cdef bytes pack_ports(list ports):
    """ports: (number | None, protocol, name). None at all gives the stand-in."""
    out = bytearray()
    for number, protocol, name in ports:
        protocol_raw = protocol.lower().encode()[:255]
        name_raw = name.lower().encode()[:255]
        none = number is None
        out += PORT.pack(0 if none else number & 0xFFFF, 1 if none else 0, len(protocol_raw), len(name_raw))
        out += protocol_raw
        out += name_raw
    return bytes(out)


cdef int make_room(Packing* p, uint32_t endpoints, uint32_t blob) except -1:
    """Room for so many endpoints and blob bytes in all. Raises MemoryError."""
    cdef void* grown
    cdef uint32_t room
    if endpoints > p.room:
        room = max(endpoints, 2 * p.room, 128)
        grown = realloc(p.addresses, <size_t>room * 16)
        if grown == NULL:
            raise MemoryError
        p.addresses = <uint8_t*>grown
        grown = realloc(p.tags, <size_t>room * 2)
        if grown == NULL:
            raise MemoryError
        p.tags = <uint16_t*>grown
        grown = realloc(p.names, <size_t>room * 2)
        if grown == NULL:
            raise MemoryError
        p.names = <uint16_t*>grown
        grown = realloc(p.zones, <size_t>room * 2)
        if grown == NULL:
            raise MemoryError
        p.zones = <uint16_t*>grown
        p.room = room
    if blob > p.blob_room:
        room = max(blob, 2 * p.blob_room, 4096)
        grown = realloc(p.blob, room)
        if grown == NULL:
            raise MemoryError
        p.blob = <uint8_t*>grown
        p.blob_room = room
    return 0


cdef uint32_t into_blob(Packing* p, const uint8_t* text, uint32_t size) except? 0xFFFFFFFF:
    """Append a length byte and the text; where it stands."""
    cdef uint32_t at = p.blob_len
    make_room(p, 0, at + 1 + size)
    p.blob[at] = size
    memcpy(p.blob + at + 1, text, size)
    p.blob_len = at + 1 + size
    return at


cdef bytes finish_section(Packing* p, uint64_t slice_id, list ports, bytes cluster, uint32_t address_len,
                          bint zones):
    """The section of what has been packed."""
    cdef bytes ports_raw = pack_ports(ports)
    cdef uint32_t ports_len = len(ports_raw)
    cdef uint32_t cluster_len = len(cluster)
    cdef uint32_t addresses_at = (sizeof(Section) + ports_len + cluster_len + 3) & ~3u
    cdef uint32_t arrays_at = addresses_at + p.count * address_len
    cdef uint32_t blob_at = arrays_at + p.count * (6 if zones else 4)
    cdef uint32_t total = (blob_at + p.blob_len + 7) & ~7u
    cdef bytes made = PyBytes_FromStringAndSize(NULL, total)
    cdef uint8_t* out = <uint8_t*><const uint8_t*>made
    cdef Section* s = <Section*>out
    if p.blob_len >= 0xFFFF:
        raise SourceError(f"an EndpointSlice holds {p.blob_len} bytes of names; at most 65,534 are served")
    memset(out, 0, sizeof(Section))
    s.total_len = total
    s.count = p.count
    s.slice_id = slice_id
    s.port_count = len(ports)
    s.ports_len = ports_len
    s.address_len = address_len
    s.cluster_len = cluster_len
    s.has_zones = zones
    memcpy(out + sizeof(Section), <const uint8_t*>ports_raw, ports_len)
    memcpy(out + sizeof(Section) + ports_len, <const uint8_t*>cluster, cluster_len)
    memset(out + sizeof(Section) + ports_len + cluster_len, 0,
           addresses_at - sizeof(Section) - ports_len - cluster_len)
    if p.count:
        memcpy(out + addresses_at, p.addresses, p.count * address_len)
        memcpy(out + arrays_at, p.tags, 2 * p.count)
        memcpy(out + arrays_at + 2 * p.count, p.names, 2 * p.count)
        if zones:
            memcpy(out + arrays_at + 4 * p.count, p.zones, 2 * p.count)
    if p.blob_len:
        memcpy(out + blob_at, p.blob, p.blob_len)
    memset(out + blob_at + p.blob_len, 0, total - blob_at - p.blob_len)
    return made


cdef bytes pack_head(int svc_type, list ip4, list ip6, list ports, bytes external):
    """The part of a service record that its Service object gives; flags and section fields still zero."""
    cdef bytes ports_raw = pack_ports(ports)
    body = b"".join(ip4) + b"".join(ip6) + ports_raw + external
    body += b"\0" * (-(HEAD.size + len(body)) % 8)
    return HEAD.pack(svc_type, 0, len(ip4), len(ip6), len(ports), 0, len(ports_raw), len(external),
                     HEAD.size + len(body)) + body


cdef list split_sections(bytes payload):
    """The sections of a service record, each as bytes."""
    cdef const uint8_t* base = payload
    cdef const ServiceHead* head = <const ServiceHead*>base
    cdef uint32_t at = head.sections_at
    cdef uint32_t size
    sections = []
    for _ in range(head.section_count):
        size = (<const Section*>(base + at)).total_len
        sections.append(payload[at:at + size])
        at += size
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


cdef bint endpoints_have(const ServiceHead* head, const uint8_t* address, uint32_t size) noexcept nogil:
    cdef const uint8_t* at = <const uint8_t*>head + head.sections_at
    cdef uint32_t _i
    for _i in range(head.section_count):
        if section_has(<const Section*>at, address, size):
            return True
        at += (<const Section*>at).total_len
    return False


cdef set head_addresses(bytes payload):
    """The ClusterIPs of a head."""
    cdef const ServiceHead* head = <const ServiceHead*><const uint8_t*>payload
    cdef const uint8_t* at = <const uint8_t*>payload + sizeof(ServiceHead)
    cdef uint32_t i
    found = {at[i * 4:(i + 1) * 4] for i in range(head.ip4_count)}
    at += 4 * head.ip4_count
    return found | {at[i * 16:(i + 1) * 16] for i in range(head.ip6_count)}


cdef tuple changed_addresses(bytes old, bytes new):
    """What one slice had and has not, and what it has and had not: (removed, added), as sets.

    Only what lies between the common beginning and the common end is looked at, so an edit costs what it changes.
    """
    cdef const Section* a = as_section(old) if old is not None else NULL
    cdef const Section* b = as_section(new) if new is not None else NULL
    cdef uint32_t size, i, first = 0, a_end, b_end
    cdef const uint8_t* a_at
    cdef const uint8_t* b_at
    a_end = a.count if a != NULL else 0
    b_end = b.count if b != NULL else 0
    if a != NULL and b != NULL and a.address_len == b.address_len:
        size = a.address_len
        a_at = section_addresses(a)
        b_at = section_addresses(b)
        while first < a_end and first < b_end and memcmp(a_at + first * size, b_at + first * size, size) == 0:
            first += 1
        while a_end > first and b_end > first and memcmp(a_at + (a_end - 1) * size, b_at + (b_end - 1) * size,
                                                         size) == 0:
            a_end -= 1
            b_end -= 1
    before = set()
    after = set()
    for i in range(first, a_end):
        a_at = section_addresses(a) + i * a.address_len
        before.add(a_at[:a.address_len])
    for i in range(first, b_end):
        b_at = section_addresses(b) + i * b.address_len
        after.add(b_at[:b.address_len])
    return before - after, after - before


cdef bint repeats_address(list sections, uint32_t total) except -1:
    """Whether an address occurs twice among sections, which have total addresses."""
    cdef uint64_t mask = 16, hash, slot
    cdef uint64_t* seen
    cdef const Section* s
    cdef const uint8_t* at
    cdef uint32_t _i
    cdef bint found = False
    while mask < 2 * <uint64_t>total:
        mask *= 2
    seen = <uint64_t*>calloc(mask, 8)
    if seen == NULL:
        raise MemoryError
    mask -= 1
    for section in sections:
        s = as_section(<bytes>section)
        at = section_addresses(s)
        for _i in range(s.count):
            # Equal hashes of different addresses only cost a needless look for repeats.
            hash = hash_bytes(1, at, s.address_len) | 1
            slot = hash & mask
            while seen[slot] != 0 and seen[slot] != hash:
                slot = (slot + 1) & mask
            if seen[slot] == hash:
                found = True
                break
            seen[slot] = hash
            at += s.address_len
        if found:
            break
    free(seen)
    return found


cdef bytes join_record(bytes head, list sections):
    """A service record of a head and sections, its flags found."""
    cdef uint8_t seen[8192]         # a bit a tag
    cdef const Section* s
    cdef const uint16_t* tags
    cdef const uint16_t* names
    cdef uint32_t i, flags = 0, total = 0, named = 0
    cdef size_t size = len(head)
    cdef bytes payload
    cdef uint8_t* out
    memset(seen, 0, sizeof(seen))
    for section in sections:
        s = as_section(<bytes>section)
        tags = section_tags(s)
        names = section_names(s)
        size += s.total_len
        total += s.count
        for i in range(s.count):
            named += names[i] != NAME_FROM_ADDRESS
            if seen[tags[i] >> 3] >> (tags[i] & 7) & 1:
                flags |= FLAG_MAY_REPEAT
            seen[tags[i] >> 3] |= 1 << (tags[i] & 7)
    if total:
        flags |= FLAG_HAS_ENDPOINTS
    # Where every name is made of its address, a repeated address has shown as a repeated tag.
    if named and not flags & FLAG_MAY_REPEAT and repeats_address(sections, total):
        flags |= FLAG_MAY_REPEAT
    payload = PyBytes_FromStringAndSize(NULL, size)
    out = <uint8_t*><const uint8_t*>payload
    memcpy(out, <const uint8_t*>head, len(head))
    (<ServiceHead*>out).flags = flags
    (<ServiceHead*>out).section_count = len(sections)
    out += len(head)
    for section in sections:
        s = as_section(<bytes>section)
        memcpy(out, s, s.total_len)
        out += s.total_len
    return payload


def seconds_since(stamp: str, now: float) -> float | None:
    """Seconds from an RFC 3339 time to now (Unix), or None where it is no such time."""
    try:
        at = datetime.fromisoformat(stamp)
    except ValueError:
        return None
    return None if at.tzinfo is None else now - at.timestamp()
