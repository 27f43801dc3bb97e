"""Reading the replies of other servers: see _replies.pxd."""

from libc.stdint cimport int32_t
from libc.string cimport memcpy

from fastdns._wire cimport RR, SCRATCH_BYTES, Section, add_rr, scratch
from fastdns.dns._cursor cimport Cursor, lower, read_u16, read_u32
from fastdns.dns._numbers cimport (
    FLAG_AA, FLAG_AD, FLAG_QR, FLAG_RA, FLAG_TC, HEADER_BYTES, MAX_NAME_BYTES, MAX_TTL_S, TYPE_A6, TYPE_NAPTR,
    TYPE_OPT,
)

cdef enum:
    MAX_POINTERS = 127              # more cannot be needed by a name of 255 bytes


cdef bint answers_question(const uint8_t* msg, uint32_t length, const uint8_t* name, uint32_t name_len,
                           uint16_t qtype, uint16_t qclass) noexcept nogil:
    cdef uint32_t i
    cdef uint16_t flags = (<uint16_t>msg[2] << 8) | msg[3]
    if length < HEADER_BYTES + name_len + 4 or (flags & 0xF800) != FLAG_QR or msg[4] != 0 or msg[5] != 1:
        return False
    msg += HEADER_BYTES
    # Length bytes are below 'A', so lowering them changes nothing.
    for i in range(name_len):
        if lower(msg[i]) != name[i]:
            return False
    msg += name_len
    return ((<uint16_t>msg[0] << 8) | msg[1]) == qtype and ((<uint16_t>msg[2] << 8) | msg[3]) == qclass


cdef int32_t expand_name(Cursor* c, uint8_t* out, uint32_t room) noexcept nogil:
    cdef uint32_t pos = c.pos
    cdef uint32_t limit = c.pos
    cdef uint32_t total = 0
    cdef uint32_t pointers = 0
    cdef uint32_t target
    cdef uint8_t length
    cdef bint jumped = False
    while True:
        if pos >= c.length:
            return -1
        length = c.msg[pos]
        if length & 0xC0 == 0xC0:
            if pos + 2 > c.length:
                return -1
            target = (<uint32_t>(length & 0x3F) << 8) | c.msg[pos + 1]
            if not jumped:
                c.pos = pos + 2
                jumped = True
            pointers += 1
            if target >= limit or target < HEADER_BYTES or pointers > MAX_POINTERS:
                return -1
            limit = target
            pos = target
            continue
        if length & 0xC0 or pos + 1 + length > c.length or total + 1 + length > room:
            return -1
        memcpy(out + total, c.msg + pos, length + 1)
        total += length + 1
        pos += length + 1
        if length == 0:
            if not jumped:
                c.pos = pos
            return total


cdef const uint8_t* kept_name(Cursor* c, Reply* r, uint16_t* length) noexcept nogil:
    """The name at the cursor, uncompressed in scratch, or NULL."""
    cdef uint8_t* at
    cdef int32_t size
    cdef uint32_t room = SCRATCH_BYTES - r.scratch_used
    if room > MAX_NAME_BYTES:
        room = MAX_NAME_BYTES
    at = &r.scratch[r.scratch_used]
    size = expand_name(c, at, room)
    if size < 0:
        return NULL
    r.scratch_used += size
    length[0] = size
    return at


cdef bint same_name(const uint8_t* name, uint32_t name_len, const Query* q) noexcept nogil:
    cdef uint32_t i
    if name_len != q.name_len:
        return False
    for i in range(name_len):
        if lower(name[i]) != q.name[i]:
            return False
    return True


cdef inline bint whole_options(const uint8_t* data, uint32_t length) noexcept nogil:
    """Whether the options of an OPT record end where it does (RFC 6891 section 6.1.2)."""
    cdef uint32_t pos = 0
    while pos + 4 <= length:
        pos += 4 + ((<uint32_t>data[pos + 2] << 8) | data[pos + 3])
    return pos == length


cdef bint read_rdata(Cursor* c, Reply* r, RR* rr, uint16_t rdlength) noexcept nogil:
    """The rdata of a record, whose type rr has. A second name goes, uncompressed, in front of the tail."""
    cdef RdataLayout layout = rdata_layout(rr.rrtype)
    cdef uint32_t fixed
    cdef uint32_t end = c.pos + rdlength
    cdef const uint8_t* second
    cdef uint8_t* tail
    cdef uint16_t second_len = 0
    if rr.rrtype == TYPE_A6 and rdlength and c.msg[c.pos] <= 128:
        # RFC 2874 section 3.1: bits that the address lacks, the rest of it, and a name where any are missing.
        layout.fixed = 1 + (128 - c.msg[c.pos] + 7) // 8
        layout.names = 1 if c.msg[c.pos] else 0
    if rr.rrtype == TYPE_NAPTR:
        fixed = naptr_fixed(c.msg + c.pos, rdlength)
        if fixed > rdlength:
            return False
        layout.fixed = fixed
        layout.names = 1
    if layout.names == 0:
        rr.fixed = c.msg + c.pos
        rr.fixed_len = rdlength
        c.pos = end
        return True
    if layout.fixed > rdlength:
        return False
    rr.fixed = c.msg + c.pos
    rr.fixed_len = layout.fixed
    c.pos += layout.fixed
    rr.compress_name = layout.compress
    rr.name = kept_name(c, r, &rr.name_len)
    if rr.name == NULL or c.pos > end:
        return False
    rr.tail = c.msg + c.pos
    if layout.names == 2:
        second = kept_name(c, r, &second_len)
        if second == NULL or c.pos > end:
            return False
        # What follows the name in scratch is free, and the name was the last that went there.
        tail = scratch(r, end - c.pos)
        if tail == NULL:
            return False
        memcpy(tail, c.msg + c.pos, end - c.pos)
        rr.tail = second
    rr.tail_len = second_len + (end - c.pos)
    c.pos = end
    return True


cdef bint read_section(Cursor* c, const Query* q, Reply* r, Section* section, uint32_t count) noexcept nogil:
    cdef uint32_t _i, ttl_s, begin
    cdef uint16_t rrtype, rclass, rdlength, owner_len = 0
    cdef const uint8_t* owner
    cdef RR* rr
    for _i in range(count):
        begin = r.scratch_used
        owner = kept_name(c, r, &owner_len)
        rrtype = read_u16(c)
        rclass = read_u16(c)
        ttl_s = read_u32(c)
        rdlength = read_u16(c)
        if owner == NULL or c.failed or rdlength > c.length - c.pos:
            return False
        if rrtype == TYPE_OPT:
            if not whole_options(c.msg + c.pos, rdlength):
                return False
            r.rcode |= (ttl_s >> 24) << 4
            r.options = c.msg + c.pos
            r.options_len = rdlength
        if rrtype == TYPE_OPT or rclass != q.qclass:
            r.scratch_used = begin
            c.pos += rdlength
            continue
        rr = add_rr(r, section, rrtype, ttl_s if ttl_s <= MAX_TTL_S else 0)
        if rr == NULL:
            return False
        if same_name(owner, owner_len, q):
            r.scratch_used = begin
        else:
            rr.owner = owner
            rr.owner_len = owner_len
        if not read_rdata(c, r, rr, rdlength):
            return False
    return True


cdef bint parse_reply(const uint8_t* msg, uint32_t length, const Query* q, Reply* r) noexcept nogil:
    cdef Cursor c
    cdef uint16_t flags = (<uint16_t>msg[2] << 8) | msg[3]
    cdef uint16_t answers, authorities, additionals
    c.msg = msg
    c.length = length
    c.pos = 6
    c.failed = False
    answers = read_u16(&c)
    authorities = read_u16(&c)
    additionals = read_u16(&c)
    c.pos = HEADER_BYTES + q.name_len + 4
    r.rcode = flags & 0xF
    r.aa = (flags & FLAG_AA) != 0
    r.ra = (flags & FLAG_RA) != 0
    r.ad = (flags & FLAG_AD) != 0
    r.tc = (flags & FLAG_TC) != 0
    return (read_section(&c, q, r, &r.answer, answers) and read_section(&c, q, r, &r.authority, authorities)
            and read_section(&c, q, r, &r.additional, additionals))
