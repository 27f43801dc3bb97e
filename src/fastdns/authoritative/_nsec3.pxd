"""The hashed owner names of NSEC3 (RFC 5155 section 5): SHA-1, and base32 with the extended hex alphabet."""

from libc.stdint cimport uint8_t, uint32_t

cdef enum:
    HASH_BYTES = 20
    HASH_LABEL_BYTES = 33

# SHA-1 (FIPS 180-4) of one piece of data behind another one.
cdef void sha1(const uint8_t* first, uint32_t first_len, const uint8_t* second, uint32_t second_len,
               uint8_t* digest) noexcept nogil

# The label of a name's hash, HASH_LABEL_BYTES with its length, in lower case. name: in wire form, lowercased.
cdef void hash_label(const uint8_t* name, uint32_t size, uint32_t iterations, const uint8_t* salt,
                     uint32_t salt_len, uint8_t* label) noexcept nogil
