"""Of all threads of all workers one asks a question; the others follow it.

Where a cache keeps the answers, it names a word in shared memory (``ctx.claim``). A thread that writes its mark
there first has claimed the question, and asks. The others follow: they wait until the mark is gone, or a second
old (its thread may be dead); then their client queries are resumed and find the answer in the cache.

    mark    31 bits of the question's hash, 1 bit: the claim was released, and 32 bits: when it was taken or
            released, in ms of CLOCK_MONOTONIC modulo 2^32. 0: the word was never taken.
"""

from libc.stdint cimport int32_t, uint32_t, uint64_t
from fastdns.memory._atomics cimport compare_and_swap, load

cdef enum:
    CLAIM_MS = 1000                 # how long others wait for the thread that asks
    RELEASED_BIT = 32
    HASH_BIT = 33

cdef struct Claim:
    uint64_t* word                  # NULL: neither taken nor followed
    uint64_t mark                   # that was taken, or is followed
    bint follows

cdef inline uint64_t mark_of(uint64_t hashed, bint released, uint64_t now_ns) noexcept nogil:
    return (hashed >> HASH_BIT << HASH_BIT) | <uint64_t>released << RELEASED_BIT | <uint32_t>(now_ns // 1000000)

# A little less than 0 where another thread's clock was ahead. Of a mark of weeks ago it may say anything.
cdef inline int32_t ms_since(uint64_t mark, uint64_t now_ns) noexcept nogil:
    return <int32_t>(<uint32_t>(now_ns // 1000000) - <uint32_t>mark)

# Take the right to ask a question; or follow the thread that has it, if may_follow. Neither, where another question
# has the word.
cdef inline void take_claim(Claim* c, uint64_t* word, uint64_t hashed, uint64_t received_ns, uint64_t now_ns,
                            bint may_follow) noexcept nogil:
    cdef uint64_t seen = load(word)
    cdef uint64_t mine = mark_of(hashed, False, now_ns)
    cdef bint same = seen and seen >> HASH_BIT == mine >> HASH_BIT
    cdef bint released = seen >> RELEASED_BIT & 1
    cdef int32_t age_ms = ms_since(seen, now_ns)
    cdef bint recent = seen and -CLAIM_MS < age_ms < CLAIM_MS
    cdef bint taken = recent and not released
    if same and recent and released and age_ms <= ms_since(mark_of(hashed, False, received_ns), now_ns):
        # The claim was released after this query arrived: look in the cache again.
        taken = True
    if not taken and compare_and_swap(word, seen, mine):
        c.word = word
        c.mark = mine
        return
    if not taken:
        seen = load(word)
        same = seen and seen >> HASH_BIT == mine >> HASH_BIT
    if same and may_follow:
        c.word = word
        c.mark = seen & ~(<uint64_t>1 << RELEASED_BIT)
        c.follows = True

# Let others ask, or follow no more.
cdef inline void release_claim(Claim* c, uint64_t now_ns) noexcept nogil:
    if c.word != NULL and not c.follows:
        compare_and_swap(c.word, c.mark, mark_of(c.mark, True, now_ns))
    c.word = NULL
    c.follows = False

# Whether the thread that is followed has released the question, or another one has taken it.
cdef inline bint is_released(const Claim* c) noexcept nogil:
    return load(c.word) != c.mark
