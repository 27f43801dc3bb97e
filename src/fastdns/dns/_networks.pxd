"""Addresses and networks as bytes: all of them 16, IPv4 mapped into IPv6 (RFC 4291 section 2.5.5.2)."""

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcmp, memcpy, memset

# A network: its address, and how many bits of it count.
cdef struct Prefix:
    uint8_t address[16]
    uint32_t bits

cdef inline bint is_mapped(const uint8_t* address) noexcept nogil:
    cdef uint8_t first[12]
    memset(first, 0, 10)
    first[10] = first[11] = 0xFF
    return memcmp(address, first, 12) == 0

# The 16 bytes of an address of 4 or 16.
cdef inline void put_mapped(uint8_t* out, const uint8_t* address, uint32_t size) noexcept nogil:
    if size == 4:
        memset(out, 0, 10)
        out[10] = out[11] = 0xFF
        memcpy(out + 12, address, 4)
    else:
        memcpy(out, address, 16)

cdef inline bint in_prefix(const uint8_t* address, const Prefix* prefix) noexcept nogil:
    cdef uint32_t whole = prefix.bits >> 3
    cdef uint32_t rest = prefix.bits & 7
    # An IPv4 address is in no IPv6 network, however short its prefix.
    if prefix.bits < 96 and is_mapped(address):
        return False
    if whole and memcmp(address, prefix.address, whole) != 0:
        return False
    return rest == 0 or (address[whole] ^ prefix.address[whole]) >> (8 - rest) == 0
