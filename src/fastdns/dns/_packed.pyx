"""Replies in a compact form that a cache keeps: see _packed.pxd."""

from libc.stdint cimport uint16_t
from libc.string cimport memcpy

from fastdns._wire cimport RR, Section, add_rr


# In front of a packed reply, and in front of each of its records; bytes follow in the order of the lengths.
cdef struct PackedHead:
    uint16_t counts[3]
    uint8_t rcode
    uint8_t flags               # 1: RA, 2: AD

cdef struct PackedRR:
    uint16_t rrtype
    uint16_t owner_len          # 0: owner_at says where in the question
    uint16_t owner_at
    uint16_t fixed_len
    uint16_t name_len
    uint16_t tail_len
    uint16_t compress


cdef inline void pack_bytes(uint8_t* out, uint32_t* pos, const uint8_t* data, uint32_t size) noexcept nogil:
    memcpy(out + pos[0], data, size)
    pos[0] += size


cdef bint pack_section(const Section* section, uint8_t* out, uint32_t* pos, uint32_t room) noexcept nogil:
    cdef uint32_t i
    cdef PackedRR head
    cdef const RR* rr
    for i in range(section.count):
        rr = &section.rr[i]
        head.rrtype = rr.rrtype
        head.owner_len = rr.owner_len if rr.owner != NULL else 0
        head.owner_at = rr.owner_at
        head.fixed_len = rr.fixed_len
        head.name_len = rr.name_len if rr.name != NULL else 0
        head.tail_len = rr.tail_len
        head.compress = rr.compress_name
        if pos[0] + sizeof(PackedRR) + head.owner_len + head.fixed_len + head.name_len + head.tail_len > room:
            return False
        pack_bytes(out, pos, <const uint8_t*>&head, sizeof(PackedRR))
        if head.owner_len:
            pack_bytes(out, pos, rr.owner, head.owner_len)
        if head.fixed_len:
            pack_bytes(out, pos, rr.fixed if rr.fixed != NULL else rr.inline_fixed, head.fixed_len)
        if head.name_len:
            pack_bytes(out, pos, rr.name, head.name_len)
        if head.tail_len:
            pack_bytes(out, pos, rr.tail, head.tail_len)
    return True


cdef uint32_t pack_reply(const Query* q, const Reply* r, uint8_t* out, uint32_t room) noexcept nogil:
    cdef PackedHead head
    cdef uint32_t pos = sizeof(PackedHead)
    if room < sizeof(PackedHead):
        return 0
    head.counts[0] = r.answer.count
    head.counts[1] = r.authority.count
    head.counts[2] = r.additional.count
    head.rcode = r.rcode & 0xF
    head.flags = (1 if r.ra else 0) | (2 if r.ad else 0)
    memcpy(out, &head, sizeof(PackedHead))
    if not (pack_section(&r.answer, out, &pos, room) and pack_section(&r.authority, out, &pos, room)
            and pack_section(&r.additional, out, &pos, room)):
        return 0
    return pos


cdef inline const uint8_t* take(const uint8_t* packed, uint32_t* pos, uint32_t size) noexcept nogil:
    cdef const uint8_t* at = packed + pos[0]
    pos[0] += size
    return at


cdef bint unpack_section(const uint8_t* packed, uint32_t length, uint32_t* pos, uint32_t count, uint32_t ttl_s,
                         Reply* r, Section* section) noexcept nogil:
    cdef uint32_t _i
    cdef PackedRR head
    cdef RR* rr
    for _i in range(count):
        if pos[0] + sizeof(PackedRR) > length:
            return False
        memcpy(&head, packed + pos[0], sizeof(PackedRR))
        pos[0] += sizeof(PackedRR)
        if pos[0] + head.owner_len + head.fixed_len + head.name_len + head.tail_len > length:
            return False
        rr = add_rr(r, section, head.rrtype, ttl_s)
        if rr == NULL:
            return False
        if head.owner_len:
            rr.owner = take(packed, pos, head.owner_len)
            rr.owner_len = head.owner_len
        else:
            rr.owner_at = head.owner_at
        if head.fixed_len:
            rr.fixed = take(packed, pos, head.fixed_len)
            rr.fixed_len = head.fixed_len
        if head.name_len:
            rr.name = take(packed, pos, head.name_len)
            rr.name_len = head.name_len
        if head.tail_len:
            rr.tail = take(packed, pos, head.tail_len)
            rr.tail_len = head.tail_len
        rr.compress_name = head.compress
    return True


cdef bint unpack_reply(const uint8_t* packed, uint32_t length, uint32_t ttl_s, Reply* r) noexcept nogil:
    cdef PackedHead head
    cdef uint32_t pos = sizeof(PackedHead)
    if length < sizeof(PackedHead):
        return False
    memcpy(&head, packed, sizeof(PackedHead))
    # The copy that packed points to lies in r's scratch, so that is not given back here.
    r.rcode = head.rcode
    r.ra = head.flags & 1
    r.ad = (head.flags & 2) != 0
    return (unpack_section(packed, length, &pos, head.counts[0], ttl_s, r, &r.answer)
            and unpack_section(packed, length, &pos, head.counts[1], ttl_s, r, &r.authority)
            and unpack_section(packed, length, &pos, head.counts[2], ttl_s, r, &r.additional))
