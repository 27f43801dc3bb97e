"""Publishes the records of a snapshot file. See _entries.pxd for the bytes.

A record reaches the store only if its lengths and offsets are right; the others are left out.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from fastdns.memory._hash cimport hash_bytes
from fastdns.memory._store cimport SOURCE_BYTES, own_source_state, put_source
from fastdns.plugins.kubernetes.records._cluster cimport ClusterRecords
from fastdns.plugins.kubernetes.records._layout cimport (
    ADDRESS_IS_NAME, FLAG_EXPOSED, HASH_BYTES, KIND_DESCRIBED, KIND_IMPORT, KIND_NAMESPACE, KIND_POD, KIND_SERVICE,
    MAX_LABEL_BYTES, NO_NAME,
    NO_ZONE, PORTS_WITHOUT_INDEX, TYPE_EXTERNAL_NAME, TYPE_SLICES_ONLY, ExposedView, PortHead, SectionView,
    SectionWalk, ServiceHead, blob_text, is_wire_name, next_section, open_exposed, port_at, port_bytes,
    reference_bytes, target_name, walk_sections, wire_name_bytes,
)
from fastdns.plugins.kubernetes.records._references cimport refer_to_record
from fastdns.plugins.kubernetes.snapshot._entries cimport Entry, padded
from fastdns.errors import SourceError, StoreFull


cdef bint good_ports(const uint8_t* at, uint32_t size, uint32_t count) noexcept nogil:
    """Whether so many ports, and the index that many have, fill so many bytes."""
    cdef uint32_t used = 0, i, place, texts = size
    cdef const PortHead* port
    if count > PORTS_WITHOUT_INDEX:
        if <uint64_t>count * 4 > size:
            return False
        texts = size - 4 * count
    for i in range(count):
        if count > PORTS_WITHOUT_INDEX:
            memcpy(&place, at + texts + 4 * i, 4)
            if place != used:
                return False
        port = port_at(at, texts, used)
        if port == NULL:
            return False
        used += port_bytes(port)
    return used == texts or (count > PORTS_WITHOUT_INDEX and ((used + 3) & ~3u) == texts)


cdef bint good_labels(const uint8_t* at, uint32_t size, uint32_t count) noexcept nogil:
    """Whether so many labels fill so many bytes."""
    cdef uint32_t used = 0
    cdef uint32_t _i
    for _i in range(count):
        if used >= size or not 0 < at[used] <= 63:
            return False
        used += at[used] + 1
    return used == size


cdef bint good_section(const SectionView* v) noexcept nogil:
    """Whether what stands in a section leads to nothing outside of it."""
    cdef uint32_t i, number
    cdef const uint8_t* text
    if v.s.has_zones > 1 or not good_ports(v.ports, v.s.ports_len, v.s.port_count):
        return False
    for i in range(v.named_count):
        memcpy(&number, v.by_name + 4 * i, 4)
        if number >= v.count or v.names[number] >= NO_NAME:
            return False
    for i in range(v.count):
        if v.names != NULL and v.names[i] < NO_NAME \
                and not 0 < blob_text(v, v.names[i], &text) <= MAX_LABEL_BYTES:
            return False
        if v.zones != NULL and v.zones[i] != NO_ZONE and not blob_text(v, v.zones[i], &text):
            return False
        if v.address_len == ADDRESS_IS_NAME and not target_name(v, i, &text):
            return False
    return True


cdef bint good_exposed(const uint8_t* payload, uint32_t size) noexcept nogil:
    """Whether where a Service is reached from outside lies in its record."""
    cdef ExposedView v
    cdef uint32_t at = 0, name_len
    cdef uint32_t _i
    if not open_exposed(payload, size, &v):
        return False
    for _i in range(v.name_count):
        name_len = wire_name_bytes(v.names + at, v.names_len - at)
        if name_len == 0:
            return False
        at += name_len
    return at == v.names_len


cdef bint good_service(const uint8_t* payload, uint32_t size) noexcept nogil:
    """Whether a service record's parts lie within it."""
    cdef const ServiceHead* head = <const ServiceHead*>payload
    cdef SectionWalk walk
    cdef SectionView v
    cdef uint64_t at
    if size < sizeof(ServiceHead) or not TYPE_SLICES_ONLY <= head.svc_type <= TYPE_EXTERNAL_NAME:
        return False
    at = sizeof(ServiceHead) + 4 * <uint64_t>head.ip4_count + 16 * <uint64_t>head.ip6_count
    if at + <uint64_t>head.ports_len + head.external_len > head.sections_at or head.sections_at > size \
            or head.sections_at % 8:
        return False
    if not good_ports(payload + at, head.ports_len, head.port_count):
        return False
    if head.flags & FLAG_EXPOSED and not good_exposed(payload, size):
        return False
    # No listing of Services would ever take away what a record without a Service has of one.
    if head.svc_type == TYPE_SLICES_ONLY and (
            head.flags & FLAG_EXPOSED or not head.section_count
            or at + <uint64_t>head.ports_len + head.external_len != sizeof(ServiceHead)):
        return False
    if head.external_len and not is_wire_name(payload + at + head.ports_len, head.external_len):
        return False
    walk_sections(payload, size, &walk)
    while next_section(&walk, &v):
        if not good_section(&v):
            return False
    return walk.left == 0 and walk.room == 0


cdef bint good_pods(const uint8_t* at, uint32_t size) noexcept nogil:
    """Whether references to pods, one at least, fill so many bytes."""
    cdef uint32_t used = 0, one
    while used < size:
        one = reference_bytes(KIND_POD, at + used, size - used)
        if one == 0 or not good_labels(at + used, at[used] + 1, 1):
            return False
        used += one
    return size != 0


cdef bint good_description(const uint8_t* at, uint32_t size) noexcept nogil:
    """Whether texts, one at least, fill so many bytes."""
    cdef uint32_t used = 0
    while used < size:
        used += at[used] + 1
    return used == size != 0


cdef bint good_record(const uint8_t* key, uint32_t key_len, const uint8_t* payload, uint32_t size) noexcept nogil:
    """Whether a record is what the writer of a cluster could have published."""
    if key[0] == KIND_SERVICE or key[0] == KIND_IMPORT:
        return good_labels(key + 1, key_len - 1, 2) and good_service(payload, size)
    if key[0] == KIND_NAMESPACE:
        return good_labels(key + 1, key_len - 1, 1) and size == 0
    if key[0] == KIND_POD:
        return (key_len == 1 + 4 or key_len == 1 + 16) and good_pods(payload, size)
    if key[0] == KIND_DESCRIBED:
        return (key_len > 1 + HASH_BYTES and good_labels(key + 1, key_len - 1 - HASH_BYTES, 1)
                and good_description(payload, size))
    return False


cdef int check(bytes body) except -1:
    """Raises SourceError unless a body is records from its beginning to its end."""
    cdef const uint8_t* base = body
    cdef uint64_t at = 0, end = len(body), payload_at
    cdef const Entry* entry
    while at < end:
        entry = <const Entry*>(base + at)
        if end - at < sizeof(Entry) or not 2 <= entry.key_len <= 160:
            raise SourceError(f"the record at byte {at} has no key of a cluster's")
        payload_at = at + padded(sizeof(Entry) + entry.key_len)
        if payload_at > end or padded(entry.payload_len) > end - payload_at:
            raise SourceError(f"the record at byte {at} is cut off")
        at = payload_at + padded(entry.payload_len)
    return 0


def restore(ClusterRecords records not None, bytes body not None, uint64_t id_seed):
    """Publish the records of a body in place of what their source has. Returns (its Services, left out).

    A record that is not in itself right is left out. Raises SourceError where the body is not made of records, with
    nothing changed, and StoreFull, with the source empty.
    """
    cdef const uint8_t* base = body
    cdef uint64_t at = 0, end = len(body), services = 0, left_out = 0, reference
    cdef const Entry* entry
    cdef const uint8_t* payload
    cdef uint8_t key[SOURCE_BYTES + 160]
    check(body)
    records.remove_all()
    own_source_state(records.writer.h, records.source).id_seed = id_seed
    put_source(key, records.source)
    try:
        while at < end:
            entry = <const Entry*>(base + at)
            memcpy(key + SOURCE_BYTES, base + at + sizeof(Entry), entry.key_len)
            at += padded(sizeof(Entry) + entry.key_len)
            payload = base + at
            at += padded(entry.payload_len)
            if not good_record(key + SOURCE_BYTES, entry.key_len, payload, entry.payload_len):
                left_out += 1
                continue
            records.writer.put(key, SOURCE_BYTES + entry.key_len, payload, entry.payload_len)
            if key[SOURCE_BYTES] == KIND_SERVICE:
                reference = hash_bytes(records.writer.h.seed, key, SOURCE_BYTES + entry.key_len)
                refer_to_record(records.writer, records.source, reference, payload, entry.payload_len)
                services += (<const ServiceHead*>payload).svc_type != TYPE_SLICES_ONLY
            elif key[SOURCE_BYTES] == KIND_POD:
                # Whose it is does not show: those that a listing does not have are found when all is mended.
                records.doubtful = True
    except StoreFull:
        records.remove_all()
        raise
    finally:
        records.writer.reclaim()
    return services, left_out
