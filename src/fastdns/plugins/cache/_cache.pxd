"""The shared cache: packed replies in shared memory, any process reads and writes, nobody takes a lock.

Layout of the mapping (offsets from its start):

    CacheHeader with claims | of each half: index | EntryState of each index entry | ring

The two halves, success and denial, are alike. A half's ring holds records; its index says where.

    ring      A writer reserves room by one atomic addition to ``head``, which counts bytes and never goes back; the
              bytes lie at that position modulo the ring's size. No record straddles the ring's end: a reservation
              that would is left unused, and the next one begins the ring anew. So what is oldest is overwritten.
    index     Sets of WAYS entries, one cache line each; a key may be in either of two sets, so that nearly all
              entries come into use before any has to go. An entry is 0, or a record's position in units of 16
              bytes (its low 44 bits) and a tag of 20 bits of the key's hash. A record is published by one
              compare-and-swap of its entry, after all its bytes.
    state     What may change while a record stands: see EntryState. Only hints: a lost update costs a refresh.

    claims    Words by a key's hash, through which one thread of all asks for what is missing: see _claims.pxd of
              the forward plugin.

A reader copies a record to its own memory, and only then looks whether it was one: the head has not run over it,
and its position, checksum and key are right. So there is nothing to clean up when a writer dies at any
instruction, and a writer that stalls until the ring has come round spoils, at most, records whose checksums then
fail. The checksum is keyed: no upstream can send bytes that look like a record.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef enum:
    WAYS = 8
    PLACES = 16                 # entries that a key may have: WAYS in each of two sets
    RING_UNIT_BYTES = 16
    TAG_BITS = 20
    MAX_KEY_BYTES = 793         # qname, type, class, bits, client subnet, EDNS options for upstreams
    MAX_RING_SHARE = 8          # no record is larger than the ring divided by this,
    MAX_RECORD_BYTES = 16777216     # nor than this
    HITS_BITS = 24
    MAX_HITS = 0xFFFFFF
    CLAIMS = 4096

cdef enum Half:
    SUCCESS = 0
    DENIAL = 1
    HALVES = 2

# Bits of a key beside the question.
cdef enum KeyBits:
    KEY_DO = 1
    KEY_CD = 2
    KEY_NO_ANSWER = 4           # of a referral or an empty answer that is kept beside the last good one
    KEY_NO_RD = 8               # to such a question upstreams say what they know: often a referral

cdef enum Insertion:
    INSERTED = 0
    INSERTED_EVICTING = 1       # what could still have been answered had to go
    NOT_INSERTED = 2            # too large, or others were faster again and again

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    /* position % size; inverse is floor(2^64 / size). The quotient is at most one too small. */
    static inline uint64_t fdc_modulo(uint64_t position, uint64_t size, uint64_t inverse) {
        uint64_t q = (uint64_t)(((unsigned __int128)position * inverse) >> 64);
        uint64_t r = position - q * size;
        return r >= size ? r - size : r;
    }
    #define FDC_TAG_MASK 0xFFFFFull
    #define FDC_POSITION_MASK 0xFFFFFFFFFFFull
    /* Which of the eight entries of a set have a tag, as bits. */
    static inline uint32_t fdc_tagged(const uint64_t *entries, uint64_t tag) {
        uint32_t bits = 0;
        #pragma GCC unroll 8
        for (int way = 0; way < 8; way++)
            bits |= (uint32_t)((__atomic_load_n(&entries[way], __ATOMIC_RELAXED) & FDC_TAG_MASK) == tag) << way;
        return bits;
    }
    static inline uint64_t fdc_mix(uint64_t a, uint64_t b) {
        unsigned __int128 r = (unsigned __int128)a * b;
        return (uint64_t)r ^ (uint64_t)(r >> 64);
    }
    /* Of n bytes, n a multiple of 16. Two independent lanes: a hit waits for this. The seed is secret, so that
       nobody can choose bytes that cancel what came before. */
    static inline uint64_t fdc_checksum(uint64_t seed, const uint8_t *p, uint64_t n) {
        uint64_t a = seed ^ 0xA0761D6478BD642Full, b = seed ^ (n * 0x9E3779B97F4A7C15ull), v[4];
        const uint64_t k = seed ^ 0xE7037ED1A0B428DBull, l = seed ^ 0x8EBC6AF09C88C6E3ull;
        while (n >= 32) {
            memcpy(v, p, 32);
            a = fdc_mix(v[0] ^ a, v[1] ^ k);
            b = fdc_mix(v[2] ^ b, v[3] ^ l);
            p += 32; n -= 32;
        }
        if (n) {
            memcpy(v, p, 16);
            a = fdc_mix(v[0] ^ a, v[1] ^ k ^ l);
        }
        return fdc_mix(a ^ 0x1D8E4E27C47D124Full, b ^ 0xEB44ACCAB455D165ull);
    }
    """
    uint64_t modulo "fdc_modulo"(uint64_t position, uint64_t size, uint64_t inverse) noexcept nogil
    uint32_t lowest_bit "__builtin_ctz"(uint32_t bits) noexcept nogil
    const uint64_t TAG_MASK "FDC_TAG_MASK"
    const uint64_t POSITION_MASK "FDC_POSITION_MASK"
    uint32_t tagged "fdc_tagged"(const uint64_t* entries, uint64_t tag) noexcept nogil
    uint64_t checksum "fdc_checksum"(uint64_t seed, const uint8_t* data, uint64_t size) noexcept nogil

# Where a half lies in the mapping, and how far its ring has been written.
cdef struct HalfHeader:
    uint64_t sets
    uint64_t index_at           # from the mapping's start
    uint64_t state_at
    uint64_t ring_at
    uint64_t ring_bytes
    uint64_t ring_inverse       # for modulo
    uint64_t max_record_bytes
    uint64_t pad0
    uint64_t head               # alone on its line: every writer changes it
    uint64_t pad1[7]

cdef struct CacheHeader:
    uint64_t seed               # of hashes and checksums
    uint64_t size_bytes
    uint64_t pad[6]
    HalfHeader halves[2]
    uint64_t claims[CLAIMS]

# Beside an index entry, reset with it.
cdef struct EntryState:
    uint64_t useful_until_ns    # fresh until then, or stale but still to be served; CLOCK_MONOTONIC
    uint64_t usage              # hits << 40 | last hit, in ms of CLOCK_MONOTONIC
    uint64_t refresh_after_ns   # nobody begins a refresh before; 0: anybody may

# A record, as it is in the ring and as it is built in private memory. key_len bytes of key follow, then the
# payload, then zeros up to a multiple of 16.
cdef struct Record:
    uint64_t position
    uint64_t checksum           # of everything after it, seeded with the position
    uint64_t stored_ns          # CLOCK_MONOTONIC
    uint32_t ttl_s
    uint32_t payload_len
    uint16_t key_len
    uint16_t rcode
    uint8_t pad[4]

cdef struct Key:
    uint64_t hash
    uint16_t length
    uint8_t data[MAX_KEY_BYTES]

# A record that a reader has copied and verified.
cdef struct Found:
    const Record* record        # in the reader's memory
    uint64_t slot               # its index entry: set * WAYS + way

cdef inline uint32_t record_bytes(uint32_t key_len, uint32_t payload_len) noexcept nogil:
    # No sum comes near 2^32: see MAX_RECORD_BYTES.
    return (sizeof(Record) + key_len + payload_len + RING_UNIT_BYTES - 1) & ~<uint32_t>(RING_UNIT_BYTES - 1)

cdef inline uint8_t* record_key(const Record* r) noexcept nogil:
    return <uint8_t*>r + sizeof(Record)

cdef inline uint8_t* record_payload(const Record* r) noexcept nogil:
    return <uint8_t*>r + sizeof(Record) + r.key_len

cdef inline const HalfHeader* half_of(const CacheHeader* c, Half half) noexcept nogil:
    return &c.halves[<uint32_t>half]

cdef inline EntryState* state_of(const CacheHeader* c, Half half, uint64_t slot) noexcept nogil:
    return <EntryState*>(<uint8_t*>c + half_of(c, half).state_at) + slot

# Whole seconds of its TTL that are left at now_ns; 0 and less: it has expired so long ago. The clock of another
# thread may be ahead of now_ns by the time that a query takes.
cdef inline int64_t ttl_left_s(const Record* r, uint64_t now_ns) noexcept nogil:
    cdef uint64_t age_ns = now_ns - r.stored_ns if now_ns > r.stored_ns else 0
    return <int64_t>r.ttl_s - <int64_t>(age_ns // 1000000000)

# Set key.hash from its data.
cdef void seal_key(const CacheHeader* c, Key* key) noexcept nogil

# The newest whole record of a key, copied to buffer (8-aligned, room bytes), fresh or not. False: there is none.
cdef bint find(const CacheHeader* c, Half half, const Key* key, uint8_t* buffer, uint32_t room,
               Found* found) noexcept nogil

# Have the memory fetched that find begins with, and then, when that has come, what it leads to. Hints.
cdef void prefetch_entries(const CacheHeader* c, uint64_t hash) noexcept nogil
cdef void prefetch_records(const CacheHeader* c, uint64_t hash) noexcept nogil

# Publish a record. draft: a Record with stored_ns, ttl_s, payload_len and rcode, its key_len and key as in key, its
# payload, and room for the padding; insert completes it. useful_until_ns and usage: see EntryState.
cdef Insertion insert(CacheHeader* c, Half half, const Key* key, Record* draft, uint64_t useful_until_ns,
                      uint64_t usage) noexcept nogil

# Take a key's records out of the index.
cdef void remove(CacheHeader* c, Half half, const Key* key) noexcept nogil

# Count a hit at now_ns and return how many there were without a gap of more than window_ms.
cdef uint32_t count_hit(EntryState* state, uint64_t now_ns, uint64_t window_ms) noexcept nogil

# Whether the caller is the one that refreshes the entry; others wait until until_ns, should it die.
cdef bint claim_refresh(EntryState* state, uint64_t now_ns, uint64_t until_ns) noexcept nogil


cdef class Cache:
    cdef CacheHeader* header
    cdef readonly int fd
    cdef readonly size_t size_bytes
    cdef readonly tuple capacities
    cdef readonly tuple ring_bytes
