"""The SOA record of a zone: see _soa.pxd."""

from libc.string cimport memcpy

from fastdns._wire cimport HEADER_BYTES, RR, TYPE_SOA, add_rr, put_u16, put_u32, scratch

cdef enum:
    NUMBERS_BYTES = 20


cdef uint32_t put_name(uint8_t* at, const uint8_t* labels, uint32_t size, bint is_root,
                       uint16_t zone_at) noexcept nogil:
    memcpy(at, labels, size)
    if is_root:
        at[size] = 0
        return size + 1
    put_u16(at + size, 0xC000 | zone_at)
    return size + 2


cdef void add_soa(Context* ctx, const Request* r, ReplySection* section, const SOA* soa) noexcept nogil:
    cdef RR* rr = add_rr(ctx.reply, section, TYPE_SOA, soa.ttl_s)
    cdef uint8_t* at = scratch(ctx.reply, soa.primary_len + soa.mailbox_len + 4 + NUMBERS_BYTES)
    cdef uint16_t zone_at = HEADER_BYTES + r.q.name_len - r.zone.name_len
    cdef bint is_root = r.zone.name_len == 1
    cdef uint32_t size
    if rr == NULL or at == NULL:
        return
    if is_root:
        rr.owner = b"\0"
        rr.owner_len = 1
    else:
        rr.owner_at = zone_at
        rr.saved = 2 * (r.zone.name_len - 2)
    size = put_name(at, soa.primary, soa.primary_len, is_root, zone_at)
    size += put_name(at + size, soa.mailbox, soa.mailbox_len, is_root, zone_at)
    put_u32(at + size, soa.serial)
    put_u32(at + size + 4, REFRESH_S)
    put_u32(at + size + 8, RETRY_S)
    put_u32(at + size + 12, EXPIRE_S)
    put_u32(at + size + 16, soa.negative_ttl_s)
    rr.fixed = at
    rr.fixed_len = size + NUMBERS_BYTES
