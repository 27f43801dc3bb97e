"""Keeps the records of addresses in agreement with services and pods. See _references.pxd."""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from fastdns.memory._hash cimport hash_bytes
from fastdns.memory._store cimport Record, Writer, find, next_record, record_key, record_payload
from fastdns.plugins.kubernetes.records._layout cimport (
    ADDRESS_IS_NAME, KEY_HEAD_BYTES, KIND_CLUSTER_IP, KIND_ENDPOINT_IP, KIND_EXPOSED_IP, KIND_POD, KIND_SERVICE,
    ExposedView, SectionView, SectionWalk, ServiceHead, begin_key, exposed_address, kind_in, next_section,
    open_exposed, open_section, walk_sections,
)
from fastdns.plugins.kubernetes.records._packing cimport endpoints_have, exposed_has, head_has


cdef enum:
    REFERENCE_BYTES = 8
    MAX_WHERE_BYTES = 16 + 64
    # Lists up to here are put together on the stack: nearly every address has one reference.
    FEW = 32


cdef inline uint32_t index_of(const Record* record, uint64_t reference) noexcept nogil:
    """Where in a record a reference stands; the record's count where it does not."""
    cdef const uint8_t* references = record_payload(record)
    cdef uint32_t i = 0, count = record.payload_len // REFERENCE_BYTES
    while i < count and memcmp(references + REFERENCE_BYTES * <size_t>i, &reference, REFERENCE_BYTES) != 0:
        i += 1
    return i


cdef int set_reference(Writer writer, int source, int kind, const uint8_t* where, uint32_t where_len,
                       uint64_t reference, bint present) except -1:
    cdef uint8_t key[KEY_HEAD_BYTES + MAX_WHERE_BYTES]
    cdef uint8_t few[REFERENCE_BYTES * FEW]
    cdef uint8_t* out = few
    cdef uint32_t key_len = KEY_HEAD_BYTES + where_len
    cdef const Record* record
    cdef const uint8_t* references = NULL
    cdef uint32_t i = 0, count = 0, made_count
    cdef bytes many = None
    if where_len > MAX_WHERE_BYTES:
        raise ValueError("no address, with the label of a namespace, is as long")
    begin_key(key, source, <uint8_t>kind)
    memcpy(key + KEY_HEAD_BYTES, where, where_len)
    record = find(writer.h, hash_bytes(writer.h.seed, key, key_len), key, key_len)
    if record != NULL:
        references = record_payload(record)
        count = record.payload_len // REFERENCE_BYTES
        i = index_of(record, reference)
    if present == (i < count):
        return 0
    if not present and count == 1:
        writer.drop(key, key_len)
        return 0
    made_count = count + 1 if present else count - 1
    if made_count > FEW:
        many = PyBytes_FromStringAndSize(NULL, REFERENCE_BYTES * <Py_ssize_t>made_count)
        out = <uint8_t*><const uint8_t*>many
    if i:
        memcpy(out, references, REFERENCE_BYTES * <size_t>i)
    if present:
        memcpy(out + REFERENCE_BYTES * <size_t>i, &reference, REFERENCE_BYTES)
    else:
        memcpy(out + REFERENCE_BYTES * <size_t>i, references + REFERENCE_BYTES * (<size_t>i + 1),
               REFERENCE_BYTES * (<size_t>count - i - 1))
    writer.put(key, key_len, out, REFERENCE_BYTES * made_count)
    return 0


cdef int refer_to_head(Writer writer, int source, int kind, uint64_t reference, set before, set after) except -1:
    for address in before - after:
        set_reference(writer, source, kind, <bytes>address, len(<bytes>address), reference, False)
    for address in after - before:
        set_reference(writer, source, kind, <bytes>address, len(<bytes>address), reference, True)
    return 0


cdef inline bint open_addresses(bytes section, SectionView* v) noexcept:
    """Nothing to see in a section that is None, and in that of names, which are no addresses."""
    if section is None or not open_section(section, len(section), v) or v.address_len == ADDRESS_IS_NAME:
        v.count = 0
        v.address_len = 0
        v.addresses = NULL
        return False
    return True


cdef inline uint32_t next_address(const SectionView* v, uint32_t i) noexcept nogil:
    """The first endpoint behind i with another address than i's."""
    cdef const uint8_t* at = v.addresses + <size_t>i * v.address_len
    i += 1
    while i < v.count and memcmp(at, v.addresses + <size_t>i * v.address_len, v.address_len) == 0:
        i += 1
    return i


cdef int refer_to_slice(Writer writer, int source, uint64_t reference, bytes old, bytes new,
                        const uint8_t* record, uint32_t record_len) except -1:
    cdef SectionView a
    cdef SectionView b
    cdef const uint8_t* x = NULL
    cdef const uint8_t* y = NULL
    cdef uint32_t i = 0, j = 0
    cdef int order
    open_addresses(old, &a)
    open_addresses(new, &b)
    # Both are ordered by address.
    while i < a.count or j < b.count:
        if i < a.count:
            x = a.addresses + <size_t>i * a.address_len
        if j < b.count:
            y = b.addresses + <size_t>j * b.address_len
        if j == b.count:
            order = -1
        elif i == a.count:
            order = 1
        elif a.address_len != b.address_len:
            # Of a slice that has changed its family nothing stays.
            order = -1
        else:
            order = memcmp(x, y, a.address_len)
        # Another slice may still have what this one has lost.
        if order < 0 and (record == NULL or not endpoints_have(record, record_len, x, a.address_len)):
            set_reference(writer, source, KIND_ENDPOINT_IP, x, a.address_len, reference, False)
        elif order > 0:
            set_reference(writer, source, KIND_ENDPOINT_IP, y, b.address_len, reference, True)
        if order <= 0:
            i = next_address(&a, i)
        if order >= 0:
            j = next_address(&b, j)
    return 0


cdef bint refers(Writer writer, int source, int kind, const uint8_t* address, uint32_t size,
                 uint64_t reference) noexcept:
    """Whether the record of an address has a reference."""
    cdef uint8_t key[KEY_HEAD_BYTES + 16]
    cdef const Record* record
    begin_key(key, source, <uint8_t>kind)
    memcpy(key + KEY_HEAD_BYTES, address, size)
    size += KEY_HEAD_BYTES
    record = find(writer.h, hash_bytes(writer.h.seed, key, size), key, size)
    return record != NULL and index_of(record, reference) < record.payload_len // REFERENCE_BYTES


cdef int refer_to_all(Writer writer, int source, uint64_t reference, const uint8_t* record, uint32_t record_len,
                      list missing) except -1:
    """Add the references of a service record; or, where missing is a list, append those that are not there to it.

    missing gets (kind, address, reference). With None, record must not lie in the store: it may move.
    """
    cdef const ServiceHead* head = <const ServiceHead*>record
    cdef const uint8_t* at = record + sizeof(ServiceHead)
    cdef ExposedView exposed
    cdef SectionWalk walk
    cdef SectionView v
    cdef uint32_t i, size
    for i in range(<uint32_t>head.ip4_count + head.ip6_count):
        size = 4 if i < head.ip4_count else 16
        refer_or_note(writer, source, KIND_CLUSTER_IP, at, size, reference, missing)
        at += size
    if open_exposed(record, record_len, &exposed):
        for i in range(exposed.ip4_count + exposed.ip6_count):
            at = exposed_address(&exposed, i, &size)
            refer_or_note(writer, source, KIND_EXPOSED_IP, at, size, reference, missing)
    walk_sections(record, record_len, &walk)
    while next_section(&walk, &v):
        if v.address_len == ADDRESS_IS_NAME:
            continue
        at = v.addresses
        size = v.address_len
        for i in range(v.count):
            # Equal addresses stand side by side.
            if i == 0 or memcmp(at - size, at, size) != 0:
                refer_or_note(writer, source, KIND_ENDPOINT_IP, at, size, reference, missing)
            at += size
    return 0


cdef inline int refer_or_note(Writer writer, int source, int kind, const uint8_t* address, uint32_t size,
                              uint64_t reference, list missing) except -1:
    if missing is None:
        set_reference(writer, source, kind, address, size, reference, True)
    elif not refers(writer, source, kind, address, size, reference):
        missing.append((kind, address[:size], reference))
    return 0


cdef int refer_to_record(Writer writer, int source, uint64_t reference, const uint8_t* record,
                         uint32_t record_len) except -1:
    return refer_to_all(writer, source, reference, record, record_len, None)


cdef bint service_has(Writer writer, int source, int kind, const uint8_t* address, uint32_t size,
                      uint64_t reference) noexcept:
    """Whether the service that a reference leads to has the address."""
    cdef const Record* service = find(writer.h, reference, NULL, 0)
    if service == NULL or kind_in(service, source) != KIND_SERVICE:
        return False
    if kind == KIND_CLUSTER_IP:
        return head_has(<const ServiceHead*>record_payload(service), address, size)
    if kind == KIND_EXPOSED_IP:
        return exposed_has(record_payload(service), service.payload_len, address, size)
    return endpoints_have(record_payload(service), service.payload_len, address, size)


cdef int mend_references(Writer writer, int source, dict pods) except -1:
    cdef const Record* record
    cdef const uint8_t* key
    cdef uint64_t position = 0, reference
    cdef uint32_t i, size
    cdef uint8_t kind
    cdef bint holds
    cdef list stale = []
    cdef list missing = []
    while True:
        record = next_record(writer.h, &position)
        if record == NULL:
            break
        key = record_key(record)
        kind = kind_in(record, source)
        if kind == KIND_CLUSTER_IP or kind == KIND_ENDPOINT_IP or kind == KIND_EXPOSED_IP or kind == KIND_POD:
            size = record.key_len - KEY_HEAD_BYTES
            for i in range(record.payload_len // REFERENCE_BYTES):
                memcpy(&reference, record_payload(record) + REFERENCE_BYTES * <size_t>i, REFERENCE_BYTES)
                if kind == KIND_POD:
                    holds = reference in pods.get(key[KEY_HEAD_BYTES:record.key_len], ())
                else:
                    holds = service_has(writer, source, kind, key + KEY_HEAD_BYTES, size, reference)
                if not holds:
                    stale.append((kind, key[KEY_HEAD_BYTES:record.key_len], reference))
        elif kind == KIND_SERVICE:
            refer_to_all(writer, source, record.hash, record_payload(record), record.payload_len, missing)
    for where, references in pods.items():
        for one in references:
            missing.append((KIND_POD, where, one))
    for of, where, one in stale:
        set_reference(writer, source, of, <bytes>where, len(<bytes>where), one, False)
    for kind, where, one in missing:
        set_reference(writer, source, kind, <bytes>where, len(<bytes>where), one, True)
    return <int>len(stale)
