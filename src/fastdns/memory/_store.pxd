"""The zone store: keys to payloads in shared memory, one writer, many lock-free readers.

Layout of the mapping (offsets from its start; blocks are counted in units of 16 bytes):

    StoreHeader | ReaderSlot[READER_SLOTS] | blocks … | SourceState[MAX_SOURCES]

The states of sources take memory, a page for 64 of them, only where one of these was ever used.

A key begins with the number of the source that the record is of (put_source), two bytes. What follows is the
source's own. Where blocks go is _space's. A block holds an index (an array of 64-bit slots) or a Record. An index
slot is 0 (never used), 1 (removed), or the upper half of the key's hash and the record's unit offset. That half
also says where in the index its slot is (place_of), so that another index is made of the slots alone. Everything a
reader can reach is published with one release store and never changes afterwards; what is replaced is retired and
reused only after every reader has left the epoch in which it could see it. Readers enter an epoch once a batch.

The writer may also move a record: it publishes a copy under the same slot and retires the first one. The
allocator's state is the writer's own: a successor rebuilds it from what the index reaches, so a writer may die at
any instruction.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastdns.memory._space cimport Space
from fastdns.memory._atomics cimport fence, load, prefetch, publish_u64, raise_u64

cdef enum:
    UNIT_BYTES = 16
    READER_SLOTS = 4160          # two threads of each of 1024 workers, in two generations, and some more
    SNAPSHOT_READER = 4159       # of these: the thread of the writer's process that copies records to disk
    MAX_SOURCES = 65536
    SOURCE_BYTES = 2             # of a key: the number of its source
    SLOT_EMPTY = 0
    SLOT_REMOVED = 1

cdef struct StoreHeader:
    uint64_t magic
    uint64_t size_bytes
    uint64_t seed
    uint64_t index              # unit offset << 8 | log2 of the slot count; published
    uint64_t high_water         # first unit never used; the writer's
    uint64_t records            # the writer's count, for metrics
    uint64_t used_units         # the writer's, for metrics
    uint64_t index_number       # how often the index was replaced
    uint64_t epoch              # alone on its line but for what hardly changes: readers load it once a batch
    uint64_t readers            # no reader has this slot or a higher one, but for SNAPSHOT_READER
    uint64_t resident_pages     # free ones that are kept among them; the writer's, for metrics
    uint64_t states_at          # where the states of sources begin
    uint64_t sources            # no source with this number or a higher one has a state; the writer's
    uint64_t pad1[3]

cdef struct ReaderSlot:
    uint64_t epoch              # 0: not reading
    uint64_t pad[7]

# What readers need to know of a source as a whole.
cdef struct SourceState:
    uint64_t synced             # bit 0: every resource has been listed once
    uint64_t soa_serial         # Unix second of the last change that answers could show
    uint64_t changes
    uint64_t restored_at        # Unix second of the snapshot that its records came from; 0: from no snapshot
    uint64_t id_seed            # of the hashes that name its slices and pods; the writer's, kept in snapshots
    uint64_t zone_labels        # bit n: it may have a zone of n labels (rrsets/); 63: of 63 or more
    uint64_t pad[2]

cdef struct Record:
    uint64_t hash
    uint32_t payload_len
    uint16_t key_len
    uint16_t pad
    # key bytes, then the payload at the next multiple of 4

cdef inline const uint8_t* record_key(const Record* r) noexcept nogil:
    return <const uint8_t*>r + sizeof(Record)

cdef inline const uint8_t* record_payload(const Record* r) noexcept nogil:
    return <const uint8_t*>r + sizeof(Record) + ((r.key_len + 3) & ~3u)

# Where in an index with this mask the search for a hash begins.
cdef inline uint64_t place_of(uint64_t hash, uint64_t mask) noexcept nogil:
    return (hash >> 32) & mask

cdef inline ReaderSlot* reader_slot(StoreHeader* h, uint32_t slot) noexcept nogil:
    return <ReaderSlot*>(<uint8_t*>h + sizeof(StoreHeader)) + slot

# source: below MAX_SOURCES. Readers look only at sources of their configuration: a look takes memory, too.
cdef inline SourceState* source_state(StoreHeader* h, uint32_t source) noexcept nogil:
    return <SourceState*>(<uint8_t*>h + h.states_at) + source

# The same for the writer, which may change what is there.
cdef inline SourceState* own_source_state(StoreHeader* h, uint32_t source) noexcept nogil:
    raise_u64(&h.sources, <uint64_t>source + 1)
    return source_state(h, source)

# The beginning of a key.
cdef inline void put_source(uint8_t* key, uint32_t source) noexcept nogil:
    key[0] = <uint8_t>(source >> 8)
    key[1] = <uint8_t>source

# The number of the source that a record is of; MAX_SOURCES where its key has no room for one.
cdef inline uint32_t source_of(const Record* r) noexcept nogil:
    if r.key_len < SOURCE_BYTES:
        return MAX_SOURCES
    return <uint32_t>record_key(r)[0] << 8 | record_key(r)[1]

# Call once before a slot is used: only slots that may be used are looked at, and take memory.
cdef inline void expect_reader(StoreHeader* h, uint32_t slot) noexcept nogil:
    if slot != SNAPSHOT_READER:
        raise_u64(&h.readers, <uint64_t>slot + 1)

cdef inline void enter_epoch(StoreHeader* h, uint32_t slot) noexcept nogil:
    # With the fence in reclaim: the writer sees this slot taken, or the reader sees what it frees unlinked. A store
    # that is sequentially consistent would not do: acquire loads that follow may go before it, and on ARM they do.
    publish_u64(&reader_slot(h, slot).epoch, load(&h.epoch))
    fence()

cdef inline void leave_epoch(StoreHeader* h, uint32_t slot) noexcept nogil:
    publish_u64(&reader_slot(h, slot).epoch, 0)

# The record with this hash and key, or NULL. With key NULL the hash alone decides; the caller verifies.
cdef const Record* find(const StoreHeader* h, uint64_t hash, const uint8_t* key,
                        uint32_t key_len) noexcept nogil

# Have the memory fetched that find begins with, and then, when that has come, what it leads to. Hints.
cdef inline void prefetch_slot(const StoreHeader* h, uint64_t hash) noexcept nogil:
    cdef uint64_t index = load(&h.index)
    prefetch(<const uint64_t*>(<const uint8_t*>h + (index >> 8) * UNIT_BYTES)
             + place_of(hash, (<uint64_t>1 << (index & 0xFF)) - 1))

cdef inline void prefetch_record(const StoreHeader* h, uint64_t hash) noexcept nogil:
    cdef uint64_t index = load(&h.index)
    cdef uint64_t slot = load(<const uint64_t*>(<const uint8_t*>h + (index >> 8) * UNIT_BYTES)
                              + place_of(hash, (<uint64_t>1 << (index & 0xFF)) - 1))
    cdef const uint8_t* at
    if (slot >> 32) == (hash >> 32) and <uint32_t>slot > SLOT_REMOVED:
        at = <const uint8_t*>h + <uint64_t><uint32_t>slot * UNIT_BYTES
        # Key and payload of most records lie in two lines.
        prefetch(at)
        prefetch(at + 64)

# The record in the next index slot that holds one, from *at on; NULL at the end. The writer's.
cdef const Record* next_record(const StoreHeader* h, uint64_t* at) noexcept nogil


cdef class Store:
    cdef StoreHeader* header
    cdef readonly int fd
    cdef readonly size_t size_bytes     # that it may take
    cdef size_t block_bytes             # of the mapping, up to the states of sources
    cdef size_t mapped_bytes


# Whether a record is to be dropped; see Writer.drop_where.
ctypedef bint (*drop_fn)(const Record* record, void* data) noexcept nogil


# How far drop_some has come. All zero at first.
cdef struct Sweep:
    uint64_t at                     # index slots that were looked at
    uint64_t index_number           # of the index that they are of, plus one


cdef class Writer:
    cdef readonly Store store
    cdef StoreHeader* h
    cdef Space space
    cdef uint64_t* retired          # triples: unit offset, units, epoch << 1 | whether they are whole pages
    cdef size_t retired_first
    cdef size_t retired_count
    cdef size_t retired_room
    cdef uint64_t retired_units
    cdef uint64_t collect_at        # retired units at which to look what of them can be reused
    cdef bint collecting
    cdef uint64_t used_slots        # index slots that are not empty
    cdef uint32_t hopeless_units    # the last look for space found no block as large; 0: it found one
    cdef uint32_t allocate(self, uint32_t units) except 0
    cdef int retire(self, uint32_t at, uint32_t units, bint whole_pages) except -1
    # Begin a new epoch. Returns the oldest one that a reader is still in, or the new one.
    cdef uint64_t next_epoch(self) noexcept
    cdef void free_unseen(self) noexcept
    # at_once: move all records that are far apart, else those of a few segments; the next calls go on.
    cdef int collect(self, bint at_once) except -1
    cdef bint empty_segment(self, uint32_t number) except -1
    cdef uint64_t* slot_of(self, uint64_t hash, uint32_t at) noexcept
    cdef int find_space(self) except -1
    cdef int resize_index(self, uint32_t bits) except -1
    cdef int put(self, const uint8_t* key, uint32_t key_len, const uint8_t* payload,
                 uint32_t payload_len) except -1
    # put of a smaller payload than the key has. In a full store it may take the space that is kept for moving.
    cdef int put_smaller(self, const uint8_t* key, uint32_t key_len, const uint8_t* payload,
                         uint32_t payload_len) except -1
    cdef bint drop(self, const uint8_t* key, uint32_t key_len) except -1
    cdef int drop_where(self, drop_fn is_gone, void* data) except -1
    # drop_where in slices, each of which ends at a time of monotonic_ns. Returns whether all was looked at. What is
    # published meanwhile may be looked at or not.
    cdef bint drop_some(self, drop_fn is_gone, void* data, Sweep* sweep, uint64_t until) except -1
