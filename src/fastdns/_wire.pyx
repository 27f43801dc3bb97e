"""DNS messages as bytes: see _wire.pxd for the shapes and RFC 1035 section 4 for the format.

      0  1  2  3  4  5  6  7  8  9  0  1  2  3  4  5
    +--+--+--+--+--+--+--+--+--+--+--+--+--+--+--+--+
    |                      ID                       |
    |QR|   Opcode  |AA|TC|RD|RA| Z|AD|CD|   RCODE   |
    |                    QDCOUNT                    |
    |                    ANCOUNT                    |
    |                    NSCOUNT                    |
    |                    ARCOUNT                    |
    +--+--+--+--+--+--+--+--+--+--+--+--+--+--+--+--+
"""

from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memmove, memset

cdef enum:
    MAX_POINTER_TARGET = 0x3FFF
    SUFFIX_SLOTS = 256              # power of two
    MAX_SUFFIXES = 160
    OPTION_SUBNET = 8
    OPTION_PADDING = 12
    OPTION_HEAD_BYTES = 4           # code and length
    OPTION_NONE = 0                 # reserved (RFC 6891 section 9): no option has it
    FAMILY_NONE = 0                 # address families of a client subnet (RFC 7871 section 6)
    FAMILY_IPV4 = 1
    FAMILY_IPV6 = 2


cdef inline bint read_qname(Cursor* c, Query* q) noexcept nogil:
    """The question's name, lowercased into q.name. A pointer has nothing to point to there: FORMERR."""
    cdef uint32_t at = 0
    cdef uint32_t labels = 0
    cdef uint32_t length, i
    cdef const uint8_t* msg = c.msg
    memset(q.boundary, 0, sizeof(q.boundary))
    while True:
        if c.pos >= c.length:
            return False
        length = msg[c.pos]
        q.boundary[at >> 6] |= <uint64_t>1 << (at & 63)
        if length == 0:
            q.name[at] = 0
            c.pos += 1
            break
        if length > 63 or c.pos + 1 + length >= c.length or at + 1 + length >= MAX_NAME_BYTES:
            return False
        q.label_at[labels] = at
        labels += 1
        q.name[at] = length
        for i in range(1, length + 1):
            q.name[at + i] = lower(msg[c.pos + i])
        at += length + 1
        c.pos += length + 1
    q.name_len = at + 1
    q.label_count = labels
    return True


cdef bint parse_question_name(const uint8_t* wire, uint32_t length, Query* q) noexcept nogil:
    """Fill q's name from an uncompressed wire name, for lookups that the server itself starts."""
    cdef Cursor c
    c.msg = wire
    c.length = length
    c.pos = 0
    c.failed = False
    return read_qname(&c, q)


cdef bint skip_name(Cursor* c) noexcept nogil:
    """Step over an owner name. Each pointer must lead strictly backwards, so the walk ends."""
    cdef uint32_t pos = c.pos
    cdef uint32_t limit = c.pos         # where a pointer may still lead: strictly before this
    cdef uint32_t total = 0
    cdef uint32_t target
    cdef uint8_t length
    cdef bint jumped = False
    while True:
        if pos >= c.length:
            return False
        length = c.msg[pos]
        if length == 0:
            if not jumped:
                c.pos = pos + 1
            return True
        if length & 0xC0 == 0xC0:
            if pos + 2 > c.length:
                return False
            target = (<uint32_t>(length & 0x3F) << 8) | c.msg[pos + 1]
            if not jumped:
                c.pos = pos + 2
                jumped = True
            if target >= limit or target < HEADER_BYTES:
                return False
            limit = target
            pos = target
            continue
        if length & 0xC0:
            return False
        total += length + 1
        if total >= MAX_NAME_BYTES:
            return False
        pos += length + 1


cdef bint read_subnet(const uint8_t* data, uint32_t length, Query* q) noexcept nogil:
    """Keep a client subnet. False where it is not well-formed (RFC 7871 section 6: FORMERR), or not the only one.

    Family 0 stands for no address at all: so dig asks for no subnet to be used.
    """
    cdef uint32_t most, bits, octets
    if q.subnet_len or length < 4:
        return False
    most = 0
    if data[0] == 0 and data[1] == FAMILY_IPV4:
        most = 32
    elif data[0] == 0 and data[1] == FAMILY_IPV6:
        most = 128
    elif data[0] != 0 or data[1] != FAMILY_NONE:
        return False
    bits = data[2]
    octets = (bits + 7) // 8
    # The scope is for replies to tell.
    if bits > most or data[3] != 0 or length != 4 + octets:
        return False
    if bits & 7 and data[3 + octets] & (0xFF >> (bits & 7)):
        return False
    memcpy(q.subnet, data, length)
    q.subnet_len = length
    return True


cdef bint read_opt(Cursor* c, Query* q, uint16_t rdlength) noexcept nogil:
    cdef uint32_t end = c.pos + rdlength
    cdef uint32_t start
    cdef uint16_t code, length
    while c.pos < end:
        start = c.pos
        code = read_u16(c)
        length = read_u16(c)
        skip(c, length)
        if c.failed or c.pos > end:
            return False
        if code == OPTION_SUBNET and not read_subnet(c.msg + start + 4, length, q):
            return False
        if echoed_option(code) and q.opt_echo_len + 4 + length <= MAX_OPT_ECHO_BYTES:
            memcpy(&q.opt_echo[q.opt_echo_len], c.msg + start, 4 + length)
            q.opt_echo_len += 4 + length
    return True


cdef bint read_options(Query* q) noexcept nogil:
    cdef Cursor c
    c.msg = q.msg
    c.length = q.opt_at + q.opt_len
    c.pos = q.opt_at + OPT_FIXED_BYTES
    c.failed = False
    q.subnet_len = 0
    q.opt_echo_len = 0
    return read_opt(&c, q, q.opt_len - OPT_FIXED_BYTES)


cdef bint read_records(Cursor* c, Query* q, uint32_t count, bint opt_allowed) noexcept nogil:
    """Step over count records, keeping what an OPT record says (RFC 6891 section 6.1)."""
    cdef uint32_t _i, ttl, start
    cdef uint16_t rrtype, rclass, rdlength
    for _i in range(count):
        start = c.pos
        if not skip_name(c):
            return False
        rrtype = read_u16(c)
        rclass = read_u16(c)
        ttl = read_u32(c)
        rdlength = read_u16(c)
        if c.failed or rdlength > c.length - c.pos:
            return False
        if rrtype == TYPE_OPT:
            # RFC 6891 section 6.1.1: one OPT record at most, in the additional section, owned by the root.
            if not opt_allowed or q.has_opt or c.msg[start] != 0:
                return False
            q.has_opt = True
            q.opt_at = start
            q.opt_len = OPT_FIXED_BYTES + rdlength
            q.udp_bytes = rclass
            q.edns_version = (ttl >> 16) & 0xFF
            q.do_bit = (ttl >> 15) & 1
            if not read_opt(c, q, rdlength):
                return False
        else:
            skip(c, rdlength)
    return not c.failed


cdef Accept accept(const uint8_t* msg, uint32_t length, Query* q) noexcept nogil:
    """The one acceptance function of every transport: what is answered, refused, or met with silence.

    ACCEPTED leaves a whole question in q. REJECTED leaves q.reject_rcode and q.has_question for write_bare.
    """
    cdef Cursor c
    cdef uint16_t qdcount, ancount, nscount, arcount
    c.msg = msg
    c.length = length
    c.pos = 0
    c.failed = False
    if length < HEADER_BYTES:
        return IGNORED
    q.msg = msg
    q.msg_len = length
    q.id = read_u16(&c)
    q.flags = read_u16(&c)
    if q.flags & FLAG_QR:
        return IGNORED
    q.opcode = (q.flags >> 11) & 0xF
    q.has_question = False
    q.has_opt = False
    q.do_bit = False
    q.edns_version = 0
    q.udp_bytes = MIN_UDP_BYTES
    q.opt_echo_len = 0
    q.subnet_len = 0
    q.sent_len = 0
    q.asked_udp_bytes = MAX_ASKED_UDP_BYTES
    if q.opcode != OPCODE_QUERY and q.opcode != OPCODE_NOTIFY:
        q.reject_rcode = NOTIMP
        return REJECTED
    q.reject_rcode = FORMERR
    qdcount = read_u16(&c)
    ancount = read_u16(&c)
    nscount = read_u16(&c)
    arcount = read_u16(&c)
    if qdcount != 1 or ancount > 1 or nscount > 1 or arcount > 2:
        return REJECTED
    if not read_qname(&c, q):
        return REJECTED
    q.qtype = read_u16(&c)
    q.qclass = read_u16(&c)
    if c.failed:
        return REJECTED
    q.has_question = True
    if arcount | ancount | nscount:
        if not (read_records(&c, q, ancount, False) and read_records(&c, q, nscount, False)
                and read_records(&c, q, arcount, True)):
            # A half-read OPT record must not shape the refusal.
            q.has_opt = False
            q.subnet_len = 0
            return REJECTED
    # What stands behind the message is nobody's: it is neither compared nor forwarded.
    q.msg_len = c.pos
    return ACCEPTED


# ---------------------------------------------------------------------------------------------- writing

# Suffixes of names already written, for compression (RFC 1035 section 4.1.4).
cdef struct Suffixes:
    uint32_t count
    uint16_t offset[SUFFIX_SLOTS]       # 0: empty
    uint32_t hashes[SUFFIX_SLOTS]


cdef struct Writer:
    uint8_t* out
    uint32_t pos
    uint32_t limit
    bint suffixes_ready
    const uint8_t* last_name            # the last name written outside the question, and where
    uint32_t last_name_at
    Suffixes suffixes


cdef bint same_suffix(const Writer* w, uint32_t at, const uint8_t* name) noexcept nogil:
    """Compare the (possibly compressed) name at out[at] with an uncompressed one, byte for byte.

    Only names that this writer wrote are walked, and its pointers lead strictly backwards.
    """
    cdef uint8_t length
    while True:
        length = w.out[at]
        if length & 0xC0 == 0xC0:
            at = (<uint32_t>(length & 0x3F) << 8) | w.out[at + 1]
            continue
        if length != name[0]:
            return False
        if length == 0:
            return True
        if memcmp(w.out + at + 1, name + 1, length) != 0:
            return False
        at += length + 1
        name += length + 1


cdef inline uint32_t label_hash(uint32_t rest, const uint8_t* label) noexcept nogil:
    cdef uint32_t value = rest * <uint32_t>0x9E3779B1 + label[0]
    cdef uint32_t i
    for i in range(1, label[0] + 1):
        value = (value ^ label[i]) * <uint32_t>0x01000193
    return value | 1


cdef uint32_t write_name(Writer* w, const uint8_t* name, uint32_t name_len, bint compress) noexcept nogil:
    """Write a name; with compress, end it in a pointer where a suffix stands already.

    Returns 0 where it does not fit. Suffixes that are new are remembered either way, as long as there is room.
    """
    cdef uint8_t starts[MAX_LABELS]
    cdef uint32_t hashes[MAX_LABELS]
    cdef uint32_t labels = 0
    cdef uint32_t at = 0
    cdef uint32_t i, slot, kept, known, found = 0
    cdef uint32_t begin = w.pos
    cdef uint32_t value = 0
    cdef Suffixes* s = &w.suffixes
    while name[at] != 0:
        starts[labels] = at
        labels += 1
        at += name[at] + 1
    i = labels
    while i > 0:
        i -= 1
        value = label_hash(value, name + starts[i])
        hashes[i] = value
    known = labels
    for i in range(labels):
        slot = hashes[i] & (SUFFIX_SLOTS - 1)
        while s.offset[slot] != 0:
            if s.hashes[slot] == hashes[i] and same_suffix(w, s.offset[slot], name + starts[i]):
                found = s.offset[slot]
                break
            slot = (slot + 1) & (SUFFIX_SLOTS - 1)
        if found:
            known = i
            break
    kept = known
    if not compress:
        kept = labels
        found = 0
    cdef uint32_t plain = starts[kept] if kept < labels else name_len - 1
    if w.pos + plain + (2 if found else 1) > w.limit:
        return 0
    memcpy(w.out + w.pos, name, plain)
    w.pos += plain
    if found:
        put_u16(w.out + w.pos, 0xC000 | found)
        w.pos += 2
    else:
        w.out[w.pos] = 0
        w.pos += 1
    for i in range(known):
        if s.count >= MAX_SUFFIXES or begin + starts[i] > MAX_POINTER_TARGET:
            break
        slot = hashes[i] & (SUFFIX_SLOTS - 1)
        while s.offset[slot] != 0:
            slot = (slot + 1) & (SUFFIX_SLOTS - 1)
        s.offset[slot] = begin + starts[i]
        s.hashes[slot] = hashes[i]
        s.count += 1
    return w.pos - begin


cdef void remember_qname(Writer* w, const Query* q) noexcept nogil:
    """Make the question's name and its suffixes targets for pointers, in the spelling that was asked."""
    cdef uint32_t i, slot, value = 0
    cdef Suffixes* s = &w.suffixes
    memset(s, 0, sizeof(Suffixes))
    w.suffixes_ready = True
    i = q.label_count
    while i > 0:
        i -= 1
        value = label_hash(value, w.out + HEADER_BYTES + q.label_at[i])
        slot = value & (SUFFIX_SLOTS - 1)
        while s.offset[slot] != 0:
            slot = (slot + 1) & (SUFFIX_SLOTS - 1)
        s.offset[slot] = HEADER_BYTES + q.label_at[i]
        s.hashes[slot] = value
        s.count += 1


cdef bint write_rr(Writer* w, const Query* q, uint16_t rrclass, const RR* rr) noexcept nogil:
    cdef uint32_t start = w.pos
    cdef uint32_t rdata_at
    cdef uint8_t* out = w.out
    if rr.owner == NULL:
        if w.pos + 12 > w.limit:
            return False
        put_u16(out + w.pos, 0xC000 | rr.owner_at)
        w.pos += 2
    else:
        if not w.suffixes_ready:
            remember_qname(w, q)
        if write_name(w, rr.owner, rr.owner_len, True) == 0 or w.pos + 10 > w.limit:
            w.pos = start
            return False
    put_u16(out + w.pos, rr.rrtype)
    put_u16(out + w.pos + 2, rrclass)
    put_u32(out + w.pos + 4, rr.ttl_s)
    rdata_at = w.pos + 10
    if rdata_at + rr.fixed_len > w.limit:
        w.pos = start
        return False
    w.pos = rdata_at
    if rr.fixed_len:
        memcpy(out + w.pos, rr.fixed if rr.fixed != NULL else rr.inline_fixed, rr.fixed_len)
        w.pos += rr.fixed_len
    if rr.name != NULL:
        if not w.suffixes_ready:
            remember_qname(w, q)
        if write_name(w, rr.name, rr.name_len, rr.compress_name) == 0:
            w.pos = start
            return False
    if rr.tail_len:
        if w.pos + rr.tail_len > w.limit:
            w.pos = start
            return False
        memcpy(out + w.pos, rr.tail, rr.tail_len)
        w.pos += rr.tail_len
    put_u16(out + rdata_at - 2, w.pos - rdata_at)
    return True


cdef bint write_section(Writer* w, const Query* q, uint16_t rrclass, const Section* section,
                        uint8_t* count_at) noexcept nogil:
    cdef uint32_t i
    for i in range(section.count):
        if not write_rr(w, q, rrclass, &section.rr[i]):
            put_u16(count_at, i)
            return False
    put_u16(count_at, section.count)
    return True


cdef inline uint32_t write_header(const Query* q, uint16_t flags, uint16_t rcode, bint question,
                                  uint8_t* out) noexcept nogil:
    """Header and question as asked, counts other than QDCOUNT zero. Returns the bytes written."""
    cdef uint32_t question_bytes = <uint32_t>q.name_len + 4 if question else 0
    put_u16(out, q.id)
    # RD is repeated in every reply, CD only in a query's (RFC 4035 section 3.1.6).
    flags |= FLAG_QR | (<uint16_t>q.opcode << 11) | (rcode & 0xF)
    if q.opcode == OPCODE_QUERY:
        flags |= q.flags & (FLAG_RD | FLAG_CD)
    put_u16(out + 2, flags)
    memset(out + 4, 0, 8)
    if question:
        out[5] = 1
        memcpy(out + HEADER_BYTES, q.msg + HEADER_BYTES, question_bytes)
    return HEADER_BYTES + question_bytes


cdef bint add_option(Reply* r, uint16_t code, const uint8_t* data, uint16_t length) noexcept nogil:
    cdef uint32_t kept = options_without(r.added, r.added_len, code, NULL)
    cdef uint8_t* out
    if kept + 4 + length > MAX_ADDED_BYTES:
        return False
    out = scratch(r, kept + 4 + length)
    if out == NULL:
        return False
    options_without(r.added, r.added_len, code, out)
    put_u16(out + kept, code)
    put_u16(out + kept + 2, length)
    memcpy(out + kept + 4, data, length)
    r.added = out
    r.added_len = kept + 4 + length
    return True


cdef uint32_t options_without(const uint8_t* options, uint32_t length, uint16_t code, uint8_t* out) noexcept nogil:
    cdef uint32_t at = 0, kept = 0, size
    while at + 4 <= length:
        size = 4 + ((<uint32_t>options[at + 2] << 8) | options[at + 3])
        if size > length - at:
            break
        if ((<uint16_t>options[at] << 8) | options[at + 1]) != code:
            if out != NULL:
                memmove(out + kept, options + at, size)
            kept += size
        at += size
    return kept


cdef uint32_t join_options(const uint8_t* options, uint32_t length, const Reply* r, uint8_t* out) noexcept nogil:
    """Write options and then the reply's own, each code of those once. Returns the size; out has room for all."""
    cdef uint32_t at = 0
    cdef uint32_t size = options_without(options, length, OPTION_NONE, out)
    while at < r.added_len:
        size = options_without(out, size, (<uint16_t>r.added[at] << 8) | r.added[at + 1], out)
        at += 4 + ((<uint32_t>r.added[at + 2] << 8) | r.added[at + 3])
    memcpy(out + size, r.added, r.added_len)
    return size + r.added_len


cdef void write_opt(const Query* q, uint16_t udp_bytes, uint16_t rcode, const uint8_t* options, uint16_t length,
                    uint8_t* out) noexcept nogil:
    out[0] = 0
    put_u16(out + 1, TYPE_OPT)
    put_u16(out + 3, udp_bytes)
    out[5] = rcode >> 4
    out[6] = 0                                          # version 0
    put_u16(out + 7, 0x8000 if q.do_bit else 0)
    put_u16(out + 9, length)
    memcpy(out + OPT_FIXED_BYTES, options, length)


cdef uint32_t write_bare(const Query* q, uint16_t rcode, uint8_t* out) noexcept nogil:
    """A reply without records: a refusal of accept, or BADVERS. At most 512 + 12 bytes; returns the size."""
    cdef uint32_t size = write_header(q, 0, rcode, q.has_question, out)
    if rcode == NOTIMP or rcode == FORMERR:
        put_u16(out + 2, FLAG_QR | (<uint16_t>q.opcode << 11) | (q.flags & FLAG_RD) | rcode)
    if rcode > 15:
        write_opt(q, 0, rcode, q.opt_echo, 0, out + size)
        out[11] = 1
        size += OPT_FIXED_BYTES
    return size


cdef inline bint has_padding(const uint8_t* options, uint32_t length) noexcept nogil:
    return options_without(options, length, OPTION_PADDING, NULL) != length


cdef inline uint32_t padding_bytes(const Query* q, const uint8_t* options, uint32_t length, uint32_t size,
                                   uint32_t max_bytes, uint32_t block) noexcept nogil:
    """The size of the Padding option of a reply that has size bytes without it; 0 where it gets none."""
    cdef uint32_t padded = size + OPTION_HEAD_BYTES + block - 1
    if not has_padding(q.msg + q.opt_at + OPT_FIXED_BYTES, q.opt_len - OPT_FIXED_BYTES):
        return 0
    # RFC 7830 section 3: one at most. A rule may have set one.
    if size + OPTION_HEAD_BYTES > max_bytes or has_padding(options, length):
        return 0
    padded -= padded % block
    return (padded if padded < max_bytes else max_bytes) - size


cdef uint32_t write_reply(const Query* q, Reply* r, uint8_t* out, uint32_t max_bytes) noexcept nogil:
    return write_padded(q, r, out, max_bytes, 0)


cdef uint32_t write_padded(const Query* q, Reply* r, uint8_t* out, uint32_t max_bytes,
                           uint32_t block) noexcept nogil:
    """Write the whole reply into at most max_bytes (at least 512); returns its size.

    Records that do not fit are left out from the first such one on, in the order answer, authority,
    additional, and TC is set (RFC 2181 section 9 asks it of the answer; CoreDNS sets it for every section).
    The OPT record always fits.
    """
    cdef Writer w
    cdef uint32_t opt_bytes = 0
    cdef uint32_t padding = 0
    cdef const uint8_t* options = r.options if r.options != NULL else q.opt_echo
    cdef uint16_t options_len = r.options_len if r.options != NULL else q.opt_echo_len
    cdef bint opt = q.has_opt and not r.no_opt
    cdef uint8_t* joined
    cdef bint tc
    cdef uint16_t flags
    cdef uint16_t rrclass = r.rrclass if r.rrclass else class_of_records(q)
    cdef bint whole
    w.out = out
    w.suffixes_ready = False
    w.pos = write_header(q, 0, r.rcode, True, out)
    if opt:
        if r.added_len:
            tc = r.tc
            joined = scratch(r, options_len + r.added_len)
            r.tc = tc
            if joined != NULL:
                options_len = join_options(options, options_len, r, joined)
                options = joined
        if w.pos + OPT_FIXED_BYTES + options_len > max_bytes:
            # They are the first thing to go.
            options_len = 0
        opt_bytes = OPT_FIXED_BYTES + options_len
    w.limit = max_bytes - opt_bytes
    whole = (write_section(&w, q, rrclass, &r.answer, out + 6)
             and write_section(&w, q, rrclass, &r.authority, out + 8)
             and write_section(&w, q, rrclass, &r.additional, out + 10))
    if opt:
        if block:
            padding = padding_bytes(q, options, options_len, w.pos + opt_bytes, max_bytes, block)
        write_opt(q, q.udp_bytes, r.rcode, options, options_len, out + w.pos)
        w.pos += opt_bytes
        if padding:
            put_u16(out + w.pos - options_len - 2, options_len + padding)
            put_u16(out + w.pos, OPTION_PADDING)
            put_u16(out + w.pos + 2, padding - OPTION_HEAD_BYTES)
            memset(out + w.pos + OPTION_HEAD_BYTES, 0, padding - OPTION_HEAD_BYTES)
            w.pos += padding
        put_u16(out + 10, ((<uint16_t>out[10] << 8) | out[11]) + 1)
    flags = 0
    if r.aa:
        flags |= FLAG_AA
    if r.ra:
        flags |= FLAG_RA
    if r.ad:
        flags |= FLAG_AD
    if r.tc or not whole:
        flags |= FLAG_TC
    out[2] |= flags >> 8
    out[3] |= flags & 0xFF
    if r.flags_set | r.flags_cleared:
        flags = ((<uint16_t>out[2] << 8) | out[3]) & ~(r.flags_cleared & HEADER_BITS)
        put_u16(out + 2, flags | (r.flags_set & HEADER_BITS))
    return w.pos


cdef uint32_t rr_bytes(const Query* q, const RR* rr) noexcept nogil:
    cdef uint32_t owner_len = rr.owner_len if rr.owner != NULL else q.name_len + HEADER_BYTES - rr.owner_at
    return owner_len + 10 + rr.fixed_len + rr.saved + rr.name_len + rr.tail_len


cdef uint32_t uncompressed_bytes(const Query* q, const Reply* r) noexcept nogil:
    """The reply's size without compression or limit: what CoreDNS counts as the response's size."""
    cdef uint32_t total = HEADER_BYTES + q.name_len + 4
    cdef uint32_t i
    for i in range(r.answer.count):
        total += rr_bytes(q, &r.answer.rr[i])
    for i in range(r.authority.count):
        total += rr_bytes(q, &r.authority.rr[i])
    for i in range(r.additional.count):
        total += rr_bytes(q, &r.additional.rr[i])
    return total


def error_reply(bytes message not None, uint16_t rcode, uint32_t max_bytes):
    """The reply without records to a message, or None where accept ignores it. It is for what fails in Python.

    Raises ValueError for max_bytes below 512, and MemoryError.
    """
    cdef Query q
    cdef Reply* r
    cdef uint8_t* out
    cdef Accept result
    if not MIN_UDP_BYTES <= max_bytes <= MAX_MESSAGE_BYTES:
        raise ValueError(f"max_bytes must be {MIN_UDP_BYTES} to {MAX_MESSAGE_BYTES}, got {max_bytes}")
    result = accept(<const uint8_t*>message, len(message), &q)
    if result == IGNORED:
        return None
    out = <uint8_t*>malloc(max_bytes + MAX_OPT_ECHO_BYTES)
    r = <Reply*>malloc(sizeof(Reply))
    try:
        if out == NULL or r == NULL:
            raise MemoryError
        if result == REJECTED:
            return out[:write_bare(&q, q.reject_rcode, out)]
        reply_reset(r)
        r.rcode = rcode
        return out[:write_reply(&q, r, out, max_bytes)]
    finally:
        free(out)
        free(r)
