"""Reading zones of RRsets: see _lookup.pxd."""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from fastdns._wire cimport RR, TYPE_CNAME, TYPE_DNAME, TYPE_MX, TYPE_NS, TYPE_PTR, TYPE_SOA, TYPE_SRV, Query
from fastdns.memory._atomics cimport load, load_relaxed_u32
from fastdns.memory._hash cimport hash_bytes
from fastdns.memory._store cimport (
    SLOT_REMOVED, UNIT_BYTES, Record, StoreHeader, find, record_key, record_payload, source_state,
)
from fastdns.rrsets._layout cimport (
    KIND_CHANGE, KIND_CHUNK, KIND_DIRECTORY, KIND_NAME, KIND_ZONE, NAME_KEY_BYTES, NUMBER_KEY_BYTES,
    ZONE_KEY_BYTES, Body, ChangeHead, ChangeRR, RRset, ZoneHead, begin_key, begin_name_key, find_set, kind_in,
    name_bytes, number_key, visible,
)
from fastdns.rrsets._order cimport (
    Key, chunk_for, chunk_number, compare_keys, key_of_name, last_entry, next_entry, open_chunk,
    open_directory, seek_restart,
)


# ------------------------------------------------------------------------------------------------ zones


cdef bint open_zone(const StoreHeader* h, uint32_t source, const uint8_t* name, uint32_t name_len,
                    ZoneView* z) noexcept nogil:
    return open_layer(h, source, name, name_len, 0, z)


cdef bint open_layer(const StoreHeader* h, uint32_t source, const uint8_t* name, uint32_t name_len, uint8_t layer,
                     ZoneView* z) noexcept nogil:
    cdef uint8_t key[ZONE_KEY_BYTES + 256]
    cdef const Record* record
    cdef uint32_t size = ZONE_KEY_BYTES + name_len
    if name_len > 255:
        return False
    begin_key(key, source, KIND_ZONE)
    memcpy(key + ZONE_KEY_BYTES, name, name_len)
    if layer:
        key[size] = layer
        size += 1
    record = find(h, hash_bytes(h.seed, key, size), key, size)
    if record == NULL or record.payload_len < sizeof(ZoneHead):
        return False
    z.h = h
    z.head = <const ZoneHead*>record_payload(record)
    z.source = source
    z.name_len = name_len
    return True


cdef bint find_zone(const StoreHeader* h, uint32_t source, const Query* q, ZoneView* z) noexcept nogil:
    cdef uint64_t labels = load(&source_state(<StoreHeader*>h, source).zone_labels)
    cdef uint32_t i, at
    for i in range(q.label_count + 1):
        if not labels >> min(<uint32_t>q.label_count - i, <uint32_t>63) & 1:
            continue
        at = q.label_at[i] if i < q.label_count else q.name_len - 1
        if open_zone(h, source, q.name + at, q.name_len - at, z):
            return True
    return False


cdef bint next_zone(const StoreHeader* h, uint32_t source, ZonesWalk* walk, ZoneView* z,
                    const uint8_t** name) noexcept nogil:
    cdef const uint64_t* slots = <const uint64_t*>(<const uint8_t*>h + (walk.index >> 8) * UNIT_BYTES)
    cdef uint64_t count = <uint64_t>1 << (walk.index & 0xFF)
    cdef const Record* record
    cdef uint32_t unit
    while walk.at < count:
        unit = <uint32_t>load(&slots[walk.at])
        walk.at += 1
        if unit <= SLOT_REMOVED:
            continue
        record = <const Record*>(<const uint8_t*>h + <uint64_t>unit * UNIT_BYTES)
        if kind_in(record, source) == KIND_ZONE and record.payload_len >= sizeof(ZoneHead):
            name[0] = record_key(record) + ZONE_KEY_BYTES
            z.h = h
            z.head = <const ZoneHead*>record_payload(record)
            z.source = source
            z.name_len = record.key_len - ZONE_KEY_BYTES
            return True
    return False


# ------------------------------------------------------------------------------------------------ names


cdef inline const Record* name_record(const ZoneView* z, const uint8_t* name, uint32_t size) noexcept nogil:
    cdef uint8_t key[NAME_KEY_BYTES + 256]
    begin_name_key(key, z.source, KIND_NAME, z.head.zone_id)
    memcpy(key + NAME_KEY_BYTES, name, size)
    return find(z.h, hash_bytes(z.h.seed, key, NAME_KEY_BYTES + size), key, NAME_KEY_BYTES + size)


cdef uint64_t name_hash(const ZoneView* z, const Query* q) noexcept nogil:
    cdef uint8_t key[NAME_KEY_BYTES + 256]
    cdef uint32_t size = q.name_len - z.name_len
    begin_name_key(key, z.source, KIND_NAME, z.head.zone_id)
    memcpy(key + NAME_KEY_BYTES, q.name, size)
    return hash_bytes(z.h.seed, key, NAME_KEY_BYTES + size)


cdef bint find_name(const ZoneView* z, const uint8_t* name, uint32_t size, Body* body) noexcept nogil:
    cdef const Record* record
    cdef const uint8_t* payload
    body.size = 0
    if size > 255:
        return False
    record = name_record(z, name, size)
    if record == NULL or record.payload_len < 4:
        return False
    payload = record_payload(record)
    visible(payload, record.payload_len, load_relaxed_u32(<const uint32_t*>payload), z.head.version, body)
    return body.size != 0


cdef inline uint32_t shared_labels(const Key* a, const uint8_t* b, uint32_t size) noexcept nogil:
    """How many labels, from the zone downwards, two order keys have in common."""
    cdef uint32_t i, labels = 0
    for i in range(min(a.size, size)):
        if a.bytes[i] != b[i]:
            break
        labels += a.bytes[i] == 0
    return labels


cdef bint surroundings(const ZoneView* z, const Key* key, Place* place, uint32_t* labels) noexcept nogil:
    """How many labels the closest encloser of a name without RRsets has below the apex. Returns whether there are
    names below the name itself."""
    cdef uint32_t shared
    labels[0] = 0
    if not seek(z, key.bytes, key.size, place):
        return False
    if place.has_before:
        labels[0] = shared_labels(key, place.before.bytes, place.before.size)
    if not next_name(place):
        return False
    shared = shared_labels(key, place.chunk.key.bytes, place.chunk.key.size)
    labels[0] = max(labels[0], shared)
    return place.chunk.key.size > key.size and memcmp(place.chunk.key.bytes, key.bytes, key.size) == 0


cdef bint find_wildcard(const ZoneView* z, const uint8_t* encloser, uint32_t size, Place* place,
                        Body* body) noexcept nogil:
    """Whether there is a wildcard right below a name. An empty non-terminal has no RRsets, and is one, too (RFC
    4592
    section 2.2.2)."""
    cdef uint8_t name[258]
    cdef Key key
    cdef uint32_t labels
    body.size = 0
    if size + 2 > 254:
        return False
    name[0] = 1
    name[1] = 42
    memcpy(name + 2, encloser, size)
    if find_name(z, name, size + 2, body):
        return True
    return key_of_name(name, size + 2, &key) and surroundings(z, &key, place, &labels)


cdef void look_up(const ZoneView* z, const Query* q, Lookup* found) noexcept nogil:
    cdef uint32_t size = q.name_len - z.name_len
    cdef uint32_t labels = 0, at, below
    cdef int32_t i
    cdef RRset s
    cdef Key key
    cdef Place place
    while labels < q.label_count and q.label_at[labels] < size:
        labels += 1
    found.at = 0
    if z.head.cuts or z.head.dnames:
        # From the apex downwards: what is below a cut or a DNAME is not seen.
        i = <int32_t>labels
        while i > 0:
            at = q.label_at[i] if <uint32_t>i < labels else size
            if find_name(z, q.name + at, size - at, &found.body):
                found.at = at
                if z.head.cuts and at < size and find_set(&found.body, TYPE_NS, &s):
                    found.found = NAME_DELEGATED
                    return
                if z.head.dnames and find_set(&found.body, TYPE_DNAME, &s):
                    found.found = NAME_RENAMED
                    return
            i -= 1
        found.at = 0
    if find_name(z, q.name, size, &found.body):
        found.found = NAME_DELEGATED if z.head.cuts and size and find_set(&found.body, TYPE_NS, &s) else NAME_FOUND
        return
    if not key_of_name(q.name, size, &key):
        found.found = NAME_MISSING
        found.at = size
        return
    if surroundings(z, &key, &place, &below):
        found.found = NAME_EMPTY
        return
    found.at = q.label_at[labels - below] if below and below <= labels else size
    found.found = NAME_MISSING
    if z.head.wildcards and find_wildcard(z, q.name + found.at, size - found.at, &place, &found.body):
        found.found = NAME_WILDCARD


# ------------------------------------------------------------------------------------------------ rdata


cdef bint put_rdata(RR* rr, uint16_t rrtype, const uint8_t* rdata, uint16_t size) noexcept nogil:
    cdef uint32_t before = 0, name
    if rrtype == TYPE_NS or rrtype == TYPE_CNAME or rrtype == TYPE_PTR or rrtype == TYPE_SOA:
        rr.compress_name = True
    elif rrtype == TYPE_MX:
        before = 2
        rr.compress_name = True
    elif rrtype == TYPE_DNAME:
        pass
    elif rrtype == TYPE_SRV:
        before = 6
    else:
        rr.fixed = rdata
        rr.fixed_len = size
        return True
    if size < before:
        return False
    name = name_bytes(rdata + before, size - before)
    if name == 0:
        return False
    if before:
        rr.fixed = rdata
        rr.fixed_len = <uint16_t>before
    rr.name = rdata + before
    rr.name_len = <uint16_t>name
    # Of an SOA record, the second name and the numbers.
    rr.tail = rdata + before + name
    rr.tail_len = <uint16_t>(size - before - name)
    return rrtype == TYPE_SOA or rr.tail_len == 0


# ------------------------------------------------------------------------------------------------ the order


cdef const Record* numbered(const ZoneView* z, uint8_t kind, uint32_t number) noexcept nogil:
    cdef uint8_t key[NUMBER_KEY_BYTES]
    number_key(key, z.source, kind, z.head.zone_id, number)
    return find(z.h, hash_bytes(z.h.seed, key, NUMBER_KEY_BYTES), key, NUMBER_KEY_BYTES)


cdef bint open_place(const ZoneView* z, Place* place) noexcept nogil:
    cdef const Record* record = numbered(z, KIND_DIRECTORY, z.head.directory)
    place.zone = z[0]
    place.has_before = False
    place.next_chunk = 0
    place.chunk.left = 0
    return record != NULL and open_directory(record_payload(record), record.payload_len, &place.directory) \
        and place.directory.count != 0


cdef bint open_next_chunk(Place* place) noexcept nogil:
    cdef const Record* record
    if place.next_chunk >= place.directory.count:
        return False
    record = numbered(&place.zone, KIND_CHUNK, chunk_number(&place.directory, place.next_chunk))
    place.next_chunk += 1
    return record != NULL and open_chunk(record_payload(record), record.payload_len, &place.chunk)


cdef inline void keep_before(Place* place) noexcept nogil:
    place.has_before = True
    place.before.size = place.chunk.key.size
    memcpy(place.before.bytes, place.chunk.key.bytes, place.chunk.key.size)


cdef bint seek(const ZoneView* z, const uint8_t* key, uint32_t size, Place* place) noexcept nogil:
    cdef uint32_t at, left
    if not open_place(z, place):
        return False
    place.next_chunk = chunk_for(&place.directory, key, size)
    if not open_next_chunk(place):
        return False
    seek_restart(&place.chunk, key, size)
    while True:
        # Where the entry begins, so that it is the next one again where it is not below the key.
        at = place.chunk.at
        left = place.chunk.left
        if not next_entry(&place.chunk):
            break
        if compare_keys(place.chunk.key.bytes, place.chunk.key.size, key, size) >= 0:
            place.chunk.at = at
            place.chunk.left = left
            # It shares these bytes with the key before it: they still stand there.
            place.chunk.key.size = place.chunk.start[at]
            break
        keep_before(place)
    if not place.has_before and place.next_chunk > 1:
        # The key begins the chunk: the name before is the last one of the chunk before.
        place.next_chunk -= 2
        if not open_next_chunk(place):
            return False
        if last_entry(&place.chunk):
            keep_before(place)
    return True


cdef bint next_name(Place* place) noexcept nogil:
    while not next_entry(&place.chunk):
        if not open_next_chunk(place):
            return False
    return True


cdef bint last_name(const ZoneView* z, Key* key) noexcept nogil:
    cdef Place place
    if not open_place(z, &place):
        return False
    place.next_chunk = place.directory.count - 1
    if not open_next_chunk(&place) or not last_entry(&place.chunk):
        return False
    key.size = place.chunk.key.size
    memcpy(key.bytes, place.chunk.key.bytes, key.size)
    return True


# ------------------------------------------------------------------------------------------------ history


cdef bint find_change(const ZoneView* z, uint32_t serial, ChangeView* change) noexcept nogil:
    cdef const Record* record
    cdef const ChangeHead* head
    cdef uint32_t i
    for i in range(z.head.change_count):
        record = numbered(z, KIND_CHANGE, z.head.first_change + i)
        if record == NULL or record.payload_len < sizeof(ChangeHead):
            return False
        head = <const ChangeHead*>record_payload(record)
        if head.from_serial == serial:
            change.from_serial = head.from_serial
            change.to_serial = head.to_serial
            change.removed = head.removed
            change.added = head.added
            change.at = <const uint8_t*>head + sizeof(ChangeHead)
            change.room = record.payload_len - <uint32_t>sizeof(ChangeHead)
            return True
    return False


cdef bint next_changed(ChangeView* change, ChangedRR* rr) noexcept nogil:
    cdef const ChangeRR* head = <const ChangeRR*>change.at
    cdef uint32_t size
    if (change.removed == 0 and change.added == 0) or change.room < sizeof(ChangeRR):
        return False
    size = <uint32_t>sizeof(ChangeRR) + head.name_len + head.rdata_len
    if size > change.room or head.name_len > 255:
        return False
    rr.added = change.removed == 0
    if rr.added:
        change.added -= 1
    else:
        change.removed -= 1
    rr.name = change.at + sizeof(ChangeRR)
    rr.name_len = head.name_len
    rr.rrtype = head.rrtype
    rr.ttl_s = head.ttl_s
    rr.rdata = rr.name + head.name_len
    rr.rdata_len = head.rdata_len
    change.at += size
    change.room -= size
    return True
