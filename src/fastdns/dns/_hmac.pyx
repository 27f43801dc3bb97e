"""HMAC with SHA-1 and SHA-2: see _hmac.pxd."""

from math import isqrt

from libc.string cimport memcpy, memset

# FIPS 180-4 sections 4.2 and 5.3: fractions of the roots of primes. SHA-256 has the first halves of SHA-512's
# words, SHA-224 the second halves of SHA-384's.
cdef uint64_t ROUND[80]
cdef uint64_t START[DIGESTS][8]


def _cube_root(number):
    """Rounded down."""
    root = 1 << -(-number.bit_length() // 3)
    while (step := (2 * root + number // root**2) // 3) < root:
        root = step
    return root


cdef int fill_tables() except -1:
    cdef uint32_t i
    primes = [n for n in range(2, 410) if all(n % p for p in range(2, isqrt(n) + 1))]
    sha1 = (0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0, 0, 0, 0)
    cdef object low = 2**64 - 1
    for i in range(80):
        ROUND[i] = _cube_root(primes[i] << 192) & low
    for i in range(8):
        START[<int>SHA1][i] = sha1[i]
        START[<int>SHA512][i] = isqrt(primes[i] << 128) & low
        START[<int>SHA384][i] = isqrt(primes[i + 8] << 128) & low
        START[<int>SHA256][i] = START[<int>SHA512][i] >> 32
        START[<int>SHA224][i] = START[<int>SHA384][i] & 0xFFFFFFFF
    return 0


fill_tables()


cdef inline uint32_t left(uint32_t x, uint32_t n) noexcept nogil:
    return (x << n) | (x >> (32 - n))


cdef inline uint32_t right(uint32_t x, uint32_t n) noexcept nogil:
    return (x >> n) | (x << (32 - n))


cdef inline uint64_t right64(uint64_t x, uint32_t n) noexcept nogil:
    return (x >> n) | (x << (64 - n))


cdef inline uint32_t word32(const uint8_t* at) noexcept nogil:
    return <uint32_t>at[0] << 24 | <uint32_t>at[1] << 16 | <uint32_t>at[2] << 8 | at[3]


cdef void add_block_sha1(uint64_t* state, const uint8_t* block) noexcept nogil:
    """FIPS 180-4 section 6.1.2."""
    cdef uint32_t w[80]
    cdef uint32_t a = <uint32_t>state[0], b = <uint32_t>state[1], c = <uint32_t>state[2], d = <uint32_t>state[3]
    cdef uint32_t e = <uint32_t>state[4]
    cdef uint32_t t, mixed
    for t in range(16):
        w[t] = word32(block + 4 * t)
    for t in range(16, 80):
        w[t] = left(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1)
    for t in range(80):
        if t < 20:
            mixed = ((b & c) ^ (~b & d)) + <uint32_t>0x5A827999
        elif t < 40:
            mixed = (b ^ c ^ d) + <uint32_t>0x6ED9EBA1
        elif t < 60:
            mixed = ((b & c) ^ (b & d) ^ (c & d)) + <uint32_t>0x8F1BBCDC
        else:
            mixed = (b ^ c ^ d) + <uint32_t>0xCA62C1D6
        mixed += left(a, 5) + e + w[t]
        e = d
        d = c
        c = left(b, 30)
        b = a
        a = mixed
    state[0] = <uint32_t>(state[0] + a)
    state[1] = <uint32_t>(state[1] + b)
    state[2] = <uint32_t>(state[2] + c)
    state[3] = <uint32_t>(state[3] + d)
    state[4] = <uint32_t>(state[4] + e)


cdef void add_block_sha256(uint64_t* state, const uint8_t* block) noexcept nogil:
    """FIPS 180-4 section 6.2.2."""
    cdef uint32_t w[64]
    cdef uint32_t v[8]
    cdef uint32_t t, t1, t2, x, y
    for t in range(8):
        v[t] = <uint32_t>state[t]
    for t in range(16):
        w[t] = word32(block + 4 * t)
    for t in range(16, 64):
        x = w[t - 15]
        y = w[t - 2]
        w[t] = ((right(y, 17) ^ right(y, 19) ^ (y >> 10)) + w[t - 7]
                + (right(x, 7) ^ right(x, 18) ^ (x >> 3)) + w[t - 16])
    for t in range(64):
        t1 = (v[7] + (right(v[4], 6) ^ right(v[4], 11) ^ right(v[4], 25)) + ((v[4] & v[5]) ^ (~v[4] & v[6]))
              + <uint32_t>(ROUND[t] >> 32) + w[t])
        t2 = ((right(v[0], 2) ^ right(v[0], 13) ^ right(v[0], 22))
              + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2])))
        v[7] = v[6]
        v[6] = v[5]
        v[5] = v[4]
        v[4] = v[3] + t1
        v[3] = v[2]
        v[2] = v[1]
        v[1] = v[0]
        v[0] = t1 + t2
    for t in range(8):
        state[t] = <uint32_t>(state[t] + v[t])


cdef void add_block_sha512(uint64_t* state, const uint8_t* block) noexcept nogil:
    """FIPS 180-4 section 6.4.2."""
    cdef uint64_t w[80]
    cdef uint64_t v[8]
    cdef uint64_t t1, t2, x, y
    cdef uint32_t t
    memcpy(v, state, sizeof(v))
    for t in range(16):
        w[t] = <uint64_t>word32(block + 8 * t) << 32 | word32(block + 8 * t + 4)
    for t in range(16, 80):
        x = w[t - 15]
        y = w[t - 2]
        w[t] = ((right64(y, 19) ^ right64(y, 61) ^ (y >> 6)) + w[t - 7]
                + (right64(x, 1) ^ right64(x, 8) ^ (x >> 7)) + w[t - 16])
    for t in range(80):
        t1 = (v[7] + (right64(v[4], 14) ^ right64(v[4], 18) ^ right64(v[4], 41))
              + ((v[4] & v[5]) ^ (~v[4] & v[6])) + ROUND[t] + w[t])
        t2 = ((right64(v[0], 28) ^ right64(v[0], 34) ^ right64(v[0], 39))
              + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2])))
        v[7] = v[6]
        v[6] = v[5]
        v[5] = v[4]
        v[4] = v[3] + t1
        v[3] = v[2]
        v[2] = v[1]
        v[1] = v[0]
        v[0] = t1 + t2
    for t in range(8):
        state[t] += v[t]


cdef inline void add_block(Hash* h, const uint8_t* block) noexcept nogil:
    if h.digest == SHA1:
        add_block_sha1(h.state, block)
    elif h.digest < SHA384:
        add_block_sha256(h.state, block)
    else:
        add_block_sha512(h.state, block)


cdef void hash_begin(Hash* h, uint8_t digest) noexcept nogil:
    memcpy(h.state, START[digest], sizeof(h.state))
    h.length = 0
    h.digest = digest


cdef void hash_add(Hash* h, const uint8_t* data, uint32_t length) noexcept nogil:
    cdef uint32_t block = block_bytes(h.digest)
    cdef uint32_t used = <uint32_t>(h.length & (block - 1))
    cdef uint32_t taken
    h.length += length
    while length:
        if used == 0 and length >= block:
            add_block(h, data)
            data += block
            length -= block
            continue
        taken = block - used
        if taken > length:
            taken = length
        memcpy(h.block + used, data, taken)
        used += taken
        data += taken
        length -= taken
        if used == block:
            add_block(h, h.block)
            used = 0


cdef uint32_t hash_end(Hash* h, uint8_t* out) noexcept nogil:
    """FIPS 180-4 section 5.1: a bit, zeros, and the length in bits; its high half is zero."""
    cdef uint32_t block = block_bytes(h.digest)
    cdef uint32_t length_bytes = block // 8
    cdef uint32_t used = <uint32_t>(h.length & (block - 1))
    cdef uint32_t word = block // 16
    cdef uint32_t size = digest_bytes(h.digest)
    cdef uint32_t i
    h.block[used] = 0x80
    used += 1
    if used > block - length_bytes:
        memset(h.block + used, 0, block - used)
        add_block(h, h.block)
        used = 0
    memset(h.block + used, 0, block - used)
    for i in range(8):
        h.block[block - 1 - i] = ((h.length << 3) >> (8 * i)) & 0xFF
    add_block(h, h.block)
    for i in range(size):
        out[i] = (h.state[i // word] >> (8 * (word - 1 - i % word))) & 0xFF
    return size


cdef void add_pad(Hash* h, const uint8_t* secret, uint32_t length, uint8_t pad, uint64_t* state) noexcept nogil:
    cdef uint8_t block[MAX_BLOCK_BYTES]
    cdef uint32_t i
    memset(block, pad, MAX_BLOCK_BYTES)
    for i in range(length):
        block[i] ^= secret[i]
    add_block(h, block)
    memcpy(state, h.state, sizeof(h.state))


cdef void hmac_key(HmacKey* key, uint8_t digest, const uint8_t* secret, uint32_t length) noexcept nogil:
    cdef Hash h
    cdef uint8_t digested[MAX_DIGEST_BYTES]
    key.digest = digest
    if length > block_bytes(digest):
        hash_begin(&h, digest)
        hash_add(&h, secret, length)
        length = hash_end(&h, digested)
        secret = digested
    hash_begin(&h, digest)
    add_pad(&h, secret, length, 0x36, key.inner)
    hash_begin(&h, digest)
    add_pad(&h, secret, length, 0x5C, key.outer)


cdef void hmac_begin(Hash* h, const HmacKey* key) noexcept nogil:
    h.digest = key.digest
    h.length = block_bytes(key.digest)
    memcpy(h.state, key.inner, sizeof(h.state))


cdef uint32_t hmac_end(Hash* h, const HmacKey* key, uint8_t* out) noexcept nogil:
    cdef uint8_t digested[MAX_DIGEST_BYTES]
    cdef uint32_t size = hash_end(h, digested)
    h.length = block_bytes(key.digest)
    memcpy(h.state, key.outer, sizeof(h.state))
    hash_add(h, digested, size)
    return hash_end(h, out)


def hmac_digest(bytes secret not None, parts, uint8_t digest):
    """The HMAC of the joined parts (bytes). digest: 0 SHA-1, 1 SHA-224, 2 SHA-256, 3 SHA-384, 4 SHA-512."""
    cdef HmacKey key
    cdef Hash h
    cdef uint8_t out[MAX_DIGEST_BYTES]
    cdef bytes part
    if digest >= DIGESTS:
        raise ValueError(f"digest must be 0 to {DIGESTS - 1}, got {digest}")
    hmac_key(&key, digest, <const uint8_t*>secret, len(secret))
    hmac_begin(&h, &key)
    for part in parts:
        hash_add(&h, <const uint8_t*>part, len(part))
    return out[:hmac_end(&h, &key, out)]
