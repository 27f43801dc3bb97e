"""Reading bytes of a sender that is not trusted, and writing them.

Every read is bounds-checked at the cursor, once; a failed read sets ``Cursor.failed`` and the caller looks once.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t

cdef struct Cursor:
    const uint8_t* msg
    uint32_t length
    uint32_t pos
    bint failed

cdef inline uint16_t read_u16(Cursor* c) noexcept nogil:
    if c.pos + 2 > c.length:
        c.failed = True
        return 0
    cdef uint16_t value = (<uint16_t>c.msg[c.pos] << 8) | c.msg[c.pos + 1]
    c.pos += 2
    return value

cdef inline uint32_t read_u32(Cursor* c) noexcept nogil:
    cdef uint32_t high = read_u16(c)
    return (high << 16) | read_u16(c)

cdef inline void skip(Cursor* c, uint32_t count) noexcept nogil:
    if count > c.length - c.pos:
        c.failed = True
        return
    c.pos += count

cdef inline void put_u16(uint8_t* out, uint16_t value) noexcept nogil:
    out[0] = value >> 8
    out[1] = value & 0xFF

cdef inline void put_u32(uint8_t* out, uint32_t value) noexcept nogil:
    put_u16(out, value >> 16)
    put_u16(out + 2, value & 0xFFFF)

# A letter without its case, as names compare (RFC 4343). Branchless: 'A'..'Z' get bit 5.
cdef inline uint8_t lower(uint8_t byte) noexcept nogil:
    return byte | (<uint8_t>(<uint8_t>(byte - 65) < 26) << 5)
