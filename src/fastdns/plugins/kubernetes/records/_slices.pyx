"""Packs a slice into its section. See _slices.pxd for how to call it."""

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcmp, memcpy, memset

from fastdns.plugins.kubernetes.records._layout cimport (
    ADDRESS_IS_NAME, BLOB_UNIT_BYTES, MAX_BLOB_UNITS, MAX_SLICE_ADDRESSES, MAX_ZONE_BYTES, NAME_FROM_ADDRESS,
    NO_NAME, NO_ZONE, Section,
)
from fastdns.memory._hash cimport hash_bytes
from fastdns.plugins.kubernetes.records._names cimport compare_lowered, dashed_name, is_label, lower
from fastdns.plugins.kubernetes.records._ports cimport (
    add_port, add_port_objects, finish_ports, free_ports, start_ports,
)

cdef extern from "arpa/inet.h" nogil:
    int inet_pton(int family, const char* src, void* dst)
    enum:
        AF_INET
        AF_INET6

cdef extern from "stdlib.h" nogil:
    void qsort_r(void* base, size_t count, size_t size,
                 int (*compare)(const void*, const void*, void*) noexcept nogil, void* arg)


# ------------------------------------------------------------------------------------------------ the blob

cdef void start_slice(Packing* p, const char* address_type, uint32_t size, bint with_zones) noexcept nogil:
    p.address_len = 4
    if size == 4 and memcmp(address_type, b"IPv6", 4) == 0:
        p.address_len = 16
    elif size == 4 and memcmp(address_type, b"FQDN", 4) == 0:
        p.address_len = ADDRESS_IS_NAME
    p.count = 0
    p.blob_len = 0
    if p.text_count:
        memset(p.texts, 0xFF, 2 * (<size_t>p.text_mask + 1))
        p.text_count = 0
    p.name = NAME_FROM_ADDRESS
    p.zone = NO_ZONE
    p.has_zones = with_zones
    p.addresses_left_out = 0
    p.names_left_out = 0
    p.zones_left_out = 0
    start_ports(&p.ports)


cdef void free_slice(Packing* p) noexcept nogil:
    free_ports(&p.ports)
    free(p.endpoints)
    free(p.blob)
    free(p.texts)


cdef inline uint32_t text_slot(const Packing* p, const uint8_t* text, uint32_t size) noexcept nogil:
    """Where in texts a text stands, or the free place for it."""
    cdef uint32_t slot = <uint32_t>hash_bytes(7, text, size) & p.text_mask
    cdef const uint8_t* entry
    while p.texts[slot] != 0xFFFF:
        entry = p.blob + <uint32_t>p.texts[slot] * BLOB_UNIT_BYTES
        if entry[0] == size and memcmp(entry + 1, text, size) == 0:
            break
        slot = (slot + 1) & p.text_mask
    return slot


cdef int grow_texts(Packing* p) except -1 nogil:
    cdef uint32_t slots = 2 * (p.text_mask + 1) if p.texts != NULL else 64
    cdef uint32_t at = 0, slot, one
    cdef void* grown = realloc(p.texts, <size_t>slots * 2)
    if grown == NULL:
        raise MemoryError
    p.texts = <uint16_t*>grown
    p.text_mask = slots - 1
    memset(p.texts, 0xFF, 2 * <size_t>slots)
    # The blob itself says what is in it.
    while at < p.blob_len:
        one = 1 + p.blob[at]
        slot = text_slot(p, p.blob + at + 1, p.blob[at])
        p.texts[slot] = <uint16_t>(at // BLOB_UNIT_BYTES)
        at += (one + BLOB_UNIT_BYTES - 1) & ~<uint32_t>(BLOB_UNIT_BYTES - 1)
    return 0


cdef int into_blob(Packing* p, const uint8_t* text, uint32_t size, uint16_t* place) except -1 nogil:
    """Where the text stands in the blob, put there if it was not yet. Returns 0 where there is no room."""
    cdef uint32_t at = p.blob_len, room, slot
    cdef void* grown
    if 2 * (p.text_count + 1) > p.text_mask + 1 or p.texts == NULL:
        grow_texts(p)
    slot = text_slot(p, text, size)
    if p.texts[slot] != 0xFFFF:
        place[0] = p.texts[slot]
        return 1
    if at // BLOB_UNIT_BYTES > MAX_BLOB_UNITS:
        return 0
    if at + size + 2 > p.blob_room:
        room = 2 * p.blob_room + size + 512
        grown = realloc(p.blob, room)
        if grown == NULL:
            raise MemoryError
        p.blob = <uint8_t*>grown
        p.blob_room = room
    p.blob[at] = <uint8_t>size
    memcpy(p.blob + at + 1, text, size)
    if not size & 1:
        # Texts begin at whole units.
        p.blob[at + 1 + size] = 0
    p.blob_len = at + ((size + 2) & ~1u)
    place[0] = <uint16_t>(at // BLOB_UNIT_BYTES)
    p.texts[slot] = place[0]
    p.text_count += 1
    return 1


# ----------------------------------------------------------------------------------------------- endpoints

cdef int start_endpoint(Packing* p, const uint8_t* name, uint32_t name_len, const uint8_t* zone,
                        uint32_t zone_len) except -1 nogil:
    cdef uint8_t lowered[256]
    cdef uint32_t i
    p.name = NAME_FROM_ADDRESS
    p.zone = NO_ZONE
    if name_len and (not is_label(name, name_len) or not into_blob(p, name, name_len, &p.name)):
        p.names_left_out += 1
        p.name = NAME_FROM_ADDRESS
    if p.has_zones and zone_len:
        if zone_len > MAX_ZONE_BYTES:
            p.zones_left_out += 1
            return 0
        for i in range(zone_len):
            lowered[i] = lower(zone[i])
        if not into_blob(p, lowered, zone_len, &p.zone):
            p.zones_left_out += 1
            p.zone = NO_ZONE
    return 0


cdef uint32_t to_wire(const uint8_t* text, uint32_t size, uint8_t* wire) noexcept nogil:
    """A domain name in wire form, at most 255 bytes; its length, or 0 where a label is none."""
    cdef uint32_t i, first = 0
    if size and text[size - 1] == 46:
        size -= 1
    if not 0 < size <= 253:
        return 0
    for i in range(size + 1):
        if i == size or text[i] == 46:
            if not is_label(text + first, i - first):
                return 0
            wire[first] = <uint8_t>(i - first)
            memcpy(wire + first + 1, text + first, i - first)
            first = i + 1
    wire[size + 1] = 0
    return size + 2


cdef int add_address(Packing* p, const uint8_t* text, uint32_t size) except -1 nogil:
    cdef char spelled[64]
    cdef uint8_t wire[256]
    cdef uint8_t derived[256]
    cdef uint8_t address[16]
    cdef uint32_t room, i, wire_len
    cdef uint16_t place = 0, name = p.name
    cdef void* grown
    cdef PackedEndpoint* e
    if p.count >= MAX_SLICE_ADDRESSES:
        p.addresses_left_out += 1
        return 0
    if p.address_len == ADDRESS_IS_NAME:
        wire_len = to_wire(text, size, wire)
        # An address is no name: the API server takes it for one.
        if wire_len == 0 or is_address(text, size) or not into_blob(p, wire, wire_len, &place):
            p.addresses_left_out += 1
            return 0
        address[0] = place >> 8
        address[1] = place & 0xFF
        if name == NAME_FROM_ADDRESS:
            name = NO_NAME
            for i in range(size):
                derived[i] = 45 if text[i] == 46 else text[i]
            if is_label(derived, size) and not into_blob(p, derived, size, &name):
                name = NO_NAME
    else:
        if size >= 64:
            p.addresses_left_out += 1
            return 0
        memcpy(spelled, text, size)
        spelled[size] = 0
        for i in range(size):
            if spelled[i] == 0:
                size = 0
                break
        if size == 0 or inet_pton(AF_INET6 if p.address_len == 16 else AF_INET, spelled, address) != 1 or (
                p.address_len == 16 and memcmp(address, b"\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) == 0):
            p.addresses_left_out += 1
            return 0
        if name != NAME_FROM_ADDRESS:
            wire_len = dashed_name(address, p.address_len, derived)
            if p.blob[<uint32_t>name * BLOB_UNIT_BYTES] == wire_len \
                    and memcmp(p.blob + <uint32_t>name * BLOB_UNIT_BYTES + 1, derived, wire_len) == 0:
                name = NAME_FROM_ADDRESS
    if p.count == p.room:
        room = 2 * p.room + 128
        grown = realloc(p.endpoints, <size_t>room * sizeof(PackedEndpoint))
        if grown == NULL:
            raise MemoryError
        p.endpoints = <PackedEndpoint*>grown
        p.room = room
    e = &p.endpoints[p.count]
    memset(e, 0, sizeof(PackedEndpoint))
    memcpy(e.address, address, p.address_len)
    e.name = name
    e.zone = p.zone
    e.place = p.count
    p.count += 1
    return 0


cdef bint is_address(const uint8_t* text, uint32_t size) noexcept nogil:
    cdef char spelled[64]
    cdef uint8_t address[16]
    if size >= 64:
        return False
    memcpy(spelled, text, size)
    spelled[size] = 0
    return inet_pton(AF_INET, spelled, address) == 1


cdef int compare_endpoints(const void* a, const void* b) noexcept nogil:
    cdef const PackedEndpoint* x = <const PackedEndpoint*>a
    cdef const PackedEndpoint* y = <const PackedEndpoint*>b
    cdef int order = memcmp(x.address, y.address, 16)
    if order == 0:
        order = <int>x.name - <int>y.name
    if order == 0:
        order = <int>x.zone - <int>y.zone
    return order


cdef int compare_and_place(const void* a, const void* b) noexcept nogil:
    cdef int order = compare_endpoints(a, b)
    return order if order else compare_places(a, b)


cdef int compare_places(const void* a, const void* b) noexcept nogil:
    return -1 if (<const PackedEndpoint*>a).place < (<const PackedEndpoint*>b).place else 1


cdef extern from "stdlib.h" nogil:
    void qsort(void* base, size_t count, size_t size, int (*compare)(const void*, const void*) noexcept nogil)


cdef int compare_names(const void* a, const void* b, void* packing) noexcept nogil:
    """Two numbers of endpoints by lowercased name, then by number."""
    cdef const Packing* p = <const Packing*>packing
    cdef uint32_t i = (<const uint32_t*>a)[0]
    cdef uint32_t j = (<const uint32_t*>b)[0]
    cdef const uint8_t* x
    cdef const uint8_t* y
    cdef int order = 0
    if p.endpoints[i].name != p.endpoints[j].name:
        x = p.blob + <uint32_t>p.endpoints[i].name * BLOB_UNIT_BYTES
        y = p.blob + <uint32_t>p.endpoints[j].name * BLOB_UNIT_BYTES
        order = compare_lowered(x + 1, x[0], y + 1, y[0])
    if order == 0:
        order = -1 if i < j else 1
    return order


cdef uint32_t order_endpoints(Packing* p) noexcept nogil:
    """Sort, and drop what is there twice. Returns how many have a name of their own.

    Names stay in the order of the slice, of which an answer takes the first: nobody searches them by address.
    """
    cdef uint32_t i, kept = 0, named = 0
    cdef bint ordered = True
    for i in range(1, p.count):
        if compare_endpoints(&p.endpoints[i - 1], &p.endpoints[i]) >= 0:
            ordered = False
            break
    if not ordered:
        qsort(p.endpoints, p.count, sizeof(PackedEndpoint), compare_and_place)
    for i in range(p.count):
        if kept and compare_endpoints(&p.endpoints[kept - 1], &p.endpoints[i]) == 0:
            continue
        if kept != i:
            p.endpoints[kept] = p.endpoints[i]
        kept += 1
        named += p.endpoints[i].name < NO_NAME
    p.count = kept
    if p.address_len == ADDRESS_IS_NAME and p.count > 1:
        qsort(p.endpoints, p.count, sizeof(PackedEndpoint), compare_places)
    return named


cdef bytes finish_slice(Packing* p, uint64_t slice_id, const uint8_t* cluster, uint32_t cluster_len):
    cdef bytes ports
    cdef uint32_t ports_len, named, arrays_at, names_at, zones_at, blob_at, total, i, k
    cdef uint32_t addresses_at, pos
    cdef bint has_names
    cdef bytes made
    cdef uint8_t* out
    cdef Section* s
    cdef uint32_t* by_name
    if p.ports.count == 0:
        # It stands in for no ports: addresses, but no SRV records.
        add_port(&p.ports, -1, NULL, 0, NULL, 0)
    ports = finish_ports(&p.ports)
    ports_len = len(ports)
    with nogil:
        named = order_endpoints(p)
    # The array of names is also there for those that have none.
    has_names = named != 0
    addresses_at = (sizeof(Section) + ports_len + cluster_len + 3) & ~3u
    arrays_at = (addresses_at + p.count * p.address_len + 3) & ~3u
    names_at = arrays_at + 4 * named
    zones_at = names_at + (2 * p.count if has_names else 0)
    blob_at = zones_at + (2 * p.count if p.has_zones else 0)
    total = (blob_at + p.blob_len + 7) & ~7u
    made = PyBytes_FromStringAndSize(NULL, total)
    out = <uint8_t*><const uint8_t*>made
    memset(out, 0, addresses_at)
    memset(out + total - 8, 0, 8)
    s = <Section*>out
    s.total_len = total
    s.count = p.count
    s.slice_id = slice_id
    s.ports_len = ports_len
    s.named_count = named
    s.port_count = <uint16_t>p.ports.count
    s.address_len = <uint8_t>p.address_len
    s.cluster_len = <uint8_t>cluster_len
    s.has_zones = p.has_zones
    memcpy(out + sizeof(Section), <const uint8_t*>ports, ports_len)
    if cluster_len:
        memcpy(out + sizeof(Section) + ports_len, cluster, cluster_len)
    pos = addresses_at
    for i in range(p.count):
        memcpy(out + pos, p.endpoints[i].address, p.address_len)
        pos += p.address_len
    memset(out + pos, 0, arrays_at - pos)
    if has_names:
        by_name = <uint32_t*>(out + arrays_at)
        k = 0
        for i in range(p.count):
            (<uint16_t*>(out + names_at))[i] = p.endpoints[i].name
            if p.endpoints[i].name < NO_NAME:
                by_name[k] = i
                k += 1
        qsort_r(by_name, named, 4, compare_names, p)
    if p.has_zones:
        for i in range(p.count):
            (<uint16_t*>(out + zones_at))[i] = p.endpoints[i].zone
    if p.blob_len:
        memcpy(out + blob_at, p.blob, p.blob_len)
    return made


# ------------------------------------------------------------------------------------------------- whole slices

cdef class EncodedSlice:
    """See _slices.pxd: for decoders to derive from."""

    cdef int feed(self, Packing* p, bint pod_names, bint zonal) except -1:
        raise NotImplementedError


cdef int feed_object(Packing* p, obj, bint pod_names, bint zonal) except -1:
    cdef const char* text
    cdef const char* name_text
    cdef const char* zone_text
    cdef Py_ssize_t size, name_len, zone_len
    text = PyUnicode_AsUTF8AndSize(obj.addressType, &size)
    start_slice(p, text, <uint32_t>size, zonal)
    for endpoint in obj.endpoints or ():
        conditions = endpoint.conditions
        if conditions is not None and conditions.ready is False:
            continue
        name = endpoint.hostname or None
        if name is None and pod_names and endpoint.targetRef is not None:
            name = endpoint.targetRef.name or None
        name_text = NULL
        name_len = 0
        if name is not None:
            name_text = PyUnicode_AsUTF8AndSize(name, &name_len)
        zone_text = NULL
        zone_len = 0
        if zonal and endpoint.zone is not None:
            zone_text = PyUnicode_AsUTF8AndSize(endpoint.zone, &zone_len)
        start_endpoint(p, <const uint8_t*>name_text, <uint32_t>name_len, <const uint8_t*>zone_text,
                       <uint32_t>zone_len)
        for spelled in endpoint.addresses or ():
            text = PyUnicode_AsUTF8AndSize(spelled, &size)
            add_address(p, <const uint8_t*>text, <uint32_t>size)
    return add_port_objects(&p.ports, obj.ports)
