"""One change of a zone: see _edit.pxd."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memcmp, memcpy, memset

from fastdns._wire cimport TYPE_DNAME, TYPE_NS, TYPE_SOA
from fastdns.memory._atomics cimport store_relaxed_u32
from fastdns.memory._clock cimport monotonic_ns
from fastdns.memory._hash cimport hash_bytes
from fastdns.memory._store cimport Record, StoreHeader, find, record_key, record_payload
from fastdns.rrsets._chunks cimport OrderCopy
from fastdns.rrsets._draft cimport (
    Buffer, Draft, extend, key_bytes, key_size, name_size, relative_name, take,
)
from fastdns.rrsets._layout cimport (
    ABORTED, KIND_CHANGE, KIND_NAME, KIND_ZONE, NAME_KEY_BYTES, NUMBER_KEY_BYTES, SETTLED, ZONE_KEY_BYTES, Body,
    ChangeHead, ChangeRR, RRset, Walk, ZoneHead, begin_key, begin_name_key, find_set, next_rdata, next_set,
    number_key, u32_at, visible, walk_rrs, walk_sets,
)
from fastdns.rrsets._order cimport compare_keys, name_of_key
from fastdns.rrsets._pending cimport LOOK_EVERY, Hashes, drop_zones, numbered_hash, of_hash, push
from fastdns.errors import SourceError


cdef dict rrs_of(const Body* body):
    """type -> (TTL, list of rdata)"""
    cdef RRset s
    cdef Walk sets
    cdef Walk walk
    cdef const uint8_t* rdata
    cdef uint16_t size
    found = {}
    walk_sets(body, &sets)
    while next_set(&sets, &s):
        rrs = []
        walk_rrs(&s, &walk)
        while True:
            rdata = next_rdata(&walk, &size)
            if rdata == NULL:
                break
            rrs.append(rdata[:size])
        found[s.rrtype] = (s.ttl_s, rrs)
    return found


cdef class Edit:
    def __dealloc__(self):
        free(self.payload.at)
        free(self.body.at)
        free(self.removed.at)
        free(self.added.at)

    cdef int count_name(self, const uint8_t* name, uint32_t size, const Body* body, int by) except -1:
        """Add what a name has to the zone's counts, or take it off."""
        cdef RRset s
        cdef Walk walk
        cdef uint32_t at = 0
        if body.size == 0:
            return 0
        self.head.names += by
        walk_sets(body, &walk)
        while next_set(&walk, &s):
            self.head.rrs += <int64_t>by * s.count
            if s.rrtype == TYPE_NS and size:
                self.head.cuts += by
            elif s.rrtype == TYPE_DNAME:
                self.head.dnames += by
        while at < size:
            if name[at] == 1 and name[at + 1] == 42:
                self.head.wildcards += by
                break
            at += name[at] + 1
        return 0

    cdef int read_soa(self, const Body* body) except -1:
        """Take the serial from the apex."""
        cdef RRset s
        cdef Walk walk
        cdef const uint8_t* rdata
        cdef uint16_t size
        self.head.has_soa = 0
        if not find_set(body, TYPE_SOA, &s):
            return 0
        walk_rrs(&s, &walk)
        rdata = next_rdata(&walk, &size)
        if rdata == NULL or size < 22:
            return 0
        rdata += size - 20
        self.head.has_soa = 1
        self.head.serial = <uint32_t>rdata[0] << 24 | <uint32_t>rdata[1] << 16 | <uint32_t>rdata[2] << 8 | rdata[3]
        return 0

    cdef int stage(self, const uint8_t* name, uint32_t size, const uint8_t* key, uint32_t key_len,
                   const Body* body) except -1:
        """Publish what a name will have, beside what it has. Its bytes are the caller's, not the store's."""
        cdef uint8_t record_name[NAME_KEY_BYTES + 256]
        cdef const StoreHeader* h = self.writer.h
        cdef const Record* record = NULL
        cdef Body old
        cdef uint64_t hash
        cdef uint32_t since, old_at
        cdef uint8_t* out
        old.size = 0
        old.at = NULL
        begin_name_key(record_name, self.source, KIND_NAME, self.head.zone_id)
        memcpy(record_name + NAME_KEY_BYTES, name, size)
        if not self.is_new:
            hash = hash_bytes(h.seed, record_name, NAME_KEY_BYTES + size)
            record = find(h, hash, record_name, NAME_KEY_BYTES + size)
            if record != NULL:
                # As the last version has it: all that is not given up.
                visible(record_payload(record), record.payload_len, u32_at(record_payload(record)),
                        self.version - 1, &old)
        if old.size == body.size and (not old.size or memcmp(old.at, body.at, old.size) == 0):
            return 0
        self.changed += 1
        self.count_name(name, size, &old, -1)
        self.count_name(name, size, body, 1)
        if size == 0:
            self.read_soa(body)
        if self.records_history:
            self.note_difference(name, size, &old, body)
        if (old.size != 0) != (body.size != 0):
            self.order.note(key, key_len, body.size == 0)
        self.payload.size = 0
        if self.is_new:
            since = SETTLED
            out = extend(&self.payload, 4 + <size_t>body.size)
            memcpy(out, &since, 4)
            memcpy(out + 4, body.at, body.size)
        else:
            since = self.version
            old_at = 8 + body.size if old.size else 0
            out = extend(&self.payload, 8 + <size_t>body.size + old.size)
            memcpy(out, &since, 4)
            memcpy(out + 4, &old_at, 4)
            if body.size:
                memcpy(out + 8, body.at, body.size)
            if old.size:
                memcpy(out + old_at, old.at, old.size)
            push(&self.pending.names, hash)
            push(&self.pending.names, since)
        self.writer.put(record_name, NAME_KEY_BYTES + size, self.payload.at, <uint32_t>self.payload.size)
        return 0

    # ------------------------------------------------------------------------------------------ history

    cdef int note_difference(self, const uint8_t* name, uint32_t size, const Body* old, const Body* new) except -1:
        """Note which RRs a name loses and gains, for the history."""
        before = rrs_of(old)
        after = rrs_of(new)
        for rrtype, (ttl_s, rrs) in before.items():
            kept = after.get(rrtype)
            kept = set(kept[1]) if kept is not None and kept[0] == ttl_s else ()
            for rdata in rrs:
                if rdata not in kept:
                    self.note_rr(&self.removed, name, size, rrtype, ttl_s, rdata)
                    self.removed_count += 1
        for rrtype, (ttl_s, rrs) in after.items():
            kept = before.get(rrtype)
            kept = set(kept[1]) if kept is not None and kept[0] == ttl_s else ()
            for rdata in rrs:
                if rdata not in kept:
                    self.note_rr(&self.added, name, size, rrtype, ttl_s, rdata)
                    self.added_count += 1
        if self.removed.size + self.added.size > self.max_change_bytes:
            # It will not be kept.
            self.records_history = False
        return 0

    cdef int note_rr(self, Buffer* into, const uint8_t* name, uint32_t size, uint16_t rrtype, uint32_t ttl_s,
                     bytes rdata) except -1:
        cdef uint8_t* out = extend(into, sizeof(ChangeRR) + size + len(rdata))
        cdef ChangeRR* head = <ChangeRR*>out
        head.name_len = <uint16_t>size
        head.rrtype = rrtype
        head.ttl_s = ttl_s
        head.rdata_len = <uint16_t>len(rdata)
        memcpy(out + sizeof(ChangeRR), name, size)
        memcpy(out + sizeof(ChangeRR) + size, <const uint8_t*>rdata, len(rdata))
        return 0

    cdef int forget_changes(self, uint32_t count) except -1:
        """Take the oldest change sets off the history."""
        cdef const StoreHeader* h = self.writer.h
        cdef const Record* record
        cdef uint64_t hash
        cdef uint32_t _i
        for _i in range(count):
            hash = numbered_hash(h, self.source, KIND_CHANGE, self.head.zone_id, self.head.first_change)
            record = of_hash(h, self.source, hash)
            if record != NULL:
                self.head.change_bytes -= record.payload_len
                push(&self.order.gone, hash)
            self.head.first_change += 1
            self.head.change_count -= 1
        return 0

    cdef int put_history(self, uint32_t from_serial, uint32_t max_changes, uint64_t max_bytes) except -1:
        """Add this change to the history; one that cannot be told from a serial ends it."""
        cdef uint8_t key[NUMBER_KEY_BYTES]
        cdef ChangeHead* head
        cdef uint8_t* out
        cdef size_t size = sizeof(ChangeHead) + self.removed.size + self.added.size
        if not self.records_history or not self.head.has_soa or self.head.serial == from_serial \
                or size > max_bytes or max_changes == 0:
            return self.forget_changes(self.head.change_count)
        while self.head.change_count and (self.head.change_count >= max_changes
                                          or self.head.change_bytes + size > max_bytes):
            self.forget_changes(1)
        self.payload.size = 0
        out = extend(&self.payload, size)
        head = <ChangeHead*>out
        head.from_serial = from_serial
        head.to_serial = self.head.serial
        head.removed = self.removed_count
        head.added = self.added_count
        out += sizeof(ChangeHead)
        if self.removed.size:
            memcpy(out, self.removed.at, self.removed.size)
        if self.added.size:
            memcpy(out + self.removed.size, self.added.at, self.added.size)
        number_key(key, self.source, KIND_CHANGE, self.head.zone_id,
                   self.head.first_change + self.head.change_count)
        push(&self.order.made, hash_bytes(self.writer.h.seed, key, NUMBER_KEY_BYTES))
        self.writer.put(key, NUMBER_KEY_BYTES, self.payload.at, <uint32_t>size)
        self.head.change_count += 1
        self.head.change_bytes += size
        return 0

    # ---------------------------------------------------------------------------------------- the whole

    cdef bint step(self, uint64_t until) except -1:
        if self.old is None:
            self.draft.sort()
            self.old = OrderCopy(self.writer, self.source, self.head.zone_id)
            if self.whole and not self.is_new:
                self.old.open(self.head.directory)
                self.more = self.old.next()
        if not self.stage_names(until):
            return False
        if self.head.names > self.max_names:
            raise SourceError(f"the zone has {self.head.names} names; at most {self.max_names} are served")
        if self.changed or self.is_new:
            if not self.order.publish(self.head.directory, until):
                return False
            self.put_head()
        return True

    cdef bint stage_names(self, uint64_t until) except -1:
        """Stage each name of the draft, and where it is the whole zone, that the others go. Returns whether all are
        staged."""
        cdef Draft draft = self.draft
        cdef OrderCopy old = self.old
        cdef Body body
        cdef uint8_t name[256]
        cdef uint8_t* key
        cdef uint32_t ends, looks = 0
        cdef int order, size
        while self.next_rr < draft.count or self.more:
            looks += 1
            if looks % LOOK_EVERY == 0 and monotonic_ns() >= until:
                return False
            order = 1
            if self.more:
                order = -1
                if self.next_rr < draft.count:
                    order = compare_keys(old.chunk.key.bytes, old.chunk.key.size,
                                         key_bytes(&draft.rrs[self.next_rr]), key_size(&draft.rrs[self.next_rr]))
            if order < 0:
                size = name_of_key(&old.chunk.key, name)
                if size >= 0:
                    key = <uint8_t*>take(&self.order.arena, old.chunk.key.size + 1)
                    memcpy(key, old.chunk.key.bytes, old.chunk.key.size)
                    body.at = NULL
                    body.size = 0
                    self.stage(name, <uint32_t>size, key, old.chunk.key.size, &body)
            else:
                ends = draft.pack(self.next_rr, &self.body)
                body.at = self.body.at
                body.size = <uint32_t>self.body.size
                self.stage(relative_name(&draft.rrs[self.next_rr]), name_size(&draft.rrs[self.next_rr]),
                           key_bytes(&draft.rrs[self.next_rr]), key_size(&draft.rrs[self.next_rr]), &body)
                self.next_rr = ends
            if order <= 0:
                self.more = old.next()
        return True

    cdef int put_head(self) except -1:
        """Publish the zone's head: from here on queries see the new version, all of it."""
        cdef uint8_t key[ZONE_KEY_BYTES + 256]
        self.head.directory = self.order.directory
        if not self.head.has_soa:
            self.head.serial = self.version if self.serial is None else self.serial
        self.put_history(self.from_serial, self.max_changes, self.max_change_bytes)
        self.head.next_number = self.order.next_number
        self.head.version = self.version
        begin_key(key, self.source, KIND_ZONE)
        memcpy(key + ZONE_KEY_BYTES, <const uint8_t*>self.draft.stored_as, len(self.draft.stored_as))
        self.writer.put(key, <uint32_t>(ZONE_KEY_BYTES + len(self.draft.stored_as)), <const uint8_t*>&self.head,
                        sizeof(ZoneHead))
        self.pending.gone = self.order.gone
        memset(&self.order.gone, 0, sizeof(Hashes))
        return 0

    cdef bint undo(self, uint64_t until) except -1:
        cdef const StoreHeader* h = self.writer.h
        cdef const Record* record
        cdef uint8_t* payload
        self.old = None
        self.order.chunks = None
        if self.is_new:
            return drop_zones(self.writer, self.source, &self.head.zone_id, 1, &self.sweep, until)
        while self.undone < self.pending.names.count:
            self.pending.names.at[self.undone + 1] = ABORTED
            record = of_hash(h, self.source, self.pending.names.at[self.undone])
            if record != NULL and record.payload_len >= 8 and u32_at(record_payload(record)) == self.version:
                payload = <uint8_t*>record_payload(record)
                if u32_at(payload + 4):
                    store_relaxed_u32(<uint32_t*>payload, ABORTED)
                else:
                    self.writer.drop(record_key(record), record.key_len)
            self.undone += 2
            if self.undone % (2 * LOOK_EVERY) == 0 and monotonic_ns() >= until:
                return False
        while self.order.made.count:
            self.order.made.count -= 1
            record = of_hash(h, self.source, self.order.made.at[self.order.made.count])
            if record != NULL:
                self.writer.drop(record_key(record), record.key_len)
            if self.order.made.count % LOOK_EVERY == 0 and monotonic_ns() >= until:
                return False
        return True
