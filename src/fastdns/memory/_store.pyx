"""The zone store: see _store.pxd for the layout and the rules that readers and the writer keep."""

import os

from libc.stdlib cimport free, realloc
from libc.string cimport memcmp, memcpy, memset

from fastdns.memory._clock cimport monotonic_ns, never
from fastdns.memory._hash cimport hash_bytes
from fastdns.memory._mapping cimport map_file, unmap
from fastdns.memory._space cimport PAGE_UNITS, SEGMENT_UNITS, Space
from fastdns.memory._syscalls cimport c_close
from fastdns.errors import StoreFull

DEF_MAGIC = 0x66617374646E7331

cdef enum:
    MIN_INDEX_BITS = 10
    MIN_BYTES = 1048576
    PAGE_BYTES = 4096
    # So many retired units, or an eighth of the used ones where that is more, are looked at for reuse.
    RETIRED_UNITS = 4096
    # Segments whose records are moved at a time, where there is no hurry.
    SEGMENTS_A_CALL = 8
    # Records that are looked at between two looks at the clock.
    LOOKS = 64


cdef inline uint32_t units_of(uint64_t size) noexcept nogil:
    return <uint32_t>((size + UNIT_BYTES - 1) // UNIT_BYTES)


cdef inline uint32_t record_units(uint32_t key_len, uint32_t payload_len) noexcept nogil:
    return units_of(sizeof(Record) + ((key_len + 3) & ~3u) + <uint64_t>payload_len)


cdef inline void* at_unit(const StoreHeader* h, uint64_t unit) noexcept nogil:
    return <uint8_t*>h + unit * UNIT_BYTES


cdef inline uint32_t first_page() noexcept nogil:
    return <uint32_t>((sizeof(StoreHeader) + READER_SLOTS * sizeof(ReaderSlot) + PAGE_BYTES - 1) // PAGE_BYTES)


cdef const Record* find(const StoreHeader* h, uint64_t hash, const uint8_t* key,
                        uint32_t key_len) noexcept nogil:
    cdef uint64_t index = load(&h.index)
    cdef const uint64_t* slots = <const uint64_t*>at_unit(h, index >> 8)
    cdef uint64_t mask = (<uint64_t>1 << (index & 0xFF)) - 1
    cdef uint64_t i = place_of(hash, mask)
    cdef uint64_t slot
    cdef const Record* record
    while True:
        slot = load(&slots[i])
        if slot == SLOT_EMPTY:
            return NULL
        if (slot >> 32) == (hash >> 32) and <uint32_t>slot != SLOT_REMOVED:
            record = <const Record*>at_unit(h, <uint32_t>slot)
            if record.hash == hash and (key == NULL or (
                    record.key_len == key_len and memcmp(record_key(record), key, key_len) == 0)):
                return record
        i = (i + 1) & mask


cdef const Record* next_record(const StoreHeader* h, uint64_t* at) noexcept nogil:
    cdef const uint64_t* slots = <const uint64_t*>at_unit(h, h.index >> 8)
    cdef uint64_t count = <uint64_t>1 << (h.index & 0xFF)
    cdef uint32_t unit
    while at[0] < count:
        unit = <uint32_t>slots[at[0]]
        at[0] += 1
        if unit > SLOT_REMOVED:
            return <const Record*>at_unit(h, unit)
    return NULL


cdef bint is_of_source(const Record* record, void* source) noexcept nogil:
    return source_of(record) == (<uint32_t*>source)[0]


cdef class Store:
    """The shared mapping. Made by the supervisor before it forks; readers and the writer use it by offset.

    max_bytes bounds the memory that it takes (at least 1 MiB), as it is used; the mapping has twice as many
    addresses. Raises OSError where the kernel refuses the mapping.
    """

    def __cinit__(self, size_t max_bytes=268435456):
        self.fd = -1
        if max_bytes < MIN_BYTES or max_bytes > (<size_t>1 << 35):
            raise ValueError(f"the zone store takes 1 MiB to 32 GiB, got {max_bytes} bytes")
        self.size_bytes = (max_bytes + 4095) & ~<size_t>4095
        self.fd = os.memfd_create("fastdns-store", os.MFD_CLOEXEC)
        # Units are counted in 32 bits.
        self.block_bytes = min(2 * self.size_bytes, (<size_t>1 << 36) - PAGE_BYTES)
        self.mapped_bytes = self.block_bytes + MAX_SOURCES * sizeof(SourceState)
        os.ftruncate(self.fd, self.mapped_bytes)
        self.header = <StoreHeader*>map_file(self.fd, self.mapped_bytes)
        if self.header == NULL:
            raise OSError("the zone store cannot be mapped")
        cdef StoreHeader* h = self.header
        cdef uint32_t first = first_page() * PAGE_UNITS
        h.size_bytes = self.size_bytes
        h.seed = int.from_bytes(os.urandom(8), "little")
        h.epoch = 1
        h.states_at = self.block_bytes
        # The first index: all slots empty, as the kernel zeroes new pages.
        h.high_water = first + units_of(<uint64_t>8 << MIN_INDEX_BITS)
        publish_u64(&h.index, <uint64_t>first << 8 | MIN_INDEX_BITS)
        h.magic = DEF_MAGIC

    def __dealloc__(self):
        if self.header != NULL:
            unmap(self.header, self.mapped_bytes)
        if self.fd >= 0:
            # Not os.close: the module may be gone when the interpreter ends.
            c_close(self.fd)

    def get(self, bytes key not None):
        """The payload published under key, or None. For tests and tools; not within an epoch."""
        cdef const Record* r = find(self.header, hash_bytes(self.header.seed, key, len(key)), key, len(key))
        if r == NULL:
            return None
        return record_payload(r)[:r.payload_len]

    def items(self, bytes prefix=b""):
        """A list of (key, payload) whose key begins with prefix, in no order. For the writer and tests."""
        cdef StoreHeader* h = self.header
        cdef const uint64_t* slots = <const uint64_t*>at_unit(h, h.index >> 8)
        cdef uint64_t i
        cdef uint32_t unit
        cdef const Record* r
        cdef const char* want = prefix
        cdef uint32_t want_len = len(prefix)
        found = []
        for i in range(<uint64_t>1 << (h.index & 0xFF)):
            unit = <uint32_t>slots[i]
            if unit > SLOT_REMOVED:
                r = <const Record*>at_unit(h, unit)
                if r.key_len >= want_len and memcmp(record_key(r), want, want_len) == 0:
                    found.append((record_key(r)[:r.key_len], record_payload(r)[:r.payload_len]))
        return found

    def enter_reader(self, uint32_t slot):
        """Read as a thread with this slot from now on, until clear_reader. For tests. Raises IndexError."""
        if slot >= READER_SLOTS:
            raise IndexError(slot)
        expect_reader(self.header, slot)
        enter_epoch(self.header, slot)

    def clear_reader(self, uint32_t slot):
        """Forget the epoch of a reader that is dead. Raises IndexError."""
        if slot >= READER_SLOTS:
            raise IndexError(slot)
        leave_epoch(self.header, slot)

    def source(self, uint32_t source):
        """(synced, soa_serial, changes) of a source. Raises IndexError."""
        if source >= MAX_SOURCES:
            raise IndexError(source)
        if source >= load(&self.header.sources):
            # A look at its state would take memory.
            return False, 0, 0
        cdef SourceState* s = source_state(self.header, source)
        return bool(load(&s.synced) & 1), load(&s.soa_serial), load(&s.changes)

    def restored_at(self, uint32_t source):
        """The Unix second of the snapshot that a source's records came from, 0 for none. Raises IndexError."""
        if source >= MAX_SOURCES:
            raise IndexError(source)
        if source >= load(&self.header.sources):
            return 0
        return load(&source_state(self.header, source).restored_at)

    def sources(self):
        """The numbers of the sources that have records or a state, in order. For the writer and tests."""
        cdef uint64_t at = 0, i
        cdef const Record* r
        cdef const SourceState* s
        cdef uint32_t source, last = MAX_SOURCES
        found = set()
        while True:
            r = next_record(self.header, &at)
            if r == NULL:
                break
            source = source_of(r)
            if source != last and source != MAX_SOURCES:
                found.add(source)
            last = source
        for i in range(load(&self.header.sources)):
            s = source_state(self.header, <uint32_t>i)
            if s.synced or s.soa_serial or s.changes or s.restored_at or s.id_seed:
                found.add(i)
        return sorted(found)

    @property
    def records(self):
        return self.header.records

    @property
    def used_bytes(self):
        return self.header.used_units * UNIT_BYTES

    @property
    def high_water_bytes(self):
        return self.header.high_water * UNIT_BYTES

    @property
    def resident_bytes(self):
        """The memory that it takes by the writer's count: with what is kept for reuse."""
        return self.header.resident_pages * PAGE_BYTES

    @property
    def taken_bytes(self):
        """The memory that the kernel holds for it. In the process that made it: others have closed it."""
        return os.fstat(self.fd).st_blocks * 512


cdef class Writer:
    """The one writer of a store. A new Writer on a store with contents takes over from a dead one.

    publish and remove raise StoreFull when the bound is reached, and leave what was published as it was.
    """

    def __cinit__(self, Store store not None):
        self.store = store
        self.h = store.header
        self.space = Space(first_page(), <uint32_t>(store.block_bytes // PAGE_BYTES),
                           <uint32_t>(store.size_bytes // PAGE_BYTES))
        self.space.base = <uint8_t*>self.h
        self.space.high_water = &self.h.high_water
        # A predecessor may have died while it copied.
        leave_epoch(self.h, SNAPSHOT_READER)
        self.find_space()

    def __dealloc__(self):
        free(self.retired)

    cdef int find_space(self) except -1:
        """Find out from the index what is in use. All else that was ever written to is retired: a predecessor's
        readers may still stand on what it unlinked."""
        cdef StoreHeader* h = self.h
        cdef uint64_t* slots = <uint64_t*>at_unit(h, h.index >> 8)
        cdef uint64_t slot_count = <uint64_t>1 << (h.index & 0xFF)
        cdef uint64_t i
        cdef uint32_t units, page, count
        cdef const Record* r
        self.space.adopt_record(<uint32_t>(h.index >> 8), units_of(slot_count * 8))
        h.used_units = units_of(slot_count * 8)
        h.records = 0
        for i in range(slot_count):
            if slots[i] == SLOT_EMPTY:
                continue
            self.used_slots += 1
            if <uint32_t>slots[i] == SLOT_REMOVED:
                continue
            r = <const Record*>at_unit(h, <uint32_t>slots[i])
            units = record_units(r.key_len, r.payload_len)
            self.space.adopt_record(<uint32_t>slots[i], units)
            h.used_units += units
            h.records += 1
        page = first_page()
        while True:
            count = self.space.next_hole(&page)
            if count == 0:
                break
            self.space.adopt_pages(page, count)
            self.retire(page * PAGE_UNITS, count * PAGE_UNITS, True)
            page += count
        h.resident_pages = self.space.resident_pages
        return 0

    cdef int retire(self, uint32_t at, uint32_t units, bint whole_pages) except -1:
        """Have a block reused once no reader can see it any more."""
        cdef size_t room
        cdef uint64_t* grown
        if self.retired_first + self.retired_count == self.retired_room:
            if self.retired_first > self.retired_room // 2:
                memcpy(self.retired, self.retired + 3 * self.retired_first, 24 * self.retired_count)
                self.retired_first = 0
            else:
                room = max(<size_t>1024, self.retired_room * 2)
                grown = <uint64_t*>realloc(self.retired, room * 24)
                if grown == NULL:
                    raise MemoryError
                self.retired = grown
                self.retired_room = room
        cdef uint64_t* entry = self.retired + 3 * (self.retired_first + self.retired_count)
        entry[0] = at
        entry[1] = units
        entry[2] = self.h.epoch << 1 | whole_pages
        self.retired_count += 1
        self.retired_units += units
        if not whole_pages:
            self.space.retire(at, units)
        return 0

    cdef uint64_t next_epoch(self) noexcept:
        cdef StoreHeader* h = self.h
        cdef uint64_t oldest, seen, readers, i
        publish_u64(&h.epoch, h.epoch + 1)
        fence()
        oldest = h.epoch
        seen = load(&reader_slot(h, SNAPSHOT_READER).epoch)
        if seen != 0 and seen < oldest:
            oldest = seen
        readers = load(&h.readers)
        for i in range(readers):
            seen = load(&reader_slot(h, <uint32_t>i).epoch)
            if seen != 0 and seen < oldest:
                oldest = seen
        return oldest

    cdef void free_unseen(self) noexcept:
        """Start a new epoch, and free what no reader can see any more."""
        cdef uint64_t oldest
        cdef uint64_t* entry
        if self.retired_count == 0:
            return
        oldest = self.next_epoch()
        while self.retired_count:
            entry = self.retired + 3 * self.retired_first
            if entry[2] >> 1 >= oldest:
                break
            if entry[2] & 1:
                self.space.free_pages(<uint32_t>entry[0] // PAGE_UNITS, <uint32_t>entry[1] // PAGE_UNITS)
            else:
                self.space.release(<uint32_t>entry[0], <uint32_t>entry[1])
            self.retired_first += 1
            self.retired_count -= 1
            self.retired_units -= entry[1]
        if self.retired_count == 0:
            self.retired_first = 0

    def reclaim(self, *, bint at_once=True):
        """Free what no reader can see any more, and keep what is taken near what is used. Returns the blocks that
        are still waited for. Records may move: pointers to them end here, as with every change.

        at_once: however long that takes; else about a millisecond, and the next calls go on.
        """
        self.collect(at_once)
        return self.retired_count

    cdef int collect(self, bint at_once) except -1:
        """Free what no reader sees; where small records are far apart, bring them together."""
        cdef uint32_t moves = 0xFFFFFFFFu if at_once else SEGMENTS_A_CALL
        cdef StoreHeader* h = self.h
        cdef uint32_t bits = h.index & 0xFF
        if self.collecting:
            return 0
        self.collecting = True
        try:
            self.free_unseen()
            while bits > MIN_INDEX_BITS and h.records * 16 < <uint64_t>3 << bits:
                bits -= 1
            if bits != h.index & 0xFF:
                try:
                    self.resize_index(bits)
                except StoreFull:
                    # It stays as it is; the next look tries again.
                    pass
            while moves and self.space.is_wasteful() and self.empty_segment(self.space.emptiest()):
                moves -= 1
            self.free_unseen()
            self.space.trim()
            h.resident_pages = self.space.resident_pages
            self.collect_at = self.retired_units + (
                max(<uint64_t>RETIRED_UNITS, h.used_units // 8) if moves else <uint64_t>RETIRED_UNITS)
        finally:
            self.collecting = False
        return 0

    cdef bint empty_segment(self, uint32_t number) except -1:
        """Move the live records of a segment elsewhere. Returns whether all have moved."""
        cdef StoreHeader* h = self.h
        cdef uint32_t at = number * SEGMENT_UNITS
        cdef uint32_t behind, units, to
        cdef const Record* r
        cdef uint64_t* slot
        if not number:
            return False
        behind = at + self.space.segments[number].fill
        while at < behind and self.space.segments[number].live:
            # What no slot leads to is whole as well: it was, when the next one was begun.
            r = <const Record*>at_unit(h, at)
            units = record_units(r.key_len, r.payload_len)
            slot = self.slot_of(r.hash, at)
            if slot != NULL:
                to = self.space.take(units, True)
                if not to:
                    return False
                memcpy(at_unit(h, to), r, <size_t>units * UNIT_BYTES)
                publish_u64(slot, (r.hash >> 32) << 32 | to)
                self.retire(at, units, False)
            at += units
        return self.space.segments[number].live == 0

    cdef uint64_t* slot_of(self, uint64_t hash, uint32_t at) noexcept:
        """The index slot that leads to the record at a unit, or NULL."""
        cdef uint64_t* slots = <uint64_t*>at_unit(self.h, self.h.index >> 8)
        cdef uint64_t mask = (<uint64_t>1 << (self.h.index & 0xFF)) - 1
        cdef uint64_t i = place_of(hash, mask)
        while slots[i] != SLOT_EMPTY:
            if <uint32_t>slots[i] == at:
                return &slots[i]
            i = (i + 1) & mask
        return NULL

    cdef uint32_t allocate(self, uint32_t units) except 0:
        """Where a block of so many units goes. Raises StoreFull."""
        cdef uint32_t at = self.space.take(units, self.collecting)
        # A look for space costs something: only where its outcome can be another than last time.
        if at == 0 and (units < self.hopeless_units or self.hopeless_units == 0 or self.retired_units):
            self.collect(True)
            at = self.space.take(units, self.collecting)
            self.hopeless_units = units if at == 0 else 0
        if at == 0:
            raise StoreFull(
                f"the zone store is full: {self.h.records} records use {self.h.used_units * UNIT_BYTES} of "
                f"{self.h.size_bytes} bytes and {units * UNIT_BYTES} more are needed; "
                f"what it holds is served on. Raise FASTDNS_STORE_MIB")
        self.h.used_units += units
        self.h.resident_pages = self.space.resident_pages
        return at

    cdef int resize_index(self, uint32_t bits) except -1:
        """Publish a new index of 2**bits slots, without the slots of removed records."""
        cdef StoreHeader* h = self.h
        cdef uint32_t units = units_of(<uint64_t>8 << bits)
        cdef uint32_t at = self.allocate(units)
        cdef uint64_t* slots = <uint64_t*>at_unit(h, at)
        cdef uint64_t* old = <uint64_t*>at_unit(h, h.index >> 8)
        cdef uint64_t old_at = h.index >> 8
        cdef uint64_t old_count = <uint64_t>1 << (h.index & 0xFF)
        cdef uint64_t mask = (<uint64_t>1 << bits) - 1
        cdef uint64_t i, j
        memset(slots, 0, <size_t>8 << bits)
        self.used_slots = 0
        for i in range(old_count):
            if <uint32_t>old[i] > SLOT_REMOVED:
                j = place_of(old[i], mask)
                while slots[j] != SLOT_EMPTY:
                    j = (j + 1) & mask
                slots[j] = old[i]
                self.used_slots += 1
        # Before it is there: an index that later has the same place is known to be another.
        publish_u64(&h.index_number, h.index_number + 1)
        publish_u64(&h.index, <uint64_t>at << 8 | bits)
        h.used_units -= units_of(old_count * 8)
        self.retire(<uint32_t>old_at, units_of(old_count * 8), False)
        return 0

    cdef int put(self, const uint8_t* key, uint32_t key_len, const uint8_t* payload,
                 uint32_t payload_len) except -1:
        cdef StoreHeader* h = self.h
        cdef uint64_t hash = hash_bytes(h.seed, key, key_len)
        cdef uint32_t units = record_units(key_len, payload_len)
        cdef uint32_t bits = h.index & 0xFF
        cdef uint32_t at
        cdef Record* record
        cdef uint64_t* slots
        cdef uint64_t mask, i, slot, place
        cdef const Record* old
        # Before the record: while space is looked for, a block that nothing reaches would count as free.
        if (self.used_slots + 1) * 4 > (<uint64_t>3 << bits):
            # Mostly removed slots: the same size again. Otherwise twice as large.
            self.resize_index(bits + 1 if (h.records + 1) * 2 > (<uint64_t>1 << bits) else bits)
            bits = h.index & 0xFF
        at = self.allocate(units)
        # It may have replaced the index.
        bits = h.index & 0xFF
        record = <Record*>at_unit(h, at)
        record.hash = hash
        record.payload_len = payload_len
        record.key_len = key_len
        record.pad = 0
        memcpy(<uint8_t*>record + sizeof(Record), key, key_len)
        memcpy(<uint8_t*>record_payload(record), payload, payload_len)
        slots = <uint64_t*>at_unit(h, h.index >> 8)
        mask = (<uint64_t>1 << bits) - 1
        i = place_of(hash, mask)
        place = mask + 1
        while True:
            slot = slots[i]
            if slot == SLOT_EMPTY:
                break
            if <uint32_t>slot == SLOT_REMOVED:
                if place > mask:
                    place = i
            elif (slot >> 32) == (hash >> 32):
                old = <const Record*>at_unit(h, <uint32_t>slot)
                if old.hash == hash and old.key_len == key_len and memcmp(record_key(old), key, key_len) == 0:
                    publish_u64(&slots[i], (hash >> 32) << 32 | at)
                    units = record_units(old.key_len, old.payload_len)
                    h.used_units -= units
                    self.retire(<uint32_t>slot, units, False)
                    if self.retired_units >= self.collect_at:
                        self.collect(False)
                    return 0
            i = (i + 1) & mask
        if place > mask:
            place = i
            self.used_slots += 1
        publish_u64(&slots[place], (hash >> 32) << 32 | at)
        h.records += 1
        return 0

    cdef int put_smaller(self, const uint8_t* key, uint32_t key_len, const uint8_t* payload,
                         uint32_t payload_len) except -1:
        try:
            return self.put(key, key_len, payload, payload_len)
        except StoreFull:
            pass
        # As a record that moves: it leaves more than it takes.
        self.collecting = True
        try:
            return self.put(key, key_len, payload, payload_len)
        finally:
            self.collecting = False

    cdef bint drop(self, const uint8_t* key, uint32_t key_len) except -1:
        cdef StoreHeader* h = self.h
        cdef uint64_t hash = hash_bytes(h.seed, key, key_len)
        cdef uint64_t* slots = <uint64_t*>at_unit(h, h.index >> 8)
        cdef uint64_t mask = (<uint64_t>1 << (h.index & 0xFF)) - 1
        cdef uint64_t i = place_of(hash, mask)
        cdef uint64_t slot
        cdef const Record* old
        cdef uint32_t units
        while True:
            slot = slots[i]
            if slot == SLOT_EMPTY:
                return False
            if (slot >> 32) == (hash >> 32) and <uint32_t>slot != SLOT_REMOVED:
                old = <const Record*>at_unit(h, <uint32_t>slot)
                if old.hash == hash and old.key_len == key_len and memcmp(record_key(old), key, key_len) == 0:
                    publish_u64(&slots[i], SLOT_REMOVED)
                    units = record_units(old.key_len, old.payload_len)
                    h.used_units -= units
                    h.records -= 1
                    self.retire(<uint32_t>slot, units, False)
                    if self.retired_units >= self.collect_at:
                        self.collect(False)
                    return True
            i = (i + 1) & mask

    cdef int drop_where(self, drop_fn is_gone, void* data) except -1:
        """Drop each record of which is_gone says so."""
        cdef Sweep sweep
        memset(&sweep, 0, sizeof(Sweep))
        self.drop_some(is_gone, data, &sweep, never())
        return 0

    cdef bint drop_some(self, drop_fn is_gone, void* data, Sweep* sweep, uint64_t until) except -1:
        cdef StoreHeader* h = self.h
        cdef const Record* r
        cdef uint32_t looks = 0
        if self.collecting:
            raise RuntimeError("the store is being tidied")
        # A record that moves keeps its slot. In another index all of them have others.
        if sweep.index_number != h.index_number + 1:
            sweep.index_number = h.index_number + 1
            sweep.at = 0
        # So that the index stays while it is walked.
        self.collecting = True
        try:
            while True:
                r = next_record(h, &sweep.at)
                if r == NULL:
                    return True
                if is_gone(r, data):
                    self.drop(record_key(r), r.key_len)
                    if self.retired_units >= self.collect_at:
                        self.free_unseen()
                        self.collect_at = self.retired_units + max(<uint64_t>RETIRED_UNITS, h.used_units // 8)
                looks += 1
                if looks % LOOKS == 0 and monotonic_ns() >= until:
                    return False
        finally:
            self.collecting = False

    def remove_source(self, uint32_t source):
        """Remove every record of a source, by its number. Its state stays. Raises IndexError."""
        if source >= MAX_SOURCES:
            raise IndexError(source)
        self.drop_where(is_of_source, &source)

    def publish(self, bytes key not None, bytes payload not None):
        """Make payload what readers find under key. Raises StoreFull; ValueError for a key over 65,535 bytes."""
        if len(key) > 65535 or len(payload) > 0x7FFFFFFF:
            raise ValueError("the store takes keys up to 65,535 bytes and payloads up to 2 GiB")
        self.put(key, len(key), payload, len(payload))

    def remove(self, bytes key not None):
        """Make key absent. Returns whether it was there."""
        return bool(self.drop(key, len(key)))

    def get(self, bytes key not None):
        """The payload published under key, or None."""
        return self.store.get(key)

    def set_source(self, uint32_t source, *, synced=None, soa_serial=None, restored_at=None):
        """Publish what is true of a source as a whole. Raises IndexError."""
        if source >= MAX_SOURCES:
            raise IndexError(source)
        cdef SourceState* s = own_source_state(self.h, source)
        if soa_serial is not None:
            publish_u64(&s.soa_serial, soa_serial)
            publish_u64(&s.changes, s.changes + 1)
        if synced is not None:
            publish_u64(&s.synced, 1 if synced else 0)
        if restored_at is not None:
            publish_u64(&s.restored_at, restored_at)

    @property
    def retired_blocks(self):
        return self.retired_count
