"""A keyed hash of bytes: with a secret seed nobody can choose bytes that collide."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    #ifndef FASTDNS_HASH
    #define FASTDNS_HASH
    static inline uint64_t fdh_mix(uint64_t a, uint64_t b) {
        unsigned __int128 r = (unsigned __int128)a * b;
        return (uint64_t)r ^ (uint64_t)(r >> 64);
    }
    static inline uint64_t fdh_hash(uint64_t seed, const uint8_t *p, uint32_t n) {
        uint64_t h = seed ^ (n * 0x9E3779B97F4A7C15ull), v;
        while (n >= 8) { memcpy(&v, p, 8); h = fdh_mix(h ^ v, 0xA0761D6478BD642Full); p += 8; n -= 8; }
        if (n) { v = 0; memcpy(&v, p, n); h = fdh_mix(h ^ v, 0xE7037ED1A0B428DBull); }
        return fdh_mix(h, 0x8EBC6AF09C88C6E3ull);
    }
    #endif
    """
    uint64_t hash_bytes "fdh_hash"(uint64_t seed, const uint8_t* data, uint32_t size) noexcept nogil
