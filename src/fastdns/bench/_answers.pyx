"""Reads answer sections for ``--check``. Sans-IO, untrusted bytes: every read is bounded, pointers go backwards.

Each record of the question's type is hashed in its canonical form (RFC 4034 section 6.2: names uncompressed and in
lower case). The hashes are added, so that the order of records does not count. Owner names and TTLs do not count:
the server may follow an alias.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

cdef enum:
    HEADER_BYTES = 12
    FIXED_BYTES = 10        # type, class, TTL, length
    MAX_LABELS = 128
    ANY = 255

cdef extern from *:
    """
    /* FNV-1a, 64 bits. */
    #define FNV_BEGIN 0xcbf29ce484222325ULL
    #define FNV_PRIME 0x100000001b3ULL
    """
    const uint64_t FNV_BEGIN
    const uint64_t FNV_PRIME


cdef inline uint64_t mix(uint64_t hashed, uint8_t byte) noexcept nogil:
    return (hashed ^ byte) * FNV_PRIME


cdef inline uint64_t finish(uint64_t x) noexcept nogil:
    """Spread every bit over all bits, so that sums are not equal by chance."""
    x ^= x >> 30
    x *= <uint64_t>0xbf58476d1ce4e5b9
    x ^= x >> 27
    x *= <uint64_t>0x94d049bb133111eb
    return x ^ (x >> 31)


cdef uint32_t read_name(const uint8_t* message, uint32_t size, uint32_t at, uint64_t* hashed) noexcept nogil:
    """Hash the name at an offset. Returns the offset behind the name, or 0 if it is malformed."""
    cdef uint32_t behind = 0, labels = 0, length, i, target, bound = at
    cdef uint8_t byte
    while at < size:
        length = message[at]
        if length >= 0xC0:
            if at + 1 >= size:
                return 0
            target = ((length & 0x3F) << 8) | message[at + 1]
            if behind == 0:
                behind = at + 2
            if target >= bound:
                return 0
            at = bound = target
            continue
        if length > 63 or at + 1 + length > size:
            return 0
        hashed[0] = mix(hashed[0], <uint8_t>length)
        if length == 0:
            return behind if behind else at + 1
        for i in range(length):
            byte = message[at + 1 + i]
            hashed[0] = mix(hashed[0], byte + 32 if 65 <= byte <= 90 else byte)
        at += 1 + length
        labels += 1
        if labels > MAX_LABELS:
            return 0
    return 0


cdef inline uint32_t bytes_before_name(uint16_t rtype) noexcept nogil:
    """The number of bytes before the first name in a type's data; ~0 if no name in it may be compressed."""
    if rtype == 2 or rtype == 5 or rtype == 6 or rtype == 12 or rtype == 39:    # NS CNAME SOA PTR DNAME
        return 0
    if rtype == 15:                                                             # MX
        return 2
    if rtype == 33:                                                             # SRV
        return 6
    return ~<uint32_t>0


cdef uint64_t read_data(const uint8_t* message, uint32_t size, uint32_t at, uint32_t length,
                        uint16_t rtype) noexcept nogil:
    """The hash of a record's type and data; 0 if the data is malformed for the type."""
    cdef uint64_t hashed = mix(mix(FNV_BEGIN, rtype >> 8), rtype & 0xFF)
    cdef uint32_t end = at + length, before = bytes_before_name(rtype), names = 2 if rtype == 6 else 1
    if before != ~<uint32_t>0:
        if before > length:
            return 0
        while before:
            hashed = mix(hashed, message[at])
            at += 1
            before -= 1
        while names:
            names -= 1
            at = read_name(message, size, at, &hashed)
            if at == 0 or at > end:
                return 0
    while at < end:
        hashed = mix(hashed, message[at])
        at += 1
    hashed = finish(hashed)
    return hashed if hashed else 1


cdef int read_said(const uint8_t* message, uint32_t size, uint32_t at, uint16_t qtype, Said* said) noexcept nogil:
    """Read the answer section, from the offset behind the question. Returns -1 if it is malformed."""
    cdef uint32_t count, length
    cdef uint16_t rtype
    cdef uint64_t ignored = 0, hashed
    said.records = 0
    said.digest = 0
    if size < HEADER_BYTES:
        return -1
    count = (<uint32_t>message[6] << 8) | message[7]
    while count:
        count -= 1
        at = read_name(message, size, at, &ignored)
        if at == 0 or at + FIXED_BYTES > size:
            return -1
        rtype = (<uint16_t>message[at] << 8) | message[at + 1]
        length = (<uint32_t>message[at + 8] << 8) | message[at + 9]
        at += FIXED_BYTES
        if at + length > size:
            return -1
        if rtype == qtype or qtype == ANY:
            hashed = read_data(message, size, at, length, rtype)
            if hashed == 0:
                return -1
            said.records += 1
            said.digest += hashed
        at += length
    return 0


def said(bytes message not None, uint32_t question_end, uint16_t qtype):
    """(records, digest) of a message's answer section, or None if it is malformed."""
    cdef Said found
    if read_said(<const uint8_t*>message, len(message), question_end, qtype, &found) < 0:
        return None
    return found.records, found.digest
