"""Keeps the records of addresses in agreement with services and pods. See _references.pxd."""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from fastdns.memory._hash cimport hash_bytes
from fastdns.memory._store cimport Record, Writer, find, next_record, record_key, record_payload
from fastdns.plugins.kubernetes.records._layout cimport (
    ADDRESS_IS_NAME, HASH_BYTES, KEY_HEAD_BYTES, KIND_CLUSTER_IP, KIND_DESCRIBED, KIND_ENDPOINT_IP, KIND_EXPOSED_IP,
    KIND_POD, KIND_SERVICE, ExposedView, SectionView, SectionWalk, ServiceHead, begin_key, exposed_address, kind_in,
    next_section, open_exposed, open_section, reference_bytes, walk_sections,
)
from fastdns.plugins.kubernetes.records._packing cimport endpoints_have, exposed_has, head_has


cdef enum:
    MAX_ADDRESS_BYTES = 16
    # Lists up to here are put together on the stack: nearly every address has one reference.
    FEW_BYTES = 256


cdef inline uint32_t place_of(const Record* record, uint8_t kind, const uint8_t* reference,
                              uint32_t reference_len) noexcept nogil:
    """Where in a record's payload a reference stands; the payload's length where it does not."""
    cdef const uint8_t* references = record_payload(record)
    cdef uint32_t at = 0, size
    while at < record.payload_len:
        size = reference_bytes(kind, references + at, record.payload_len - at)
        if size == 0:
            break
        if size == reference_len and memcmp(references + at, reference, size) == 0:
            return at
        at += size
    return record.payload_len


cdef int set_reference(Writer writer, int source, int kind, const uint8_t* address, uint32_t address_len,
                       const uint8_t* reference, uint32_t reference_len, bint present) except -1:
    cdef uint8_t key[KEY_HEAD_BYTES + MAX_ADDRESS_BYTES]
    cdef uint8_t few[FEW_BYTES]
    cdef uint8_t* out = few
    cdef uint32_t key_len = KEY_HEAD_BYTES + address_len
    cdef const Record* record
    cdef const uint8_t* references = NULL
    cdef uint32_t at = 0, size = 0, made_len
    cdef bytes many = None
    if address_len > MAX_ADDRESS_BYTES:
        raise ValueError("no address is as long")
    begin_key(key, source, <uint8_t>kind)
    memcpy(key + KEY_HEAD_BYTES, address, address_len)
    record = find(writer.h, hash_bytes(writer.h.seed, key, key_len), key, key_len)
    if record != NULL:
        references = record_payload(record)
        size = record.payload_len
        at = place_of(record, <uint8_t>kind, reference, reference_len)
    if present == (at < size):
        return 0
    if not present and size == reference_len:
        writer.drop(key, key_len)
        return 0
    made_len = size + reference_len if present else size - reference_len
    if made_len > FEW_BYTES:
        many = PyBytes_FromStringAndSize(NULL, made_len)
        out = <uint8_t*><const uint8_t*>many
    if at:
        memcpy(out, references, at)
    if present:
        memcpy(out + at, reference, reference_len)
    else:
        memcpy(out + at, references + at + reference_len, size - at - reference_len)
    writer.put(key, key_len, out, made_len)
    return 0


cdef inline int set_service(Writer writer, int source, int kind, const uint8_t* address, uint32_t address_len,
                            uint64_t reference, bint present) except -1:
    return set_reference(writer, source, kind, address, address_len, <const uint8_t*>&reference, HASH_BYTES,
                         present)


cdef int refer_to_head(Writer writer, int source, int kind, uint64_t reference, set before, set after) except -1:
    for address in before - after:
        set_service(writer, source, kind, <bytes>address, len(<bytes>address), reference, False)
    for address in after - before:
        set_service(writer, source, kind, <bytes>address, len(<bytes>address), reference, True)
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
            set_service(writer, source, KIND_ENDPOINT_IP, x, a.address_len, reference, False)
        elif order > 0:
            set_service(writer, source, KIND_ENDPOINT_IP, y, b.address_len, reference, True)
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
    return record != NULL and place_of(record, <uint8_t>kind, <const uint8_t*>&reference,
                                       HASH_BYTES) < record.payload_len


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
        set_service(writer, source, kind, address, size, reference, True)
    elif not refers(writer, source, kind, address, size, reference):
        missing.append((kind, address[:size], (<const uint8_t*>&reference)[:HASH_BYTES]))
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
    cdef const uint8_t* address
    cdef const uint8_t* references
    cdef uint64_t position = 0, service
    cdef uint32_t at, size, address_len
    cdef uint8_t kind
    cdef bint holds
    cdef list stale = []
    cdef list missing = []
    cdef list damaged = []
    cdef set known = set().union(*pods.values())
    while True:
        record = next_record(writer.h, &position)
        if record == NULL:
            break
        kind = kind_in(record, source)
        if kind == KIND_CLUSTER_IP or kind == KIND_ENDPOINT_IP or kind == KIND_EXPOSED_IP or kind == KIND_POD:
            address = record_key(record) + KEY_HEAD_BYTES
            address_len = record.key_len - KEY_HEAD_BYTES
            references = record_payload(record)
            at = 0
            while at < record.payload_len:
                size = reference_bytes(kind, references + at, record.payload_len - at)
                if size == 0:
                    # No reference begins here. Those of all pods are added below.
                    if kind == KIND_POD:
                        damaged.append(record_key(record)[:record.key_len])
                    break
                if kind == KIND_POD:
                    holds = references[at:at + size] in pods.get(address[:address_len], ())
                else:
                    memcpy(&service, references + at, HASH_BYTES)
                    holds = service_has(writer, source, kind, address, address_len, service)
                if not holds:
                    stale.append((kind, address[:address_len], references[at:at + size]))
                at += size
        elif kind == KIND_DESCRIBED:
            if record_key(record)[KEY_HEAD_BYTES:record.key_len] not in known:
                damaged.append(record_key(record)[:record.key_len])
        elif kind == KIND_SERVICE:
            refer_to_all(writer, source, record.hash, record_payload(record), record.payload_len, missing)
    for where, found in pods.items():
        for one in found:
            missing.append((KIND_POD, where, one))
    for key in damaged:
        writer.remove(key)
    for of, where, one in stale:
        set_reference(writer, source, of, <bytes>where, len(<bytes>where), <bytes>one, len(<bytes>one), False)
    for of, where, one in missing:
        set_reference(writer, source, of, <bytes>where, len(<bytes>where), <bytes>one, len(<bytes>one), True)
    return <int>(len(stale) + len(damaged))
