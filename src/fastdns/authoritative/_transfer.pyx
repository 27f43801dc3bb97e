"""Zones as messages: see _transfer.pxd."""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy

from fastdns._wire cimport TYPE_SOA
from fastdns.authoritative._messages cimport Message, begin_message, end_message, write_rr
from fastdns.memory._hash cimport hash_bytes
from fastdns.memory._store cimport Record, find, record_payload
from fastdns.rrsets._layout cimport (
    KIND_CHANGE, NUMBER_KEY_BYTES, Body, ChangeHead, RRset, Walk, find_set, next_rdata, next_set, number_key,
    walk_rrs, walk_sets,
)
from fastdns.rrsets._lookup cimport (
    ChangedRR, ChangeView, Place, ZoneView, find_change, find_name, next_changed, next_name, open_zone, seek,
)
from fastdns.rrsets._order cimport compare_keys, name_of_key
from fastdns.serve._context cimport Context
from fastdns.serve._following cimport ALL_SENT
from fastdns.serve._transfers cimport (
    CHANGES, CUT_CHANGED, CUT_GONE, CUT_RECORD, GIVEN, NOT_HERE, NOT_LOADED, TRANSFER_WORDS, UP_TO_DATE, WHOLE_ZONE,
    Given, Outgoing, is_up_to_date,
)

cdef enum:
    REACH = 0x3FFF              # of a compression pointer


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
    cdef Progress* t = <Progress*>m.t.state
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
    cdef Progress* t = <Progress*>m.t.state
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
    cdef Progress* t = <Progress*>m.t.state
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


cdef bint choose_changes(Progress* t, const ZoneView* z, uint32_t serial) noexcept nogil:
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


cdef Given begin(Context* ctx, const void* conf, Outgoing* t, bint has_serial, uint32_t serial) noexcept nogil:
    cdef Progress* progress = <Progress*>t.state
    cdef ZoneView z
    if not open_zone(ctx.store, (<const uint32_t*>conf)[0], t.name, t.name_len, &z):
        return NOT_HERE
    if not z.head.has_soa:
        return NOT_LOADED
    progress.zone_id = z.head.zone_id
    progress.version = z.head.version
    progress.after_opening = NAMES
    t.serial = z.head.serial
    t.kind = WHOLE_ZONE
    if has_serial:
        if is_up_to_date(serial, z.head.serial):
            t.kind = UP_TO_DATE
            progress.after_opening = SENT
        elif choose_changes(progress, &z, serial):
            t.kind = CHANGES
            progress.after_opening = OLD_SOA
    return GIVEN


cdef bint write_part(Message* m, const ZoneView* z) noexcept nogil:
    """Write what comes next. Returns whether the part is complete; the next one begins then."""
    cdef Progress* t = <Progress*>m.t.state
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


cdef int32_t next_message(Outgoing* t, Context* ctx, const void* conf, uint8_t* out, uint32_t room) noexcept nogil:
    cdef Progress* progress = <Progress*>t.state
    cdef ZoneView z
    cdef Message m
    if progress.part == SENT:
        return ALL_SENT
    if not open_zone(ctx.store, (<const uint32_t*>conf)[0], t.name, t.name_len, &z):
        return CUT_GONE
    if z.head.zone_id != progress.zone_id or z.head.version != progress.version:
        return CUT_CHANGED
    begin_message(&m, t, out, room)
    while progress.part != SENT and write_part(&m, &z):
        pass
    return CUT_RECORD if m.count == 0 else end_message(&m)


cdef class ZoneTransfer(NativeTransfer):
    def __init__(self, uint32_t source):
        assert sizeof(Progress) <= TRANSFER_WORDS * 8
        self.source = source
        self.transfer.begin = begin
        self.transfer.next = next_message
        self.transfer.conf = &self.source
