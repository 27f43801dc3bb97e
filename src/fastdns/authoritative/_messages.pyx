"""The messages of a transfer, as they are written: see _messages.pxd."""

from libc.string cimport memcpy, memset

from fastdns._wire cimport (
    CLASS_IN, HEADER_BYTES, MAX_NAME_BYTES, OPT_FIXED_BYTES, RR, TYPE_OPT, put_u16, put_u32,
)

cdef enum:
    POINTER = 0xC000
    REACH = 0x3FFF              # of a pointer
    RR_FIXED_BYTES = 10
    UDP_BYTES = 1232            # that the OPT record tells
    SECTION_RDATA_BYTES = 320   # of an RR of a section: a name, and what stands before it


cdef void begin_message(Message* m, Outgoing* t, uint8_t* out, uint32_t room) noexcept nogil:
    m.t = t
    m.out = out
    m.room = room
    m.limit = TARGET_BYTES if TARGET_BYTES < room else room
    m.count = 0
    m.owner_at = 0
    memset(out, 0, HEADER_BYTES)
    put_u16(out, t.id)
    put_u16(out + 2, t.flags)
    put_u16(out + 4, 1)
    memcpy(out + HEADER_BYTES, t.spelled, t.name_len)
    m.size = HEADER_BYTES + t.name_len
    put_u16(out + m.size, t.qtype)
    put_u16(out + m.size + 2, CLASS_IN)
    m.size += 4
    if t.has_opt:
        # Its room, whatever is written before it.
        m.limit -= OPT_FIXED_BYTES
        m.room -= OPT_FIXED_BYTES


cdef int32_t end_message(Message* m) noexcept nogil:
    cdef uint8_t* at = m.out + m.size
    put_u16(m.out + 6, m.count)
    m.t.records += m.count
    if m.t.has_opt:
        # RFC 6891 section 6.1.1
        m.t.has_opt = False
        put_u16(m.out + 10, 1)
        memset(at, 0, OPT_FIXED_BYTES)
        put_u16(at + 1, TYPE_OPT)
        put_u16(at + 3, UDP_BYTES)
        m.size += OPT_FIXED_BYTES
    return <int32_t>m.size


cdef bint write_rr(Message* m, const uint8_t* name, uint32_t size, uint16_t rrtype, uint32_t ttl_s,
                   const uint8_t* rdata, uint32_t rdata_len) noexcept nogil:
    cdef bint same = name == NULL and 0 < m.owner_at <= REACH
    cdef uint32_t needed = (2 if same else size + 2) + RR_FIXED_BYTES + rdata_len
    cdef uint8_t* at = m.out + m.size
    if m.size + needed > (m.limit if m.count else m.room):
        return False
    if same:
        put_u16(at, <uint16_t>(POINTER | m.owner_at))
        at += 2
    else:
        m.owner_at = m.size
        memcpy(at, name, size)
        at += size
        put_u16(at, POINTER | HEADER_BYTES)
        at += 2
    put_u16(at, rrtype)
    put_u16(at + 2, CLASS_IN)
    put_u32(at + 4, ttl_s)
    put_u16(at + 8, <uint16_t>rdata_len)
    memcpy(at + RR_FIXED_BYTES, rdata, rdata_len)
    m.size += needed
    m.count += 1
    return True


cdef bint write_section(Message* m, const Section* section) noexcept nogil:
    cdef uint8_t rdata[SECTION_RDATA_BYTES]
    cdef const uint8_t* owner
    cdef const RR* rr
    cdef uint32_t i, size
    m.limit = m.room
    for i in range(section.count):
        rr = &section.rr[i]
        size = rr.owner_len - m.t.name_len if rr.owner_len >= m.t.name_len else 0
        if rr.fixed_len + rr.name_len > SECTION_RDATA_BYTES or rr.tail_len or size > MAX_NAME_BYTES:
            continue
        memcpy(rdata, <const uint8_t*>rr.inline_fixed if rr.fixed == NULL else rr.fixed, rr.fixed_len)
        if rr.name_len:
            memcpy(rdata + rr.fixed_len, rr.name, rr.name_len)
        owner = rr.owner if size else m.t.spelled
        if not write_rr(m, owner, size, rr.rrtype, rr.ttl_s, rdata,
                        <uint32_t>rr.fixed_len + rr.name_len):
            return False
    return True
