"""Who asks most: bounded counts of clients and names by each serving thread, in memory that the supervisor reads.

What is counted has an entry in a set of WAYS entries, by its hash. Where the set is full, what is new takes the
place of the entry with the least count, and goes on from that count, as in the space-saving algorithm (Metwally,
Agrawal, El Abbadi 2005). It does so by chance, once in as many times as that count says (randomized admission: Ben
Basat and others 2017), so that a flood of names that come once neither costs much nor drives out what is asked
often. Of an entry is known

    least  =  count - error         how often it was counted since it has the entry
    most   =  count + refused       with what it may have lost before: the entry's count at that time (its error),
                                    and what the set had refused by then

and what has no entry was counted at most as often as the least of its set says, and what was refused. What came
while its set had free entries, and has kept its own, is exact: error and refused are 0.

Counts are of a window of time. Each thread has tables of two windows, the present one and the one before. A set is
emptied when it is first used in a window, so that the start of a window costs no query more than that.

A thread is the only writer of its tables; nothing waits. A change of more than a count is between two changes of
the set's stamp (a seqlock). A successor of a thread that was killed in between empties that one set.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from fastdns.memory._atomics cimport load_relaxed, store_relaxed, store_relaxed_u32

cdef enum:
    WAYS = 16
    NAME_BYTES = 175            # that are kept of a name; an entry has 192 bytes with them
    ADDRESS_BYTES = 16
    MIN_SIZE = 64
    MAX_SIZE = 16384
    WINDOWS = 2

cdef enum Kind:
    CLIENTS = 0
    NAMES = 1
    NXDOMAINS = 2
    SLOW = 3
    KINDS = 4

# What is looked at for each query: two cache lines.
cdef struct Ways:
    uint32_t tags[WAYS]         # parts of hashes, not 0
    uint32_t counts[WAYS]       # 0: free

# Beside a way, what is written when it is taken.
cdef struct Entry:
    uint64_t hash
    uint32_t error              # what it began with
    uint32_t refused            # how often its set had refused something by then
    uint8_t length              # of all of it, which may be more than is kept
    uint8_t data[NAME_BYTES]    # lowercased wire form, or an address; entries of clients end after ADDRESS_BYTES

# The part of a thread's memory that stands before its tables.
cdef struct Head:
    uint64_t seen               # a thread has this memory
    uint64_t changing           # which set is changed, or was last: its number among all of the thread
    uint64_t windows[WINDOWS]   # their numbers, from 1: CLOCK_MONOTONIC by the length of a window
    uint64_t queries[WINDOWS]   # that were counted
    uint64_t pad[2]

cdef struct SetState:
    uint64_t stamp              # the window (32 bits), and a number that is odd while the set changes
    uint64_t refused            # how often something new got no entry

cdef struct Table:
    SetState* states
    Ways* ways
    uint8_t* entries
    uint32_t entry_bytes
    uint32_t room               # bytes of data in an entry
    uint64_t first_set          # number of its first set among all of the thread

# What a thread counts in. The tables of a window stand together.
cdef struct Sketch:
    Head* head
    uint64_t seed
    uint64_t window_ns
    uint64_t window_ends_ns
    uint64_t random             # xorshift state, never 0
    uint32_t window
    uint32_t sets               # of each table
    Table* tables               # of the window that is now
    Table all[WINDOWS][KINDS]

# What has entries, before it is ranked.
cdef struct Item:
    uint64_t hash
    uint64_t least

# All that is known of one hash.
cdef struct Known:
    uint64_t least
    uint64_t most
    uint32_t length             # 0: it has no entry
    uint32_t kept
    uint8_t data[NAME_BYTES]

cdef extern from *:
    """
    #include <stdint.h>
    #ifndef FASTDNS_SETS
    #define FASTDNS_SETS
    #ifdef __SSE2__
    #include <emmintrin.h>
    #endif
    /* One bit for each of 16 tags that is this one. */
    static inline uint32_t fdt_find(const uint32_t *tags, uint32_t tag) {
    #ifdef __SSE2__
        __m128i wanted = _mm_set1_epi32((int)tag);
        const __m128i *at = (const __m128i *)tags;
        __m128i a = _mm_packs_epi32(_mm_cmpeq_epi32(_mm_loadu_si128(at), wanted),
                                    _mm_cmpeq_epi32(_mm_loadu_si128(at + 1), wanted));
        __m128i b = _mm_packs_epi32(_mm_cmpeq_epi32(_mm_loadu_si128(at + 2), wanted),
                                    _mm_cmpeq_epi32(_mm_loadu_si128(at + 3), wanted));
        return (uint32_t)_mm_movemask_epi8(_mm_packs_epi16(a, b));
    #else
        uint32_t found = 0;
        for (int i = 0; i < 16; i++) found |= (uint32_t)(tags[i] == tag) << i;
        return found;
    #endif
    }
    /* The least of 16 counts: compilers make vector instructions of it. Counts are below 2^31. */
    static inline uint32_t fdt_least(const uint32_t *counts) {
        const int32_t *c = (const int32_t *)counts;
        int32_t least = c[0];
        for (int i = 1; i < 16; i++) least = c[i] < least ? c[i] : least;
        return (uint32_t)least;
    }
    #endif
    """
    uint32_t find_tag "fdt_find"(const uint32_t* tags, uint32_t tag) noexcept nogil
    uint32_t least_count "fdt_least"(const uint32_t* counts) noexcept nogil
    int lowest_bit "__builtin_ctz"(uint32_t bits) noexcept nogil
    void prefetch "__builtin_prefetch"(const void* at) noexcept nogil

# A query came at this time (CLOCK_MONOTONIC): has the tables of its window, or of a later one, in use.
cdef inline void enter_window(Sketch* s, uint64_t now_ns) noexcept nogil:
    if now_ns >= s.window_ends_ns:
        begin_window(s, now_ns)
    s.head.queries[s.window & 1] += 1

cdef inline uint64_t next_random(Sketch* s) noexcept nogil:
    cdef uint64_t x = s.random
    x ^= x >> 12
    x ^= x << 25
    x ^= x >> 27
    s.random = x
    return x * <uint64_t>0x2545F4914F6CDD1D

cdef inline uint32_t set_of(const Sketch* s, uint64_t hash) noexcept nogil:
    return <uint32_t>(((hash >> 32) * s.sets) >> 32)

# Of what will be counted soon: its set comes meanwhile.
cdef inline void expect(const Sketch* s, Kind kind, uint64_t hash) noexcept nogil:
    cdef const Table* t = &s.tables[<uint32_t>kind]
    cdef uint32_t at = set_of(s, hash)
    prefetch(&t.states[at])
    prefetch(&t.ways[at].tags[0])
    prefetch(&t.ways[at].counts[0])

# One more of what has this hash. It is data, of at most 255 bytes.
cdef inline void count_one(Sketch* s, Kind kind, uint64_t hash, const uint8_t* data,
                           uint32_t length) noexcept nogil:
    cdef Table* t = &s.tables[<uint32_t>kind]
    cdef uint32_t at = set_of(s, hash)
    cdef Ways* ways = &t.ways[at]
    cdef uint32_t found
    if load_relaxed(&t.states[at].stamp) >> 32 == s.window:
        found = find_tag(ways.tags, <uint32_t>hash | 1)
        if found:
            found = lowest_bit(found)
            store_relaxed_u32(&ways.counts[found], ways.counts[found] + 1)
            return
        # Once in least + 1 times.
        if (next_random(s) >> 32) * (<uint64_t>least_count(ways.counts) + 1) >> 32:
            store_relaxed(&t.states[at].refused, t.states[at].refused + 1)
            return
    admit(s, t, at, hash, data, length)

cdef void begin_window(Sketch* s, uint64_t now_ns) noexcept nogil
cdef void admit(Sketch* s, Table* t, uint32_t at, uint64_t hash, const uint8_t* data,
                uint32_t length) noexcept nogil


cdef class Sketches:
    cdef uint8_t* memory
    cdef readonly uint32_t threads
    cdef readonly uint32_t size
    cdef uint64_t window_ns
    cdef uint64_t seed
    cdef uint32_t sets
    cdef size_t thread_bytes
    cdef void lay_out(self, uint32_t thread, Sketch* s) noexcept
    cdef size_t collect(self, uint32_t thread, uint32_t kind, uint64_t window, Item* into, size_t items) noexcept
    cdef void know(self, uint64_t hash, uint32_t kind, uint64_t window, Known* known) noexcept


cdef class ThreadSketch:
    cdef Sketch sketch
    cdef Sketches sketches
    cdef list workers
