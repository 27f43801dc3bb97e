"""The records of a cluster as bytes, and back: the body of a snapshot file (see snapshot.py).

Copied are Services, ServiceImports, namespaces and pods. The records by address follow from these, and hold
references to this store, so they are made anew. A record is

    key length u32 | payload length u32 | key without the source's number | pad to 8 | payload | pad to 8

A record of a body reaches the store only if its lengths and offsets are right; the others are left out.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy, memset

from fastdns._store cimport (
    SLOT_REMOVED, SNAPSHOT_READER, UNIT_BYTES, Record, Store, enter_epoch, hash_bytes, leave_epoch, load,
    record_key, record_payload, source_state,
)
from fastdns.plugins.kubernetes.records._layout cimport (
    ADDRESS_IS_NAME, KIND_CLUSTER_IP, KIND_ENDPOINT_IP, KIND_IMPORT, KIND_NAMESPACE, KIND_POD, KIND_SERVICE,
    MAX_LABEL_BYTES, NO_NAME, NO_ZONE, PORTS_WITHOUT_INDEX, TYPE_EXTERNAL_NAME, TYPE_SLICES_ONLY, PortHead,
    SectionView, SectionWalk, ServiceHead, blob_text, is_wire_name, next_section, port_at, port_bytes, target_name,
    walk_sections,
)
from fastdns.plugins.kubernetes.records._sink cimport ClusterWriter
from fastdns.errors import SourceError, StoreFull

cdef enum:
    CHUNK_BYTES = 262144

cdef packed struct Entry:
    uint32_t key_len
    uint32_t payload_len


cdef inline uint64_t padded(uint64_t size) noexcept nogil:
    return (size + 7) & ~<uint64_t>7


cdef inline bint is_copied(uint8_t kind) noexcept nogil:
    return kind == KIND_SERVICE or kind == KIND_IMPORT or kind == KIND_NAMESPACE or kind == KIND_POD


cdef class Copy:
    """Goes through a source's records beside the writer, in another thread and without the GIL.

    Each record is as it was at some moment since the copy began; what changes meanwhile may be in it or not. The
    writer never waits: a chunk is taken within one epoch, and the index between chunks is only a position, good for
    as long as the index is not replaced.
    """

    cdef Store store
    cdef int source
    cdef uint64_t index
    cdef uint64_t index_number
    cdef uint64_t position
    cdef uint8_t* buffer
    cdef size_t room
    cdef readonly uint64_t records

    def __init__(self, Store store not None, int source):
        self.store = store
        self.source = source
        self.room = CHUNK_BYTES
        self.buffer = <uint8_t*>malloc(self.room)
        if self.buffer == NULL:
            raise MemoryError
        self.start()

    def __dealloc__(self):
        free(self.buffer)

    def start(self):
        """Begin, or begin again."""
        self.index_number = load(&self.store.header.index_number)
        self.index = load(&self.store.header.index)
        self.position = 0
        self.records = 0

    def chunk(self):
        """The next records, empty at the end; or None where the index was replaced: begin again."""
        cdef size_t size
        cdef size_t wanted = 0
        while True:
            with nogil:
                enter_epoch(self.store.header, SNAPSHOT_READER)
                if load(&self.store.header.index) != self.index \
                        or load(&self.store.header.index_number) != self.index_number:
                    leave_epoch(self.store.header, SNAPSHOT_READER)
                    break
                size = self.fill(&wanted)
                leave_epoch(self.store.header, SNAPSHOT_READER)
            if size or not wanted:
                return PyBytes_FromStringAndSize(<const char*>self.buffer, size)
            # One record larger than a chunk.
            free(self.buffer)
            self.room = wanted
            self.buffer = <uint8_t*>malloc(self.room)
            if self.buffer == NULL:
                raise MemoryError
        return None

    cdef size_t fill(self, size_t* wanted) noexcept nogil:
        """Copy records until the buffer is full. Returns their size; 0 with wanted set where one is too large."""
        cdef const uint8_t* base = <const uint8_t*>self.store.header
        cdef const uint64_t* slots = <const uint64_t*>(base + (self.index >> 8) * UNIT_BYTES)
        cdef uint64_t count = <uint64_t>1 << (self.index & 0xFF)
        cdef uint32_t unit
        cdef const Record* record
        cdef Entry* entry
        cdef uint8_t* out
        cdef uint64_t key_bytes, payload_bytes
        cdef size_t size = 0
        wanted[0] = 0
        while self.position < count:
            unit = <uint32_t>load(&slots[self.position])
            if unit > SLOT_REMOVED:
                record = <const Record*>(base + <uint64_t>unit * UNIT_BYTES)
                if record.key_len > 2 and record_key(record)[0] == self.source \
                        and is_copied(record_key(record)[1]):
                    key_bytes = padded(sizeof(Entry) + record.key_len - 1)
                    payload_bytes = padded(record.payload_len)
                    if size + key_bytes + payload_bytes > self.room:
                        if size == 0:
                            wanted[0] = key_bytes + payload_bytes
                        return size
                    out = self.buffer + size
                    memset(out + key_bytes - 8, 0, 8)
                    entry = <Entry*>out
                    entry.key_len = record.key_len - 1
                    entry.payload_len = record.payload_len
                    memcpy(out + sizeof(Entry), record_key(record) + 1, record.key_len - 1)
                    if payload_bytes:
                        memset(out + key_bytes + payload_bytes - 8, 0, 8)
                        memcpy(out + key_bytes, record_payload(record), record.payload_len)
                    size += key_bytes + payload_bytes
                    self.records += 1
            self.position += 1
        return size


# --------------------------------------------------------------------------------------- looking at a body


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
    # No listing of Services would ever take away what a record without a Service has of one.
    if head.svc_type == TYPE_SLICES_ONLY and (
            at + <uint64_t>head.ports_len + head.external_len != sizeof(ServiceHead) or not head.section_count):
        return False
    if head.external_len and not is_wire_name(payload + at + head.ports_len, head.external_len):
        return False
    walk_sections(payload, size, &walk)
    while next_section(&walk, &v):
        if not good_section(&v):
            return False
    return walk.left == 0 and walk.room == 0


cdef bint good_record(const uint8_t* key, uint32_t key_len, const uint8_t* payload, uint32_t size) noexcept nogil:
    """Whether a record is what the writer of a cluster could have published."""
    if key[0] == KIND_SERVICE or key[0] == KIND_IMPORT:
        return good_labels(key + 1, key_len - 1, 2) and good_service(payload, size)
    if key[0] == KIND_NAMESPACE:
        return good_labels(key + 1, key_len - 1, 1) and size == 0
    if key[0] == KIND_POD:
        if size == 0 or size % 8:
            return False
        return (key_len > 5 and good_labels(key + 5, key_len - 5, 1)) \
            or (key_len > 17 and good_labels(key + 17, key_len - 17, 1))
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


def restore(ClusterWriter sink not None, bytes body not None, uint64_t id_seed):
    """Publish the records of a body in place of what the sink's source has. Returns (its Services, left out).

    A record that is not in itself right is left out. Raises SourceError where the body is not made of records, with
    nothing changed, and StoreFull, with the source empty.
    """
    cdef const uint8_t* base = body
    cdef uint64_t at = 0, end = len(body), services = 0, left_out = 0
    cdef const Entry* entry
    cdef const uint8_t* payload
    cdef uint8_t key[1 + 160]
    check(body)
    sink.remove_all()
    source_state(sink.writer.h, sink.source).id_seed = id_seed
    key[0] = sink.source
    try:
        while at < end:
            entry = <const Entry*>(base + at)
            memcpy(key + 1, base + at + sizeof(Entry), entry.key_len)
            at += padded(sizeof(Entry) + entry.key_len)
            payload = base + at
            at += padded(entry.payload_len)
            if not good_record(key + 1, entry.key_len, payload, entry.payload_len):
                left_out += 1
                continue
            sink.writer.put(key, 1 + entry.key_len, payload, entry.payload_len)
            if key[1] == KIND_SERVICE:
                refer(sink, key, 1 + entry.key_len, payload, entry.payload_len)
                services += (<const ServiceHead*>payload).svc_type != TYPE_SLICES_ONLY
            elif key[1] == KIND_POD:
                # Whose it is does not show: those that a listing does not have are found when all is mended.
                sink.doubtful = True
    except StoreFull:
        sink.remove_all()
        raise
    finally:
        sink.writer.reclaim()
    return services, left_out


cdef int refer(ClusterWriter sink, const uint8_t* key, uint32_t key_len, const uint8_t* payload,
               uint32_t payload_len) except -1:
    """Publish the records by address that lead to a service."""
    cdef uint64_t reference = hash_bytes(sink.writer.h.seed, key, key_len)
    cdef const ServiceHead* head = <const ServiceHead*>payload
    cdef const uint8_t* at = payload + sizeof(ServiceHead)
    cdef SectionWalk walk
    cdef SectionView v
    cdef uint32_t i, size
    for i in range(<uint32_t>head.ip4_count + head.ip6_count):
        size = 4 if i < head.ip4_count else 16
        sink.edit_references(KIND_CLUSTER_IP, at, size, reference, True)
        at += size
    walk_sections(payload, payload_len, &walk)
    while next_section(&walk, &v):
        if v.address_len == ADDRESS_IS_NAME:
            continue
        at = v.addresses
        size = v.address_len
        for i in range(v.count):
            if i == 0 or memcmp(at - size, at, size) != 0:
                sink.edit_references(KIND_ENDPOINT_IP, at, size, reference, True)
            at += size
    return 0
