"""Between clients and upstreams: see _relay.pxd for what passes."""

from libc.string cimport memcpy, memset

from fastdns._wire cimport (
    FLAG_QR, FLAG_RA, FLAG_RD, SCRATCH_BYTES, TYPE_IXFR, TYPE_OPT, put_u16, sent_options,
)

cdef enum:
    OPTION_SUBNET = 8
    OPTION_EXTENDED_ERROR = 15


cdef uint32_t ixfr_record(const Query* q, uint32_t at, uint8_t* out) noexcept nogil:
    """RFC 1995 section 3: which version of the zone the client has, in the authority section. Returns its size.

    It stands where it stood, so that names which are compressed against the question still are.
    """
    cdef uint32_t end = q.opt_at if q.has_opt else q.msg_len
    if q.msg[7] != 0 or q.msg[9] != 1 or q.msg[11] != (1 if q.has_opt else 0) or end - at > MAX_IXFR_BYTES:
        return 0
    memcpy(out + at, q.msg + at, end - at)
    out[9] = 1
    return end - at


cdef uint32_t write_asked(const Query* q, uint16_t flags, uint8_t* out) noexcept nogil:
    cdef uint32_t at = HEADER_BYTES + q.name_len + 4, opt_at
    memset(out, 0, HEADER_BYTES)
    put_u16(out + 2, flags)
    out[5] = 1
    memcpy(out + HEADER_BYTES, q.msg + HEADER_BYTES, q.name_len + 4)
    if q.qtype == TYPE_IXFR:
        at += ixfr_record(q, at, out)
    if not q.has_opt:
        return at
    opt_at = at
    out[11] = 1
    memset(out + at, 0, OPT_FIXED_BYTES)
    put_u16(out + at + 1, TYPE_OPT)
    put_u16(out + at + 3, q.asked_udp_bytes)
    out[at + 7] = 0x80 if q.do_bit else 0
    at += OPT_FIXED_BYTES
    if q.subnet_len:
        put_u16(out + at - 2, 4 + q.subnet_len)
        put_u16(out + at, OPTION_SUBNET)
        put_u16(out + at + 2, q.subnet_len)
        memcpy(out + at + 4, q.subnet, q.subnet_len)
        at += 4 + q.subnet_len
    if q.sent_len:
        memcpy(out + at, sent_options(q), q.sent_len)
        at += q.sent_len
        put_u16(out + opt_at + OPT_FIXED_BYTES - 2, at - opt_at - OPT_FIXED_BYTES)
    return at


cdef void leave_options(const Query* q, Reply* r) noexcept nogil:
    cdef const uint8_t* options = r.options
    cdef uint32_t length = r.options_len
    cdef uint32_t at = 0
    cdef uint32_t kept = 0
    cdef uint32_t size
    cdef uint16_t code
    cdef uint8_t* out = &r.scratch[r.scratch_used]
    if length == 0:
        return
    r.options_len = 0
    if length > SCRATCH_BYTES - r.scratch_used:
        return
    # parse_reply has seen that they end where their record does.
    while at + 4 <= length:
        code = <uint16_t>(options[at] << 8) | options[at + 1]
        size = 4 + ((<uint32_t>options[at + 2] << 8) | options[at + 3])
        if code == OPTION_EXTENDED_ERROR or (code == OPTION_SUBNET and q.subnet_len):
            memcpy(out + kept, options + at, size)
            kept += size
        at += size
    r.scratch_used += kept
    r.options = out
    r.options_len = kept


cdef bint is_bare_error(const uint8_t* msg, uint32_t size) noexcept nogil:
    cdef uint32_t i
    # Opcode 0, a code, and no question, answer or authority record.
    if msg[2] & 0xF8 != FLAG_QR >> 8 or msg[3] & 0xF == 0:
        return False
    for i in range(4, 11):
        if msg[i] != 0:
            return False
    if msg[11] == 0:
        return size == HEADER_BYTES
    # An OPT record: of the root, with no more of the code, and as long as it says.
    return (msg[11] == 1 and size >= HEADER_BYTES + OPT_FIXED_BYTES and msg[12] == 0 and msg[13] == 0
            and msg[14] == TYPE_OPT and msg[17] == 0
            and size == HEADER_BYTES + OPT_FIXED_BYTES + ((<uint32_t>msg[21] << 8) | msg[22]))


cdef uint32_t write_error(const uint8_t* asked, uint16_t name_len, uint16_t flags, uint8_t* out) noexcept nogil:
    cdef uint32_t size = HEADER_BYTES + name_len + 4
    memcpy(out, asked, size)
    put_u16(out + 2, FLAG_QR | (flags & (FLAG_RA | 0xF)) | (<uint16_t>asked[2] << 8 & FLAG_RD))
    memset(out + 6, 0, 6)
    return size
