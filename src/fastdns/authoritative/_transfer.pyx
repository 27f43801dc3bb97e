"""Zones as messages: see _transfer.pxd."""

from libc.string cimport memcpy, memset

from fastdns._wire cimport (
    CLASS_IN, FLAG_AA, FLAG_QR, FLAG_RD, HEADER_BYTES, OPT_FIXED_BYTES, TYPE_IXFR, TYPE_OPT, TYPE_SOA,
    put_u16, put_u32,
)
from fastdns.memory._hash cimport hash_bytes
from fastdns.memory._store cimport Record, find, record_payload
from fastdns.rrsets._layout cimport (
    KIND_CHANGE, NUMBER_KEY_BYTES, Body, ChangeHead, RRset, Walk, find_set, next_rdata, next_set, number_key,
    walk_rrs, walk_sets,
)
from fastdns.rrsets._lookup cimport (
    ChangedRR, ChangeView, Place, find_change, find_name, next_changed, next_name, open_zone, seek,
)
from fastdns.rrsets._order cimport compare_keys, name_of_key

cdef enum:
    POINTER = 0xC000
    REACH = 0x3FFF              # of a pointer
    RR_FIXED_BYTES = 10
    UDP_BYTES = 1232            # that the OPT record tells

# A message that is being written.
cdef struct Message:
    Transfer* t
    uint8_t* out
    uint32_t limit              # as long as it has any records
    uint32_t room
    uint32_t size
    uint16_t count
    uint32_t owner_at           # of the name that was written last; 0: none


# ------------------------------------------------------------------------------------------------ messages


cdef void begin_message(Message* m, Transfer* t, uint8_t* out, uint32_t room) noexcept nogil:
    m.t = t
    m.out = out
    m.room = room
    m.limit = TARGET_BYTES if TARGET_BYTES < room else room
    m.count = 0
    m.owner_at = 0
    memset(out, 0, HEADER_BYTES)
    put_u16(out, t.id)
    put_u16(out + 2, t.flags)
    put_u16(out + 4, 1)
    memcpy(out + HEADER_BYTES, t.spelled, t.name_len)
    m.size = HEADER_BYTES + t.name_len
    put_u16(out + m.size, t.qtype)
    put_u16(out + m.size + 2, CLASS_IN)
    m.size += 4
    if t.has_opt:
        # Its room, whatever is written before it.
        m.limit -= OPT_FIXED_BYTES
        m.room -= OPT_FIXED_BYTES


cdef int32_t end_message(Message* m) noexcept nogil:
    cdef uint8_t* at = m.out + m.size
    put_u16(m.out + 6, m.count)
    m.t.records += m.count
    if m.t.has_opt:
        # RFC 6891 section 6.1.1
        m.t.has_opt = False
        put_u16(m.out + 10, 1)
        memset(at, 0, OPT_FIXED_BYTES)
        put_u16(at + 1, TYPE_OPT)
        put_u16(at + 3, UDP_BYTES)
        m.size += OPT_FIXED_BYTES
    return <int32_t>m.size


cdef bint write_rr(Message* m, const uint8_t* name, uint32_t size, uint16_t rrtype, uint32_t ttl_s,
                   const uint8_t* rdata, uint32_t rdata_len) noexcept nogil:
    """Add an RR. name: relative; NULL: that of the RR before. Returns whether it has found room."""
    cdef bint same = name == NULL and 0 < m.owner_at <= REACH
    cdef uint32_t needed = (2 if same else size + 2) + RR_FIXED_BYTES + rdata_len
    cdef uint8_t* at = m.out + m.size
    if m.size + needed > (m.limit if m.count else m.room):
        return False
    if same:
        put_u16(at, <uint16_t>(POINTER | m.owner_at))
        at += 2
    else:
        m.owner_at = m.size
        memcpy(at, name, size)
        at += size
        put_u16(at, POINTER | HEADER_BYTES)
        at += 2
    put_u16(at, rrtype)
    put_u16(at + 2, CLASS_IN)
    put_u32(at + 4, ttl_s)
    put_u16(at + 8, <uint16_t>rdata_len)
    memcpy(at + RR_FIXED_BYTES, rdata, rdata_len)
    m.size += needed
    m.count += 1
    return True


cdef uint32_t shown_bytes(const uint8_t* name, uint32_t size) noexcept nogil:
    """How much of a relative name is its name in the zone: the label of a shelf is not. 0 of a shelf itself, and
    of the apex."""
    cdef uint32_t at = 0, last = 0
    while at < size:
        last = at
        at += name[at] + 1
    return last if size and name[last] and name[last + 1] == 0 else size


# ------------------------------------------------------------------------------------------------ parts
# Each returns whether its part is complete; else the message is full.


cdef bint write_soa(Message* m, const ZoneView* z) noexcept nogil:
    cdef Body body
    cdef RRset s
    cdef Walk walk
    cdef uint16_t size
    cdef const uint8_t* rdata
    if not find_name(z, b"", 0, &body) or not find_set(&body, TYPE_SOA, &s):
        return False
    walk_rrs(&s, &walk)
    rdata = next_rdata(&walk, &size)
    return rdata != NULL and write_rr(m, b"", 0, TYPE_SOA, s.ttl_s, rdata, size)


cdef bint write_name(Message* m, const ZoneView* z, const uint8_t* name, uint32_t size) noexcept nogil:
    """The RRs of a name from skipped on, but for the zone's SOA record."""
    cdef Transfer* t = m.t
    cdef Body body
    cdef RRset s
    cdef Walk sets, rrs
    cdef uint16_t rdata_len
    cdef const uint8_t* rdata
    cdef uint32_t shown = shown_bytes(name, size), i = 0
    cdef const uint8_t* owner = name
    if (size and not shown) or not find_name(z, name, size, &body):
        return True
    walk_sets(&body, &sets)
    while next_set(&sets, &s):
        if size == 0 and s.rrtype == TYPE_SOA:
            continue
        if i + s.count <= t.skipped:
            i += s.count
            continue
        walk_rrs(&s, &rrs)
        while True:
            rdata = next_rdata(&rrs, &rdata_len)
            if rdata == NULL:
                break
            i += 1
            if i <= t.skipped:
                continue
            if owner == NULL and m.owner_at > REACH:
                owner = name
            if not write_rr(m, owner, shown, s.rrtype, s.ttl_s, rdata, rdata_len):
                t.skipped = i - 1
                return False
            owner = NULL
    return True


cdef bint write_names(Message* m, const ZoneView* z) noexcept nogil:
    cdef Transfer* t = m.t
    cdef Place place
    cdef uint8_t name[256]
    cdef int size
    cdef bint same
    if not seek(z, t.key.bytes, t.key.size, &place):
        return False
    while next_name(&place):
        same = t.begun and compare_keys(place.chunk.key.bytes, place.chunk.key.size, t.key.bytes, t.key.size) == 0
        if not same:
            t.skipped = 0
            t.begun = True
            t.key.size = place.chunk.key.size
            memcpy(t.key.bytes, place.chunk.key.bytes, t.key.size)
        size = name_of_key(&place.chunk.key, name)
        if size >= 0 and not write_name(m, z, name, <uint32_t>size):
            return False
    return True


cdef bint open_change(const ZoneView* z, uint32_t number, ChangeView* change) noexcept nogil:
    cdef uint8_t key[NUMBER_KEY_BYTES]
    cdef const Record* record
    cdef const ChangeHead* head
    number_key(key, z.source, KIND_CHANGE, z.head.zone_id, number)
    record = find(z.h, hash_bytes(z.h.seed, key, NUMBER_KEY_BYTES), key, NUMBER_KEY_BYTES)
    if record == NULL or record.payload_len < sizeof(ChangeHead):
        return False
    head = <const ChangeHead*>record_payload(record)
    change.from_serial = head.from_serial
    change.to_serial = head.to_serial
    change.removed = head.removed
    change.added = head.added
    change.at = <const uint8_t*>head + sizeof(ChangeHead)
    change.room = record.payload_len - <uint32_t>sizeof(ChangeHead)
    return True


cdef bint write_changed(Message* m, const ZoneView* z) noexcept nogil:
    """A part of a change set: its old or its new SOA record, or its other RRs, from skipped on."""
    cdef Transfer* t = m.t
    cdef ChangeView change
    cdef ChangedRR rr
    cdef uint32_t i = 0, shown
    cdef bint soas = t.part == OLD_SOA or t.part == NEW_SOA
    cdef bint added = t.part == NEW_SOA or t.part == ADDED
    if not open_change(z, t.change, &change):
        return False
    while next_changed(&change, &rr):
        i += 1
        if i <= t.skipped or <bint>rr.added != added or (rr.name_len == 0 and rr.rrtype == TYPE_SOA) != soas:
            continue
        shown = shown_bytes(rr.name, rr.name_len)
        if rr.name_len and not shown:
            continue
        if not write_rr(m, rr.name, shown, rr.rrtype, rr.ttl_s, rr.rdata, rr.rdata_len):
            t.skipped = i - 1
            return False
    t.skipped = 0
    return True


# ------------------------------------------------------------------------------------------------ the whole


cdef bint choose_changes(Transfer* t, const ZoneView* z, uint32_t serial) noexcept nogil:
    """The change sets that lead from a serial to the zone's. False where there are none such."""
    cdef ChangeView change
    cdef uint32_t i
    cdef bint found = False
    if not find_change(z, serial, &change):
        return False
    for i in range(z.head.change_count):
        if not open_change(z, z.head.first_change + i, &change):
            return False
        if not found and change.from_serial == serial:
            found = True
            t.change = z.head.first_change + i
        if found:
            if change.from_serial != serial:
                return False
            serial = change.to_serial
    t.last_change = z.head.first_change + z.head.change_count - 1
    return found and serial == z.head.serial


cdef void begin_transfer(Transfer* t, const ZoneView* z, const Query* q, bint has_serial,
                         uint32_t serial) noexcept nogil:
    memset(t, 0, sizeof(Transfer))
    t.source = z.source
    t.zone_id = z.head.zone_id
    t.version = z.head.version
    t.serial = z.head.serial
    t.id = q.id
    t.flags = FLAG_QR | FLAG_AA | (q.flags & FLAG_RD)
    t.qtype = q.qtype
    t.name_len = q.name_len
    t.has_opt = q.has_opt
    memcpy(t.spelled, q.msg + HEADER_BYTES, q.name_len)
    memcpy(t.name, q.name, q.name_len)
    t.after_opening = NAMES
    if q.qtype == TYPE_IXFR and has_serial:
        # RFC 1982: the same serial, or a newer one.
        if <uint32_t>(serial - z.head.serial) < 0x80000000u:
            t.after_opening = SENT
        elif choose_changes(t, z, serial):
            t.after_opening = OLD_SOA


cdef bint write_part(Message* m, const ZoneView* z) noexcept nogil:
    """Write what comes next. Returns whether the part is complete; the next one begins then."""
    cdef Transfer* t = m.t
    if t.part == OPENING:
        if not write_soa(m, z):
            return False
        t.part = t.after_opening
    elif t.part == NAMES:
        if not write_names(m, z):
            return False
        t.part = CLOSING
    elif t.part == CLOSING:
        if not write_soa(m, z):
            return False
        t.part = SENT
    else:
        if not write_changed(m, z):
            return False
        if t.part == OLD_SOA:
            t.part = REMOVED
        elif t.part == REMOVED:
            t.part = NEW_SOA
        elif t.part == NEW_SOA:
            t.part = ADDED
        elif t.change == t.last_change:
            t.part = CLOSING
        else:
            t.change += 1
            t.part = OLD_SOA
    return True


cdef int32_t next_message(Transfer* t, const StoreHeader* h, uint8_t* out, uint32_t room) noexcept nogil:
    cdef ZoneView z
    cdef Message m
    if t.part == SENT:
        return 0
    if not open_zone(h, t.source, t.name, t.name_len, &z) or z.head.zone_id != t.zone_id \
            or z.head.version != t.version:
        return -1
    begin_message(&m, t, out, room)
    while t.part != SENT and write_part(&m, &z):
        pass
    if m.count == 0:
        # Also what ought to be there and is not.
        return -1
    return end_message(&m)
