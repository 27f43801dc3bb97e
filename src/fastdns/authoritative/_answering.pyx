"""What all parts of an answer share: see _answering.pxd."""

from libc.string cimport memcpy

from fastdns._wire cimport RR, TYPE_RRSIG, add_rr, scratch
from fastdns.dns._cursor cimport lower
from fastdns.rrsets._layout cimport Walk, find_set, next_rdata, walk_rrs
from fastdns.rrsets._lookup cimport find_name, put_rdata

cdef enum:
    # NSEC3PARAM: algorithm, flags, iterations (2), size of the salt, salt.
    NSEC3PARAM_BYTES = 5
    SHA1 = 1


cdef bint begin_answering(Answering* a, Context* ctx, const ZoneView* z) noexcept nogil:
    cdef RRset s
    a.ctx = ctx
    a.z = z
    a.q = ctx.q
    a.spelled = NULL
    a.qtype = ctx.q.qtype
    a.dnssec = ctx.q.has_opt and ctx.q.do_bit
    a.aliases = 0
    a.proofs = UNSIGNED
    a.shown_count = 0
    if not z.head.has_soa or not find_name(z, b"", 0, &a.apex):
        return False
    if a.dnssec:
        if find_set(&a.apex, TYPE_NSEC, &s):
            a.proofs = BY_NSEC
        elif find_set(&a.apex, TYPE_NSEC3PARAM, &s):
            read_parameters(a, &s)
    return True


cdef void read_parameters(Answering* a, const RRset* s) noexcept nogil:
    """RFC 5155 section 4: a chain is complete where a record without flags names it."""
    cdef Walk walk
    cdef uint16_t size
    cdef const uint8_t* rdata
    walk_rrs(s, &walk)
    while True:
        rdata = next_rdata(&walk, &size)
        if rdata == NULL:
            return
        if size < NSEC3PARAM_BYTES or size != NSEC3PARAM_BYTES + rdata[4] or rdata[0] != SHA1 or rdata[1] != 0:
            continue
        a.proofs = BY_NSEC3
        a.iterations = <uint16_t>(<uint16_t>rdata[2] << 8 | rdata[3])
        a.salt_len = rdata[4]
        a.salt = rdata + NSEC3PARAM_BYTES
        return


cdef int relative_name(const Answering* a, const uint8_t* name, uint32_t size, uint8_t* out) noexcept nogil:
    cdef const uint8_t* zone = zone_name(a)
    cdef uint32_t zone_len = a.z.name_len, at = 0, i
    if size > 255:
        return -1
    while size > zone_len + at:
        at += name[at] + 1
    if size != zone_len + at:
        return -1
    for i in range(zone_len):
        if lower(name[at + i]) != zone[i]:
            return -1
    for i in range(at):
        out[i] = lower(name[i])
    return <int>at


cdef bint absolute_owner(Answering* a, const uint8_t* relative, uint32_t size, Owner* owner) noexcept nogil:
    cdef uint8_t* out
    if size + a.z.name_len > 255:
        return False
    owner.at = 0
    owner.size = <uint16_t>(size + a.z.name_len)
    out = scratch(a.ctx.reply, owner.size)
    owner.name = out
    if out == NULL:
        return False
    memcpy(out, relative, size)
    memcpy(out + size, zone_name(a), a.z.name_len)
    return True


cdef bint is_new(Answering* a, const uint8_t* record) noexcept nogil:
    cdef uint32_t i
    for i in range(a.shown_count):
        if a.shown[i] == record:
            return False
    if a.shown_count == MAX_SHOWN:
        return False
    a.shown[a.shown_count] = record
    a.shown_count += 1
    return True


cdef inline RR* add_owned(Answering* a, Section* section, uint16_t rrtype, uint32_t ttl_s,
                          Owner owner) noexcept nogil:
    cdef RR* rr = add_rr(a.ctx.reply, section, rrtype, ttl_s)
    if rr != NULL:
        rr.owner = owner.name
        rr.owner_len = owner.size
        rr.owner_at = owner.at
    return rr


cdef void add_set(Answering* a, Section* section, const RRset* s, uint32_t ttl_s, const Body* body,
                  Owner owner) noexcept nogil:
    cdef Walk walk
    cdef const uint8_t* rdata
    cdef uint16_t size
    cdef RRset signatures
    cdef RR* rr
    walk_rrs(s, &walk)
    while True:
        rdata = next_rdata(&walk, &size)
        if rdata == NULL:
            break
        rr = add_owned(a, section, s.rrtype, ttl_s, owner)
        if rr == NULL:
            return
        if not put_rdata(rr, s.rrtype, rdata, size):
            section.count -= 1
    if body == NULL or not a.dnssec or not find_set(body, TYPE_RRSIG, &signatures):
        return
    walk_rrs(&signatures, &walk)
    while True:
        rdata = next_rdata(&walk, &size)
        if rdata == NULL:
            return
        if size < 2 or (<uint16_t>rdata[0] << 8 | rdata[1]) != s.rrtype:
            continue
        # RFC 4034 section 3: it has the TTL of what it covers.
        rr = add_owned(a, section, TYPE_RRSIG, ttl_s, owner)
        if rr == NULL:
            return
        rr.fixed = rdata
        rr.fixed_len = size
