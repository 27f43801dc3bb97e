"""Numbers that nobody can guess: from the kernel's generator, 4096 bytes a call.

For message IDs, ports and keys of hashes. Where a guess does no harm, next_random of _chain is faster.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

cdef enum:
    RANDOM_BYTES = 4096

cdef extern from "sys/random.h" nogil:
    ssize_t getrandom(void* buffer, size_t size, unsigned int flags)

# Zeroed memory is a Random that fetches its first bytes when it is asked.
cdef struct Random:
    uint32_t left
    uint8_t bytes[RANDOM_BYTES]

cdef inline uint32_t random_u32(Random* r) noexcept nogil:
    cdef uint32_t value
    cdef uint8_t* at
    if r.left == 0:
        # A signal may cut a call short. It cannot fail otherwise once the kernel has gathered entropy, after boot.
        while getrandom(r.bytes, RANDOM_BYTES, 0) < RANDOM_BYTES:
            pass
        r.left = RANDOM_BYTES
    r.left -= 4
    at = r.bytes + r.left
    memcpy(&value, at, 4)
    # Forgotten, so that it cannot be read later.
    memset(at, 0, 4)
    return value

cdef inline uint64_t random_u64(Random* r) noexcept nogil:
    cdef uint64_t upper = random_u32(r)
    return upper << 32 | random_u32(r)
