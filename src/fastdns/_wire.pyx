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

from libc.stdint cimport int32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memset

cdef enum:
    MAX_POINTERS = 127              # more cannot be needed by a name of 255 bytes
    MAX_POINTER_TARGET = 0x3FFF
    SUFFIX_SLOTS = 256              # power of two
    MAX_SUFFIXES = 160
    OPTION_SUBNET = 8
    FAMILY_NONE = 0                 # address families of a client subnet (RFC 7871 section 6)
    FAMILY_IPV4 = 1
    FAMILY_IPV6 = 2
    MAX_TTL_S = 0x7FFFFFFF          # RFC 2181 section 8


cdef inline uint8_t lower(uint8_t byte) noexcept nogil:
    # Branchless: 'A'..'Z' get bit 5.
    return byte | (<uint8_t>(<uint8_t>(byte - 65) < 26) << 5)


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


cdef inline bint echoed_option(uint16_t code) noexcept nogil:
    # NSID, EXPIRE, COOKIE, TCP-KEEPALIVE, PADDING: what CoreDNS repeats to the client; ECS is not.
    return code == 3 or (code >= 9 and code <= 12)


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


cdef bint write_rr(Writer* w, const Query* q, const RR* rr) noexcept nogil:
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
    put_u16(out + w.pos + 2, CLASS_IN if q.qclass == CLASS_ANY else q.qclass)
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


cdef bint write_section(Writer* w, const Query* q, const Section* section, uint8_t* count_at) noexcept nogil:
    cdef uint32_t i
    for i in range(section.count):
        if not write_rr(w, q, &section.rr[i]):
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


cdef uint32_t write_reply(const Query* q, Reply* r, uint8_t* out, uint32_t max_bytes) noexcept nogil:
    """Write the whole reply into at most max_bytes (at least 512); returns its size.

    Records that do not fit are left out from the first such one on, in the order answer, authority,
    additional, and TC is set (RFC 2181 section 9 asks it of the answer; CoreDNS sets it for every section).
    The OPT record always fits.
    """
    cdef Writer w
    cdef uint32_t opt_bytes = 0
    cdef const uint8_t* options = r.options if r.options != NULL else q.opt_echo
    cdef uint16_t options_len = r.options_len if r.options != NULL else q.opt_echo_len
    cdef bint opt = q.has_opt and not r.no_opt
    cdef uint16_t flags
    cdef bint whole
    w.out = out
    w.suffixes_ready = False
    w.pos = write_header(q, 0, r.rcode, True, out)
    if opt:
        if w.pos + OPT_FIXED_BYTES + options_len > max_bytes:
            # Only padding can make options so large; they are the first thing to go.
            options_len = 0
        opt_bytes = OPT_FIXED_BYTES + options_len
    w.limit = max_bytes - opt_bytes
    whole = (write_section(&w, q, &r.answer, out + 6) and write_section(&w, q, &r.authority, out + 8)
             and write_section(&w, q, &r.additional, out + 10))
    if opt:
        write_opt(q, q.udp_bytes, r.rcode, options, options_len, out + w.pos)
        w.pos += opt_bytes
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


# --------------------------------------------------------------------------------- other servers' replies

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
    """Copy the name at the cursor, uncompressed, and step over it. Returns its length, or -1.

    Each pointer must lead strictly backwards (RFC 1035 section 4.1.4: to a prior occurrence), so the walk ends.
    """
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


# How the rdata of a type is laid out: bytes before the first name, how many names, whether they may be compressed
# when written. RFC 3597 section 4 lists the types whose names a receiver has to expand. It allows to compress those
# of all types of RFC 1035, but readers that know no MD, MF, MB, MG, MR or MINFO take their rdata as it comes.
cdef struct RdataLayout:
    uint16_t fixed
    uint8_t names
    bint compress

cdef inline RdataLayout rdata_layout(uint16_t rrtype) noexcept nogil:
    cdef RdataLayout layout
    layout.fixed = 0
    layout.names = 0
    layout.compress = False
    if rrtype in (2, 5, 12):                        # NS CNAME PTR
        layout.names = 1
        layout.compress = True
    elif rrtype == 6:                               # SOA
        layout.names = 2
        layout.compress = True
    elif rrtype == 15:                              # MX
        layout.fixed = 2
        layout.names = 1
        layout.compress = True
    elif rrtype in (14, 17):                        # MINFO RP
        layout.names = 2
    elif rrtype == 24:                              # SIG
        layout.fixed = 18
        layout.names = 1
    elif rrtype in (18, 21, 36):                    # AFSDB RT KX
        layout.fixed = 2
        layout.names = 1
    elif rrtype == 33:                              # SRV
        layout.fixed = 6
        layout.names = 1
    elif rrtype in (3, 4, 7, 8, 9, 30, 39):         # MD MF MB MG MR NXT DNAME
        layout.names = 1
    elif rrtype == 26:                              # PX
        layout.fixed = 2
        layout.names = 2
    return layout


cdef inline uint32_t naptr_fixed(const uint8_t* rdata, uint32_t rdlength) noexcept nogil:
    """How far the replacement of a NAPTR is into its rdata: behind two numbers and three strings (RFC 3403)."""
    cdef uint32_t pos = 4
    cdef uint32_t _i
    for _i in range(3):
        if pos >= rdlength:
            return rdlength
        pos += 1 + rdata[pos]
    return pos


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


# ------------------------------------------------------------------------------------ replies that are kept

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


# ------------------------------------------------------------------------------- for Python and the tests

def parse_query(bytes message not None):
    """What accept says of a message: ("accepted" | "ignored" | "rejected", details).

    details: dict with id, opcode, rcode (of a rejection), and where a question parsed qname (lowercased wire
    form, bytes), qtype, qclass, labels, has_opt, do, edns_version, udp_bytes, options (echoed ones, bytes), subnet
    (the data of that option, b"" where there is none).
    """
    cdef Query q
    cdef Accept result = accept(<const uint8_t*>message, len(message), &q)
    if result == IGNORED:
        return "ignored", {}
    details = {"id": q.id, "opcode": q.opcode}
    if result == REJECTED:
        details["rcode"] = q.reject_rcode
    if q.has_question:
        details.update(
            qname=q.name[:q.name_len], qtype=q.qtype, qclass=q.qclass, labels=q.label_count,
            has_opt=bool(q.has_opt), do=bool(q.do_bit), edns_version=q.edns_version, udp_bytes=q.udp_bytes,
            options=q.opt_echo[:q.opt_echo_len], subnet=q.subnet[:q.subnet_len],
        )
    return ("accepted" if result == ACCEPTED else "rejected"), details


def copy_reply(bytes query not None, bytes reply not None, *, ttl_s=None, int max_bytes=65535):
    """What a client that sent query gets for an upstream's reply, or None where that is malformed or no answer.

    With ttl_s the reply is packed and unpacked on the way, as a cache does, and every record gets that TTL.
    """
    if not 512 <= max_bytes <= MAX_MESSAGE_BYTES:
        raise ValueError(f"max_bytes must be 512 to {MAX_MESSAGE_BYTES}, got {max_bytes}")
    cdef Query q
    cdef uint32_t size
    if (accept(<const uint8_t*>query, len(query), &q) != ACCEPTED or len(reply) < HEADER_BYTES
            or not answers_question(<const uint8_t*>reply, len(reply), q.name, q.name_len, q.qtype, q.qclass)):
        return None
    cdef uint8_t* out = <uint8_t*>malloc(2 * MAX_MESSAGE_BYTES + MAX_OPT_ECHO_BYTES)
    cdef Reply* r = <Reply*>malloc(sizeof(Reply))
    try:
        if out == NULL or r == NULL:
            raise MemoryError
        reply_reset(r)
        if not parse_reply(<const uint8_t*>reply, len(reply), &q, r):
            return None
        if ttl_s is not None:
            size = pack_reply(&q, r, out + MAX_MESSAGE_BYTES, MAX_MESSAGE_BYTES)
            reply_reset(r)
            if size == 0 or not unpack_reply(out + MAX_MESSAGE_BYTES, size, ttl_s, r):
                return None
        size = write_reply(&q, r, out, max_bytes)
        return out[:size]
    finally:
        free(out)
        free(r)


cdef bint fill_section(Reply* r, Section* section, list records, list keep) except -1:
    cdef RR* rr
    for owner, rrtype, ttl_s, fixed, name, tail, compress in records:
        rr = add_rr(r, section, rrtype, ttl_s)
        if rr == NULL:
            return True
        keep.extend((owner, fixed, name, tail))
        if owner is not None:
            rr.owner = <const uint8_t*><bytes>owner
            rr.owner_len = len(owner)
        rr.fixed = <const uint8_t*><bytes>fixed
        rr.fixed_len = len(fixed)
        if name is not None:
            rr.name = <const uint8_t*><bytes>name
            rr.name_len = len(name)
        rr.tail = <const uint8_t*><bytes>tail
        rr.tail_len = len(tail)
        rr.compress_name = compress
    return True


def build_reply(bytes message not None, *, int rcode=0, bint aa=False, answer=(), authority=(),
                additional=(), int max_bytes=65535):
    """The reply to a query message, or None where accept ignores it.

    A record is (owner | None, type, ttl_s, fixed, name | None, tail, compress): owner and name uncompressed
    wire names, None meaning the question's name and no name. Raises ValueError for max_bytes out of range.
    """
    if not 512 <= max_bytes <= MAX_MESSAGE_BYTES:
        raise ValueError(f"max_bytes must be 512 to {MAX_MESSAGE_BYTES}, got {max_bytes}")
    cdef Query q
    cdef uint8_t* out
    cdef Reply* r
    cdef uint32_t size
    cdef Accept result = accept(<const uint8_t*>message, len(message), &q)
    if result == IGNORED:
        return None
    out = <uint8_t*>malloc(max_bytes + MAX_OPT_ECHO_BYTES)
    r = <Reply*>malloc(sizeof(Reply))
    if out == NULL or r == NULL:
        free(out)
        free(r)
        raise MemoryError
    keep = []
    try:
        if result == REJECTED:
            size = write_bare(&q, q.reject_rcode, out)
        else:
            reply_reset(r)
            r.rcode = rcode
            r.aa = aa
            fill_section(r, &r.answer, list(answer), keep)
            fill_section(r, &r.authority, list(authority), keep)
            fill_section(r, &r.additional, list(additional), keep)
            size = write_reply(&q, r, out, max_bytes)
        return out[:size]
    finally:
        free(out)
        free(r)
