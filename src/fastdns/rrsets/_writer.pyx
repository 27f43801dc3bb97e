"""The writer of the zones of one source. Belongs to the watcher; one to a source's number.

A zone is replaced as a whole, or changed by a change set. Either is written beside what is served, and becomes
visible with one release store of the zone's ZoneHead (see _layout.pxd):

1. Each name that differs is published with both contents: readers of the version that is served see the old one.
2. The chunks of the order that change are published under new numbers, then the new directory, and the change set
   of the history.
3. The ZoneHead is published: from here on queries see the new version, all of it.
4. Once every reader has left the epoch in which it could see the old version, the old contents are removed
   (settle).

What can go wrong:

- The writer is killed before 3: the successor marks the names of 1 as ABORTED, and removes what 2 left. The old
  version is served throughout.
- It is killed after 3: the successor does 4.
- The store is full in 1, 2 or 3: the change is given up, which takes no memory, and StoreFull is raised. The old
  version is served.
- The store is full in 4: what is old stays for now; the next settle tries again.
- A reader stays in its epoch: 4 waits, as all reclaiming of the store does. Other changes go on. Of a name that
  changes twice meanwhile, that reader sees what was between.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from fastdns.memory._atomics cimport publish_u64, store_relaxed_u32
from fastdns.memory._clock cimport in_ns, never
from fastdns.memory._hash cimport hash_bytes
from fastdns.memory._store cimport (
    MAX_SOURCES, Record, StoreHeader, Writer, find, next_record, own_source_state, record_key, record_payload,
)
from fastdns.rrsets._chunks cimport OrderChange
from fastdns.rrsets._draft cimport NOT_IN_ZONE, Draft
from fastdns.rrsets._edit cimport Edit, rrs_of
from fastdns.rrsets._layout cimport (
    ABORTED, FIRST_VERSION, KIND_CHANGE, KIND_DIRECTORY, KIND_MEMO, KIND_NAME, KIND_ZONE, NAME_KEY_BYTES,
    NUMBER_KEY_BYTES, OLD_GONE, SETTLED, ZONE_KEY_BYTES, Body, ZoneHead, begin_key, begin_name_key, kind_in,
    not_after, u32_at, visible,
)
from fastdns.rrsets._order cimport Directory, chunk_number, open_directory
from fastdns.rrsets._pending cimport Pending, numbered_hash, of_hash, push
from fastdns.errors import SourceError

# Defaults of a ZoneWriter's bounds.
MAX_NAMES = 10_000_000
MAX_CHANGES = 100
MAX_CHANGE_BYTES = 1 << 20

# How long a writer that takes over settles at once; its owner's calls of settle do the rest.
FIRST_SETTLE_NS = 10_000_000

cdef enum:
    # One change set may take all of it, and is one record of the store.
    MOST_CHANGE_BYTES = 1073741824


cdef class Zone:
    """What the store says of a zone that is served."""


cdef class ZoneWriter:
    """Publishes the zones of one source, and takes over what a predecessor has published.

    max_names: of a zone; a zone with more is refused (SourceError). max_changes, max_change_bytes: of the history
    of a zone; the oldest change sets go first, and one that is larger than all of it leaves no history.

    Every method that changes something raises StoreFull where the store is full, and SourceError where a bound is
    exceeded; the version that is served stays as it is.
    """

    def __init__(self, Writer writer not None, uint32_t source, *, uint32_t max_names=MAX_NAMES,
                 uint32_t max_changes=MAX_CHANGES, uint64_t max_change_bytes=MAX_CHANGE_BYTES):
        if source >= MAX_SOURCES:
            raise ValueError(f"a source has a number below {MAX_SOURCES}, got {source}")
        if max_change_bytes > MOST_CHANGE_BYTES:
            raise ValueError(f"a history takes at most {MOST_CHANGE_BYTES} bytes, got {max_change_bytes}")
        self.writer = writer
        self.source = source
        self.max_names = max_names
        self.max_changes = max_changes
        self.max_change_bytes = max_change_bytes
        self.known = {}
        self.changing = set()
        self.waiting = []
        self.next_zone_id = 1
        self.take_over()
        self.settle(FIRST_SETTLE_NS)

    cdef int take_over(self) except -1:
        """Find what a predecessor has published, and what it has left of a change that it did not complete."""
        cdef const StoreHeader* h = self.writer.h
        cdef const Record* record
        cdef const uint8_t* key
        cdef uint64_t at = 0
        cdef uint32_t zone_id, number, since
        cdef Directory directory
        cdef uint8_t kind
        cdef uint8_t* payload
        cdef Zone zone
        cdef uint32_t i
        cdef Pending pending = Pending()
        by_id = {}
        reached = set()
        unfinished = []
        while True:
            record = next_record(h, &at)
            if record == NULL:
                break
            if kind_in(record, self.source) == KIND_ZONE and record.payload_len >= sizeof(ZoneHead):
                zone = Zone()
                memcpy(&zone.head, record_payload(record), sizeof(ZoneHead))
                self.known[record_key(record)[ZONE_KEY_BYTES:record.key_len]] = zone
                by_id[zone.head.zone_id] = zone
                self.next_zone_id = max(self.next_zone_id, zone.head.zone_id + 1)
        for zone in by_id.values():
            record = of_hash(h, self.source, numbered_hash(h, self.source, KIND_DIRECTORY, zone.head.zone_id,
                                                           zone.head.directory))
            reached.add((zone.head.zone_id, zone.head.directory))
            if record != NULL and open_directory(record_payload(record), record.payload_len, &directory):
                for i in range(directory.count):
                    reached.add((zone.head.zone_id, chunk_number(&directory, i)))
        at = 0
        while True:
            record = next_record(h, &at)
            if record == NULL:
                break
            kind = kind_in(record, self.source)
            key = record_key(record)
            if kind == KIND_MEMO and key[ZONE_KEY_BYTES:record.key_len] not in self.known:
                unfinished.append(record.hash)
            if kind == 0 or kind == KIND_ZONE or kind == KIND_MEMO or record.key_len < NAME_KEY_BYTES:
                continue
            zone_id = u32_at(key + ZONE_KEY_BYTES)
            zone = by_id.get(zone_id)
            if zone is None:
                self.next_zone_id = max(self.next_zone_id, zone_id + 1)
                pending.zones.add(zone_id)
                continue
            if kind == KIND_NAME:
                payload = <uint8_t*>record_payload(record)
                if record.payload_len < 8:
                    continue
                since = u32_at(payload)
                if since == SETTLED or since == OLD_GONE:
                    continue
                if since != ABORTED and not not_after(since, zone.head.version):
                    since = ABORTED
                    store_relaxed_u32(<uint32_t*>payload, since)
                push(&pending.names, record.hash)
                push(&pending.names, since)
            elif record.key_len == NUMBER_KEY_BYTES:
                number = u32_at(key + NAME_KEY_BYTES)
                if kind == KIND_CHANGE:
                    if <uint32_t>(number - zone.head.first_change) >= 0x80000000:
                        push(&pending.gone, record.hash)
                    elif number - zone.head.first_change >= zone.head.change_count:
                        # The next change set has this number. No reader knows it yet.
                        unfinished.append(record.hash)
                elif (zone_id, number) not in reached:
                    # A number that its readers may still know is not given out again.
                    if number >= zone.head.next_number:
                        zone.head.next_number = number + 1
                    push(&pending.gone, record.hash)
        for hash in unfinished:
            record = of_hash(h, self.source, hash)
            if record != NULL:
                self.writer.drop(record_key(record), record.key_len)
        self.say_labels(self.known)
        pending.epoch = h.epoch
        if pending.names.count or pending.gone.count or pending.zones:
            self.waiting.append(pending)
        return 0

    cdef int say_labels(self, object names) except -1:
        """Say of how many labels the zones are, with these among them: find_zone looks for no others."""
        cdef uint32_t count, at
        cdef bytes name
        for name in names:
            count = 0
            at = 0
            while at < <uint32_t>len(name) and name[at]:
                at += name[at] + 1
                count += 1
            self.labels |= <uint64_t>1 << min(count, <uint32_t>63)
        publish_u64(&own_source_state(self.writer.h, self.source).zone_labels, self.labels)
        return 0

    cdef int count_labels(self) except -1:
        """Take back what is said of zones that are gone; until then find_zone looks for more than there is."""
        if self.labels_are_old:
            self.labels_are_old = False
            self.labels = 0
            self.say_labels({*self.known, *self.changing})
        return 0

    # -------------------------------------------------------------------------------------------- zones

    def zones(self):
        """The zones that are served: name in wire form to serial."""
        cdef Zone zone
        return {name: zone.head.serial for name, zone in self.known.items()}

    def __contains__(self, bytes name not None):
        """Whether a zone is served."""
        return name in self.known

    def counts(self, bytes name not None):
        """(names, RRs, change sets of the history) of a zone. Raises KeyError."""
        cdef Zone zone = self.known[name]
        return zone.head.names, zone.head.rrs, zone.head.change_count

    def replace(self, Draft draft not None, serial=None):
        """Publish a zone in place of what it has; a new one where there is none. Returns how many names changed.

        serial: of a zone without an SOA record; it counts versions where none is given. A large zone takes long:
        see replacement.
        """
        return self.publish(draft, True, serial)

    def replacement(self, Draft draft not None, serial=None):
        """As replace, in slices: a Replacement, of which nothing is done yet."""
        return Replacement(self, draft, serial)

    def apply(self, change, serial=None):
        """Publish a change set. Returns (how many names changed, what was left out: see Draft).

        Raises SourceError where there is no such zone.
        """
        cdef Draft draft = Draft(change.zone)
        cdef Zone zone = self.known.get(change.zone)
        cdef bytes owner, name, rdata
        cdef int size
        if zone is None:
            raise SourceError(f"there is no zone {change.zone!r} to change")
        for owner in change.steps:
            size = draft.relative_size(owner, len(owner))
            if size < 0:
                draft.leave_out(owner, <uint32_t>min(len(owner), 255), 0, NOT_IN_ZONE)
                continue
            name = owner[:size]
            rrs = change.applied(owner, self.rrsets_of(zone, name))
            kept = 0
            for rrtype, ttl_s, rdata in rrs:
                kept += draft.put(owner, len(owner), rrtype, ttl_s, rdata, len(rdata))
            if not kept:
                draft.put_gone(name, len(name))
        return self.publish(draft, False, serial), draft.left_out

    def remove(self, bytes name not None, max_ns=None):
        """Serve a zone no longer. Returns whether there was one. max_ns: of the settle that follows."""
        if name in self.changing:
            raise RuntimeError(f"{name!r} is being replaced")
        if name not in self.known:
            return False
        self.remove_all([name])
        self.settle(max_ns)
        return True

    def remove_all(self, names not None):
        """Serve zones no longer, but for those that are being replaced. What they have had is removed by settle, of
        all in one sweep of the store."""
        cdef Pending pending = Pending()
        cdef Zone zone
        for name in names:
            zone = self.known.get(name)
            if zone is None or name in self.changing:
                continue
            del self.known[name]
            pending.zones.add(zone.head.zone_id)
            self.writer.remove(self.zone_key(name))
            self.writer.remove(self.memo_key(name))
        if pending.zones:
            self.labels_are_old = True
            self.leave(pending)

    def zone_key(self, bytes name not None):
        """The key of a zone's record."""
        cdef uint8_t key[ZONE_KEY_BYTES]
        begin_key(key, self.source, KIND_ZONE)
        return key[:ZONE_KEY_BYTES] + name

    def memo_key(self, bytes name not None):
        """The key of what is remembered of a zone."""
        cdef uint8_t key[ZONE_KEY_BYTES]
        begin_key(key, self.source, KIND_MEMO)
        return key[:ZONE_KEY_BYTES] + name

    def remember(self, bytes name not None, bytes memo not None):
        """Keep something for a successor, beside a zone that is served, and as long as it is. Raises StoreFull."""
        if name not in self.known:
            raise KeyError(name)
        self.writer.publish(self.memo_key(name), memo)

    def remembered(self, bytes name not None):
        """What was kept of a zone that is served; None: nothing."""
        return self.writer.get(self.memo_key(name)) if name in self.known else None

    def rrsets(self, bytes zone not None, bytes name not None):
        """type -> (TTL, list of rdata) of a relative name, as it is served. Raises KeyError."""
        return self.rrsets_of(self.known[zone], name)

    cdef dict rrsets_of(self, Zone zone, bytes name):
        """type -> (TTL, list of rdata) of a name, as the last version has it."""
        cdef uint8_t key[NAME_KEY_BYTES + 256]
        cdef const Record* record
        cdef Body body
        body.size = 0
        begin_name_key(key, self.source, KIND_NAME, zone.head.zone_id)
        if len(name) > 255:
            return {}
        memcpy(key + NAME_KEY_BYTES, <const uint8_t*>name, len(name))
        record = find(self.writer.h, hash_bytes(self.writer.h.seed, key, NAME_KEY_BYTES + len(name)), key,
                      NAME_KEY_BYTES + len(name))
        if record == NULL:
            return {}
        visible(record_payload(record), record.payload_len, u32_at(record_payload(record)), zone.head.version,
                &body)
        return rrs_of(&body)

    cdef Edit begin(self, Draft draft, bint whole, object serial):
        """A change of a zone, of which nothing is done yet."""
        cdef Zone zone = self.known.get(draft.stored_as)
        cdef Edit edit = Edit()
        if draft.stored_as in self.changing:
            raise RuntimeError(f"{draft.stored_as!r} is being replaced")
        edit.writer = self.writer
        edit.source = self.source
        edit.draft = draft
        edit.whole = whole
        edit.serial = serial
        edit.pending = Pending()
        edit.max_names = self.max_names
        edit.max_changes = self.max_changes
        edit.max_change_bytes = self.max_change_bytes
        edit.is_new = zone is None
        if zone is None:
            edit.head.zone_id = self.next_zone_id
            edit.head.next_number = 1
            edit.version = FIRST_VERSION
            self.next_zone_id += 1
        else:
            edit.head = zone.head
            edit.from_serial = zone.head.serial
            edit.version = zone.head.version + 1
            if edit.version == ABORTED or edit.version < FIRST_VERSION:
                edit.version = FIRST_VERSION
            edit.records_history = zone.head.has_soa and self.max_changes
        edit.order = OrderChange(self.writer, self.source, edit.head.zone_id, edit.head.next_number)
        self.changing.add(draft.stored_as)
        # Before it is there.
        self.say_labels([draft.zone])
        return edit

    cdef int complete(self, Edit edit) except -1:
        """What was begun is served."""
        cdef Zone zone = self.known.get(edit.draft.stored_as)
        self.changing.remove(edit.draft.stored_as)
        if edit.changed or zone is None:
            if zone is None:
                zone = Zone()
                self.known[edit.draft.stored_as] = zone
            zone.head = edit.head
            self.leave(edit.pending)
        return 0

    cdef int forget(self, Edit edit) except -1:
        """What was begun is undone."""
        self.changing.remove(edit.draft.stored_as)
        self.labels_are_old = True
        if edit.pending.names.count and not edit.is_new:
            # What was given up is put right by and by.
            self.leave(edit.pending)
        return 0

    cdef int leave(self, Pending pending) except -1:
        """Leave something until no reader is in an epoch of now any more."""
        pending.epoch = self.writer.h.epoch
        self.waiting.append(pending)
        return 0

    cdef uint32_t publish(self, Draft draft, bint whole, object serial) except? 0xFFFFFFFF:
        cdef Replacement replacement
        self.settle()
        replacement = Replacement(self, draft, serial, whole)
        while not replacement.step(never()):
            pass
        self.settle()
        return replacement.changed

    # -------------------------------------------------------------------------------------------- settling

    def settle(self, max_ns=None):
        """Remove what no reader can see any more. Returns how many changes still wait for readers, for space, or
        for the next call.

        max_ns: go on for about so many nanoseconds; None: for as long as it takes.
        """
        cdef uint64_t oldest, until
        cdef Pending pending
        until = never() if max_ns is None else in_ns(max_ns)
        oldest = self.writer.next_epoch() if self.waiting else 0
        # In their order: a later one may be about the same names.
        while self.waiting:
            pending = self.waiting[0]
            if pending.epoch >= oldest or not pending.finish(self.writer, self.source, until):
                break
            del self.waiting[0]
        self.count_labels()
        # The store, too, goes on with what large changes have left.
        self.writer.collect(False)
        return len(self.waiting)

    @property
    def unsettled(self):
        """Changes that wait for readers, or for space."""
        return len(self.waiting)


cdef class Replacement:
    """A zone that is published in place of what it has, in slices; the watcher's event loop goes on between them.

    Nothing of it is seen before the last slice; then all of it is. The draft is not changed meanwhile. Other zones
    of this writer may change between slices, and other sources of the store; to change this zone is a RuntimeError.
    One that is neither completed nor given up is put right by the writer's successor.
    """

    def __init__(self, ZoneWriter writer not None, Draft draft not None, object serial=None, bint whole=True):
        self.writer = writer
        self.edit = writer.begin(draft, whole, serial)

    def step(self, uint64_t max_ns):
        """Go on for about so many nanoseconds. Returns whether the zone is served.

        Where the draft is not prepared, the first slice puts it in order, however long that takes.

        Raises StoreFull and SourceError as ZoneWriter's methods do, once what was begun is undone: that, too, is
        done in slices.
        """
        cdef uint64_t until = in_ns(max_ns)
        if self.edit is None:
            return True
        if self.error is None:
            try:
                if not self.edit.step(until):
                    return False
                self.changed = self.edit.changed
                self.writer.complete(self.edit)
                self.edit = None
                return True
            except BaseException as error:
                self.error = error
        if not self.edit.undo(until):
            return False
        self.end()
        raise self.error

    def give_up(self):
        """Undo what was begun, however long that takes. What is served stays."""
        if self.edit is not None:
            self.edit.undo(never())
            self.end()

    cdef int end(self) except -1:
        edit = self.edit
        self.edit = None
        return self.writer.forget(edit)
