"""Keyed digests (HMAC, RFC 2104) with SHA-1 and the SHA-2 family (FIPS 180-4), without the GIL.

They are here, and not a library's, because messages are verified and signed on threads without the GIL, and no
extension of this package is linked to a library that a host may not have. No branch and no index depends on a
secret.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef enum Digest:
    SHA1 = 0
    SHA224 = 1
    SHA256 = 2
    SHA384 = 3
    SHA512 = 4

cdef enum:
    DIGESTS = 5
    MAX_DIGEST_BYTES = 64
    MAX_BLOCK_BYTES = 128

# A digest under construction. The words of SHA-1, SHA-224 and SHA-256 are the low halves of those in state.
cdef struct Hash:
    uint64_t state[8]
    uint64_t length                 # bytes so far
    uint8_t block[MAX_BLOCK_BYTES]
    uint8_t digest                  # a Digest

# A secret, as what is left of it after the first block of both digests: each message saves two blocks.
cdef struct HmacKey:
    uint64_t inner[8]
    uint64_t outer[8]
    uint8_t digest

cdef inline uint32_t digest_bytes(uint32_t digest) noexcept nogil:
    return 20 if digest == SHA1 else 28 if digest == SHA224 else 32 if digest == SHA256 else (
        48 if digest == SHA384 else 64)

cdef inline uint32_t block_bytes(uint32_t digest) noexcept nogil:
    return 128 if digest >= SHA384 else 64

cdef void hash_begin(Hash* h, uint8_t digest) noexcept nogil
cdef void hash_add(Hash* h, const uint8_t* data, uint32_t length) noexcept nogil
# Writes digest_bytes, which it returns.
cdef uint32_t hash_end(Hash* h, uint8_t* out) noexcept nogil

cdef void hmac_key(HmacKey* key, uint8_t digest, const uint8_t* secret, uint32_t length) noexcept nogil
cdef void hmac_begin(Hash* h, const HmacKey* key) noexcept nogil
cdef uint32_t hmac_end(Hash* h, const HmacKey* key, uint8_t* out) noexcept nogil
