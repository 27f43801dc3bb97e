"""Hashed owner names: see _nsec3.pxd."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef enum:
    BLOCK_BYTES = 64

cdef const uint8_t* ALPHABET = <const uint8_t*>b"0123456789abcdefghijklmnopqrstuv"


cdef inline uint32_t rotate(uint32_t value, uint32_t bits) noexcept nogil:
    return value << bits | value >> (32 - bits)


cdef void add_block(uint32_t* state, const uint8_t* block) noexcept nogil:
    cdef uint32_t w[80]
    cdef uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4]
    cdef uint32_t i, f, k, mixed
    for i in range(16):
        w[i] = (<uint32_t>block[4 * i] << 24 | <uint32_t>block[4 * i + 1] << 16
                | <uint32_t>block[4 * i + 2] << 8 | block[4 * i + 3])
    for i in range(16, 80):
        w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1)
    for i in range(80):
        if i < 20:
            f = (b & c) | (~b & d)
            k = 0x5A827999u
        elif i < 40:
            f = b ^ c ^ d
            k = 0x6ED9EBA1u
        elif i < 60:
            f = (b & c) | (b & d) | (c & d)
            k = 0x8F1BBCDCu
        else:
            f = b ^ c ^ d
            k = 0xCA62C1D6u
        mixed = rotate(a, 5) + f + e + k + w[i]
        e = d
        d = c
        c = rotate(b, 30)
        b = a
        a = mixed
    state[0] += a
    state[1] += b
    state[2] += c
    state[3] += d
    state[4] += e


cdef void sha1(const uint8_t* first, uint32_t first_len, const uint8_t* second, uint32_t second_len,
               uint8_t* digest) noexcept nogil:
    cdef uint32_t state[5]
    cdef uint8_t block[BLOCK_BYTES]
    cdef uint32_t size = first_len + second_len, padded = (size + 8) // BLOCK_BYTES * BLOCK_BYTES + BLOCK_BYTES
    cdef uint64_t bits = <uint64_t>size * 8
    cdef uint32_t i
    state[0] = 0x67452301u
    state[1] = 0xEFCDAB89u
    state[2] = 0x98BADCFEu
    state[3] = 0x10325476u
    state[4] = 0xC3D2E1F0u
    for i in range(padded):
        if i < first_len:
            block[i % BLOCK_BYTES] = first[i]
        elif i < size:
            block[i % BLOCK_BYTES] = second[i - first_len]
        elif i == size:
            block[i % BLOCK_BYTES] = 0x80
        elif i < padded - 8:
            block[i % BLOCK_BYTES] = 0
        else:
            block[i % BLOCK_BYTES] = <uint8_t>(bits >> (8 * (padded - 1 - i)))
        if i % BLOCK_BYTES == BLOCK_BYTES - 1:
            add_block(state, block)
    for i in range(HASH_BYTES):
        digest[i] = <uint8_t>(state[i // 4] >> (24 - 8 * (i % 4)))


cdef void hash_label(const uint8_t* name, uint32_t size, uint32_t iterations, const uint8_t* salt,
                     uint32_t salt_len, uint8_t* label) noexcept nogil:
    cdef uint8_t digest[HASH_BYTES]
    cdef uint32_t i, at, bits, group, _again
    sha1(name, size, salt, salt_len, digest)
    for _again in range(iterations):
        sha1(digest, HASH_BYTES, salt, salt_len, digest)
    label[0] = HASH_LABEL_BYTES - 1
    # 5 bytes are 8 characters.
    for group in range(HASH_BYTES // 5):
        for i in range(8):
            at = group * 5 + i * 5 // 8
            bits = <uint32_t>digest[at] << 8
            if at + 1 < HASH_BYTES:
                bits |= digest[at + 1]
            label[1 + group * 8 + i] = ALPHABET[bits >> (11 - i * 5 % 8) & 31]


def hashed(bytes name not None, int iterations, bytes salt not None):
    """The label of a name's hash, as text. name: in wire form, lowercased."""
    cdef uint8_t label[HASH_LABEL_BYTES]
    hash_label(name, <uint32_t>len(name), iterations, salt, <uint32_t>len(salt), label)
    return label[1:HASH_LABEL_BYTES].decode()
