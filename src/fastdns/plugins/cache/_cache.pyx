"""The shared cache: see _cache.pxd for the layout and for what readers and writers may rely on."""

import os

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy, memset

from fastdns.memory._atomics cimport (
    acquire_fence, compare_and_swap, fetch_add, load, load_relaxed, load_relaxed_u32, prefetch, release_fence,
    store_relaxed,
)
from fastdns.memory._hash cimport hash_bytes
from fastdns.memory._mapping cimport map_file, unmap
from fastdns.memory._syscalls cimport c_close

cdef enum:
    LINE_BYTES = 64
    PAGE_BYTES = 4096
    PUBLISH_ATTEMPTS = 8            # others change the same entry in between; each time is improbable
    RESERVE_ATTEMPTS = 4
    DEF_ENTRY_BYTES = 512           # of ring an entry, where the ring's size is not said
    MIN_DEF_RING_BYTES = 1048576

# The bounds of what may be asked for.
MIN_CAPACITY = 1024
MAX_CAPACITY = 100_000_000
MIN_RING_BYTES = 65536
MAX_RING_BYTES = 1 << 40

_HALVES = {"success": SUCCESS, "denial": DENIAL}


# ------------------------------------------------------------------------------------------ index entries

cdef inline uint64_t tag_of(uint64_t hash) noexcept nogil:
    # Never 0, so that no entry in use is 0.
    cdef uint64_t tag = hash & TAG_MASK
    return tag if tag else 1


cdef inline uint64_t entry_of(uint64_t position, uint64_t tag) noexcept nogil:
    return ((position // RING_UNIT_BYTES) & POSITION_MASK) << TAG_BITS | tag


cdef inline uint64_t position_of(uint64_t entry, uint64_t head) noexcept nogil:
    """The whole position that an entry means: the last one before head that has its low bits."""
    cdef uint64_t head_units = head // RING_UNIT_BYTES
    cdef uint64_t units = (head_units & ~POSITION_MASK) | entry >> TAG_BITS
    if units > head_units:
        units -= POSITION_MASK + 1
    return units * RING_UNIT_BYTES


cdef inline bint overwritten(const HalfHeader* h, uint64_t position, uint64_t head) noexcept nogil:
    return head - position > h.ring_bytes


cdef inline uint64_t share(uint64_t fraction, uint64_t count) noexcept nogil:
    # Multiply and shift: the fraction, of 2^32, of count. Far cheaper than a division.
    return (fraction * count) >> 32


cdef inline void sets_of(const HalfHeader* h, uint64_t hash, uint64_t* first, uint64_t* second) noexcept nogil:
    """The two sets of a key's hash; one and the same where there is only one."""
    first[0] = share(hash >> 32, h.sets)
    second[0] = first[0]
    if h.sets > 1:
        second[0] += 1 + share((hash * <uint64_t>0x9E3779B97F4A7C15) >> 32, h.sets - 1)
        if second[0] >= h.sets:
            second[0] -= h.sets


cdef inline uint64_t* entry_at(const CacheHeader* c, const HalfHeader* h, uint64_t slot) noexcept nogil:
    return <uint64_t*>(<uint8_t*>c + h.index_at) + slot


cdef inline uint8_t* ring_at(const CacheHeader* c, const HalfHeader* h, uint64_t position) noexcept nogil:
    return <uint8_t*>c + h.ring_at + modulo(position, h.ring_bytes, h.ring_inverse)


cdef void seal_key(const CacheHeader* c, Key* key) noexcept nogil:
    key.hash = hash_bytes(c.seed, key.data, key.length)


# ------------------------------------------------------------------------------------------------ reading

cdef bint copy_record(const CacheHeader* c, const HalfHeader* h, uint64_t position, const Key* key,
                      uint8_t* buffer, uint32_t room) noexcept nogil:
    """Copy what lies at a position, then look whether it was the key's record all the time."""
    cdef const uint8_t* at = ring_at(c, h, position)
    cdef const Record* shared = <const Record*>at
    cdef const Record* copy = <const Record*>buffer
    cdef const uint8_t* end = <uint8_t*>c + h.ring_at + h.ring_bytes
    cdef uint64_t payload_len, size
    cdef uint32_t total
    if at + sizeof(Record) > end:
        return False
    # Whatever the bytes are by now: read once, and bounded before they are used.
    payload_len = load_relaxed_u32(&shared.payload_len)
    size = sizeof(Record) + key.length + payload_len
    if load_relaxed(&shared.position) != position or size > h.max_record_bytes:
        return False
    total = record_bytes(key.length, <uint32_t>payload_len)
    if total > room or at + total > end:
        return False
    memcpy(buffer, at, total)
    # A writer moves the head before it writes: either its bytes are not in the copy, or its move is seen here.
    acquire_fence()
    if overwritten(h, position, load_relaxed(&h.head)):
        return False
    return (copy.position == position and copy.payload_len == payload_len and copy.key_len == key.length
            and copy.checksum == checksum(c.seed ^ position, buffer + 16, total - 16)
            and memcmp(record_key(copy), key.data, key.length) == 0)


cdef bint find(const CacheHeader* c, Half half, const Key* key, uint8_t* buffer, uint32_t room,
               Found* found) noexcept nogil:
    cdef const HalfHeader* h = half_of(c, half)
    cdef uint64_t tag = tag_of(key.hash)
    cdef uint64_t first = 0, second = 0
    cdef uint64_t entry, head, position, newest = 0
    cdef uint32_t i, best, rest, candidates
    sets_of(h, key.hash, &first, &second)
    candidates = tagged(entry_at(c, h, first * WAYS), tag) | tagged(entry_at(c, h, second * WAYS), tag) << WAYS
    while candidates:
        # The newest first: two writers may have published the same key at the same time.
        best = PLACES
        rest = candidates
        while rest:
            i = lowest_bit(rest)
            rest &= rest - 1
            entry = load(entry_at(c, h, (first if i < WAYS else second) * WAYS + (i & (WAYS - 1))))
            # After the entry: it has passed every position that one holds.
            head = load(&h.head)
            position = position_of(entry, head)
            if entry != 0 and not overwritten(h, position, head) and (best == PLACES or position > newest):
                newest = position
                best = i
        if best == PLACES:
            return False
        if copy_record(c, h, newest, key, buffer, room):
            found.record = <const Record*>buffer
            found.slot = (first if best < WAYS else second) * WAYS + (best & (WAYS - 1))
            return True
        candidates &= ~(<uint32_t>1 << best)
    return False


cdef void prefetch_entries(const CacheHeader* c, uint64_t hash) noexcept nogil:
    cdef uint32_t i
    cdef uint64_t first = 0, second = 0
    for i in range(<uint32_t>HALVES):
        # A set is one line.
        sets_of(&c.halves[i], hash, &first, &second)
        prefetch(entry_at(c, &c.halves[i], first * WAYS))
        prefetch(entry_at(c, &c.halves[i], second * WAYS))


cdef void prefetch_records(const CacheHeader* c, uint64_t hash) noexcept nogil:
    cdef const HalfHeader* h
    cdef const uint8_t* at
    cdef uint64_t first = 0, second = 0
    cdef uint32_t i, way, candidates
    cdef uint64_t tag = tag_of(hash)
    for i in range(<uint32_t>HALVES):
        h = &c.halves[i]
        sets_of(h, hash, &first, &second)
        candidates = tagged(entry_at(c, h, first * WAYS), tag) | tagged(entry_at(c, h, second * WAYS), tag) << WAYS
        if candidates:
            way = lowest_bit(candidates)
            at = ring_at(c, h, position_of(
                load_relaxed(entry_at(c, h, (first if way < WAYS else second) * WAYS + (way & (WAYS - 1)))),
                load_relaxed(&h.head)))
            # Key and payload of most records lie in three lines.
            prefetch(at)
            prefetch(at + LINE_BYTES)
            prefetch(at + 2 * LINE_BYTES)


# ------------------------------------------------------------------------------------------------ writing

cdef bint reserve(HalfHeader* h, uint32_t total, uint64_t* position) noexcept nogil:
    """Room for total bytes in the ring. What lay there is overwritten from here on."""
    cdef uint32_t _attempt
    for _attempt in range(<uint32_t>RESERVE_ATTEMPTS):
        position[0] = fetch_add(&h.head, total)
        if modulo(position[0], h.ring_bytes, h.ring_inverse) + total <= h.ring_bytes:
            # The head's move is seen no later than the bytes that follow: see copy_record.
            release_fence()
            return True
    return False


cdef void complete(const CacheHeader* c, Record* draft, uint64_t position) noexcept nogil:
    cdef uint32_t total = record_bytes(draft.key_len, draft.payload_len)
    cdef uint32_t used = sizeof(Record) + draft.key_len + draft.payload_len
    memset(draft.pad, 0, sizeof(draft.pad))
    memset(<uint8_t*>draft + used, 0, total - used)
    draft.position = position
    draft.checksum = checksum(c.seed ^ position, <uint8_t*>draft + 16, total - 16)


cdef bint has_key(const CacheHeader* c, const HalfHeader* h, uint64_t position, const Key* key) noexcept nogil:
    """Whether what lies at a position bears this key, as far as can be seen without a copy."""
    cdef const uint8_t* at = ring_at(c, h, position)
    if at + sizeof(Record) + key.length > <uint8_t*>c + h.ring_at + h.ring_bytes:
        return False
    return ((<const Record*>at).position == position and (<const Record*>at).key_len == key.length
            and memcmp(record_key(<const Record*>at), key.data, key.length) == 0)


# The entries that a key may have, and what they held when they were loaded.
cdef struct Places:
    uint64_t slots[PLACES]      # indices of entries
    uint64_t loaded[PLACES]
    uint32_t count


cdef void load_places(const CacheHeader* c, const HalfHeader* h, const Key* key, Places* p) noexcept nogil:
    cdef uint64_t first = 0, second = 0
    cdef uint32_t i
    sets_of(h, key.hash, &first, &second)
    p.count = PLACES if first != second else WAYS
    for i in range(p.count):
        p.slots[i] = (first if i < WAYS else second) * WAYS + (i & (WAYS - 1))
        p.loaded[i] = load(entry_at(c, h, p.slots[i]))


# What becomes of an entry that a new record could take, the best first.
cdef enum Loss:
    LOSES_OVERWRITTEN = 1       # nothing: the ring has run over its record
    LOSES_NOTHING = 2           # it is empty
    LOSES_USELESS = 3           # what is answered no more
    LOSES_USEFUL = 4
    LOSES_MOST = 5


cdef uint32_t empty_ways(const Places* p, uint32_t i) noexcept nogil:
    """How many entries of the set that place i is in are empty."""
    cdef uint32_t way, count = 0
    cdef uint32_t first = i & ~<uint32_t>(WAYS - 1)
    for way in range(first, first + WAYS):
        count += p.loaded[way] == 0
    return count


cdef uint32_t choose_place(const CacheHeader* c, Half half, const Places* p, uint64_t head, const Key* key,
                           uint64_t now_ns, bint* evicts) noexcept nogil:
    """Which entry a new record takes: its key's own, one whose record the ring has overwritten, an empty one of the
    emptier set, one that is no longer useful, the oldest. evicts: what goes could still have been answered."""
    cdef const HalfHeader* h = half_of(c, half)
    cdef uint64_t tag = tag_of(key.hash)
    cdef uint64_t position, merit, most_merit = 0
    cdef uint32_t i, chosen = 0
    cdef Loss loss, least = LOSES_MOST
    cdef bint useful
    for i in range(p.count):
        useful = False
        merit = 0
        if p.loaded[i] == 0:
            loss = LOSES_NOTHING
            merit = empty_ways(p, i)
        else:
            position = position_of(p.loaded[i], head)
            useful = state_of(c, half, p.slots[i]).useful_until_ns > now_ns
            if overwritten(h, position, head):
                loss = LOSES_OVERWRITTEN
            elif p.loaded[i] & TAG_MASK == tag and has_key(c, h, position, key):
                evicts[0] = False
                return i
            elif useful:
                loss = LOSES_USEFUL
                merit = head - position
            else:
                loss = LOSES_USELESS
        if loss < least or (loss == least and merit > most_merit):
            chosen = i
            least = loss
            most_merit = merit
            evicts[0] = useful
    return chosen


cdef Insertion publish(CacheHeader* c, Half half, const Key* key, uint64_t position, uint64_t now_ns,
                       uint64_t useful_until_ns, uint64_t usage) noexcept nogil:
    """Make a record that lies at position what readers of its key find."""
    cdef HalfHeader* h = &c.halves[<uint32_t>half]
    cdef Places p
    cdef uint64_t head
    cdef uint32_t i, _attempt
    cdef bint evicts = False
    cdef EntryState* state
    for _attempt in range(<uint32_t>PUBLISH_ATTEMPTS):
        load_places(c, h, key, &p)
        head = load(&h.head)
        if overwritten(h, position, head):
            # This writer has been asleep for a whole round of the ring.
            return NOT_INSERTED
        i = choose_place(c, half, &p, head, key, now_ns, &evicts)
        state = state_of(c, half, p.slots[i])
        store_relaxed(&state.useful_until_ns, useful_until_ns)
        store_relaxed(&state.usage, usage)
        store_relaxed(&state.refresh_after_ns, 0)
        if compare_and_swap(entry_at(c, h, p.slots[i]), p.loaded[i], entry_of(position, tag_of(key.hash))):
            return INSERTED_EVICTING if evicts else INSERTED
    return NOT_INSERTED


cdef Insertion insert(CacheHeader* c, Half half, const Key* key, Record* draft, uint64_t useful_until_ns,
                      uint64_t usage) noexcept nogil:
    cdef HalfHeader* h = &c.halves[<uint32_t>half]
    cdef uint32_t total = record_bytes(draft.key_len, draft.payload_len)
    cdef uint64_t position
    if total > h.max_record_bytes or not reserve(h, total, &position):
        return NOT_INSERTED
    complete(c, draft, position)
    memcpy(ring_at(c, h, position), draft, total)
    return publish(c, half, key, position, draft.stored_ns, useful_until_ns, usage)


cdef void remove(CacheHeader* c, Half half, const Key* key) noexcept nogil:
    cdef HalfHeader* h = &c.halves[<uint32_t>half]
    cdef uint64_t tag = tag_of(key.hash)
    cdef Places p
    cdef uint64_t head, position
    cdef uint32_t i
    load_places(c, h, key, &p)
    head = load(&h.head)
    for i in range(p.count):
        position = position_of(p.loaded[i], head)
        if p.loaded[i] & TAG_MASK == tag and not overwritten(h, position, head) and has_key(c, h, position, key):
            compare_and_swap(entry_at(c, h, p.slots[i]), p.loaded[i], 0)


# ------------------------------------------------------------------------------------- the state of entries

cdef uint32_t count_hit(EntryState* state, uint64_t now_ns, uint64_t window_ms) noexcept nogil:
    cdef uint64_t now_ms = now_ns // 1000000
    cdef uint64_t old = load_relaxed(&state.usage)
    cdef uint64_t last_ms = old & ((<uint64_t>1 << (64 - HITS_BITS)) - 1)
    cdef uint64_t hits = old >> (64 - HITS_BITS)
    if last_ms + window_ms < now_ms:
        hits = 0
    if hits < MAX_HITS:
        hits += 1
    # Where another reader was faster, its count stands: one hit of many is lost.
    compare_and_swap(&state.usage, old, hits << (64 - HITS_BITS) | (now_ms if now_ms > last_ms else last_ms))
    return <uint32_t>hits


cdef bint claim_refresh(EntryState* state, uint64_t now_ns, uint64_t until_ns) noexcept nogil:
    cdef uint64_t after_ns = load_relaxed(&state.refresh_after_ns)
    return after_ns <= now_ns and compare_and_swap(&state.refresh_after_ns, after_ns, until_ns)


# ----------------------------------------------------------------------------------------------- the object

cdef uint64_t lines(uint64_t size) noexcept:
    return (size + LINE_BYTES - 1) & ~<uint64_t>(LINE_BYTES - 1)


cdef class Cache:
    """The shared mapping of one cache. Made by the supervisor before it forks; workers use it by offset.

    success_capacity, denial_capacity: entries, rounded up to whole sets of eight. success_bytes, denial_bytes: what
    their replies may take, 512 bytes an entry by default. Memory is taken as it is used. Raises ValueError for
    what is out of bounds, OSError where the kernel refuses the mapping.
    """

    def __cinit__(self, uint64_t success_capacity=10_000, uint64_t denial_capacity=10_000, success_bytes=None,
                  denial_bytes=None):
        self.fd = -1
        cdef uint64_t at = sizeof(CacheHeader)
        cdef uint64_t ring_bytes
        cdef uint32_t i
        cdef HalfHeader layout[2]
        memset(layout, 0, sizeof(layout))
        for i, (capacity, size) in enumerate(((success_capacity, success_bytes), (denial_capacity, denial_bytes))):
            if not 0 < capacity <= MAX_CAPACITY:
                raise ValueError(f"a cache takes 1 to {MAX_CAPACITY} entries, got {capacity}")
            if size is None:
                size = max(MIN_DEF_RING_BYTES, capacity * DEF_ENTRY_BYTES)
            if not MIN_RING_BYTES <= size <= MAX_RING_BYTES:
                raise ValueError(f"a cache takes {MIN_RING_BYTES} to {MAX_RING_BYTES} bytes, got {size}")
            ring_bytes = lines(size)
            layout[i].sets = (capacity + WAYS - 1) // WAYS
            layout[i].index_at = at
            at += layout[i].sets * WAYS * 8
            layout[i].state_at = at
            at = lines(at + layout[i].sets * WAYS * sizeof(EntryState))
            layout[i].ring_at = at
            at += ring_bytes
            layout[i].ring_bytes = ring_bytes
            layout[i].ring_inverse = (1 << 64) // ring_bytes
            layout[i].max_record_bytes = min(ring_bytes // MAX_RING_SHARE, <uint64_t>MAX_RECORD_BYTES)
            # Not 0: nothing has been written in the round before.
            layout[i].head = ring_bytes
        self.capacities = (layout[0].sets * WAYS, layout[1].sets * WAYS)
        self.ring_bytes = (layout[0].ring_bytes, layout[1].ring_bytes)
        self.size_bytes = (at + PAGE_BYTES - 1) & ~<uint64_t>(PAGE_BYTES - 1)
        self.fd = os.memfd_create("fastdns-cache", os.MFD_CLOEXEC)
        os.ftruncate(self.fd, self.size_bytes)
        self.header = <CacheHeader*>map_file(self.fd, self.size_bytes)
        if self.header == NULL:
            raise OSError("the cache cannot be mapped")
        self.header.seed = int.from_bytes(os.urandom(8), "little")
        self.header.size_bytes = self.size_bytes
        memcpy(self.header.halves, layout, sizeof(layout))

    def __dealloc__(self):
        if self.header != NULL:
            unmap(self.header, self.size_bytes)
        if self.fd >= 0:
            # Not os.close: the module may be gone when the interpreter ends.
            c_close(self.fd)

    def entries(self, str half not None):
        """How many records the half holds, expired ones included. half: "success" or "denial"."""
        cdef Half which = _HALVES[half]
        cdef const HalfHeader* h = half_of(self.header, which)
        cdef uint64_t i, entry, head, count = 0
        for i in range(h.sets * WAYS):
            entry = load(entry_at(self.header, h, i))
            if entry:
                head = load(&h.head)
                if not overwritten(h, position_of(entry, head), head):
                    count += 1
        return count

    def written_bytes(self, str half not None):
        """How many bytes have been put into the half's ring since the cache was made."""
        cdef Half which = _HALVES[half]
        return load(&half_of(self.header, which).head) - half_of(self.header, which).ring_bytes

    def get(self, str half not None, bytes key not None, uint64_t now_ns, int64_t stale_s=0):
        """(payload, seconds of its TTL left) of a key, or None. What has expired stale_s seconds ago, or earlier,
        is not answered; seconds left are 0 or less for what has expired since. Raises ValueError for a long key.
        """
        cdef Key k
        cdef Found found
        cdef int64_t left_s
        cdef Half which = _HALVES[half]
        cdef uint32_t room = <uint32_t>half_of(self.header, which).max_record_bytes
        make_key(self, key, &k)
        cdef uint8_t* buffer = <uint8_t*>malloc(room)
        if buffer == NULL:
            raise MemoryError
        try:
            if not find(self.header, which, &k, buffer, room, &found):
                return None
            left_s = ttl_left_s(found.record, now_ns)
            if left_s <= 0 and stale_s <= -left_s:
                return None
            return record_payload(found.record)[:found.record.payload_len], left_s
        finally:
            free(buffer)

    def put(self, str half not None, bytes key not None, bytes payload not None, uint32_t ttl_s, uint64_t now_ns,
            uint64_t stale_s=0):
        """Store a payload for ttl_s seconds. stale_s: how much longer it is useful. Returns "inserted",
        "evicting" (where a useful record had to go) or "refused" (too large). Raises ValueError for a long key."""
        draft = Draft(self, half, key, payload, ttl_s, now_ns, stale_s)
        if draft.reserve():
            draft.write()
            return draft.publish()
        return "refused"

    def remove(self, str half not None, bytes key not None):
        """Forget a key."""
        cdef Key k
        make_key(self, key, &k)
        remove(self.header, _HALVES[half], &k)


cdef int make_key(Cache cache, bytes key, Key* k) except -1:
    if len(key) > MAX_KEY_BYTES:
        raise ValueError(f"a key has {MAX_KEY_BYTES} bytes at most, got {len(key)}")
    memcpy(k.data, <const uint8_t*>key, len(key))
    k.length = len(key)
    seal_key(cache.header, k)
    return 0


cdef class Draft:
    """An insertion step by step, as insert does it at once: for tests of writers that stall or die in between."""
    cdef Cache cache
    cdef Half half
    cdef Key key
    cdef Record* record
    cdef uint64_t position
    cdef uint64_t useful_until_ns

    def __cinit__(self, Cache cache not None, str half not None, bytes key not None, bytes payload not None,
                  uint32_t ttl_s, uint64_t now_ns, uint64_t stale_s=0):
        self.cache = cache
        self.half = _HALVES[half]
        make_key(cache, key, &self.key)
        if len(payload) > MAX_RECORD_BYTES:
            raise ValueError(f"a payload has {MAX_RECORD_BYTES} bytes at most")
        self.record = <Record*>malloc(record_bytes(len(key), len(payload)))
        if self.record == NULL:
            raise MemoryError
        self.record.stored_ns = now_ns
        self.record.ttl_s = ttl_s
        self.record.payload_len = len(payload)
        self.record.key_len = len(key)
        self.record.rcode = 0
        memcpy(record_key(self.record), <const uint8_t*>key, len(key))
        memcpy(record_payload(self.record), <const uint8_t*>payload, len(payload))
        self.useful_until_ns = now_ns + (ttl_s + stale_s) * 1000000000

    def __dealloc__(self):
        free(self.record)

    def reserve(self):
        """Take room in the ring; False where the record is too large for it."""
        cdef HalfHeader* h = &self.cache.header.halves[<uint32_t>self.half]
        cdef uint32_t total = record_bytes(self.record.key_len, self.record.payload_len)
        if total > h.max_record_bytes or not reserve(h, total, &self.position):
            return False
        complete(self.cache.header, self.record, self.position)
        return True

    def write(self, double fraction=1.0):
        """Copy the record's bytes, or the first part of them, to the ring."""
        cdef uint32_t total = record_bytes(self.record.key_len, self.record.payload_len)
        memcpy(ring_at(self.cache.header, half_of(self.cache.header, self.half), self.position), self.record,
               <size_t>(total * fraction))

    def publish(self):
        """Enter the record into the index: "inserted", "evicting" or "refused"."""
        cdef Insertion result = publish(self.cache.header, self.half, &self.key, self.position,
                                        self.record.stored_ns, self.useful_until_ns, 0)
        return ("inserted", "evicting", "refused")[<int>result]
