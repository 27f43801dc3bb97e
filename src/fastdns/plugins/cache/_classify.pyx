"""Kinds of replies: see _classify.pxd. The rules and their order are CoreDNS's."""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t
from libc.time cimport time

from fastdns._wire cimport (
    HEADER_BYTES, NOERROR, NOTIMP, NXDOMAIN, RR, SERVFAIL, TYPE_ANY, TYPE_AXFR, TYPE_CNAME, TYPE_IXFR, TYPE_NS,
    TYPE_RRSIG, TYPE_SOA, Section,
)
from fastdns.dns._cursor cimport lower

cdef enum:
    # Resolvers give up sooner. A loop never ends, and a hostile chain of thousands would take long to follow.
    MAX_CHAIN = 32
    FALLBACK_TTL_S = 5
    RRSIG_TIMES_AT = 8          # RFC 4034 section 3.1: expiration, then inception
    RRSIG_FIXED_BYTES = 18

# A name by reference, in any case.
cdef struct Name:
    const uint8_t* data
    uint32_t length


cdef inline bint equal(const Name* a, const Name* b) noexcept nogil:
    # RFC 4343. Length bytes are below 'A', so lowering them changes nothing.
    cdef uint32_t i
    if a.length != b.length:
        return False
    if a.data == b.data:
        return True
    for i in range(a.length):
        if lower(a.data[i]) != lower(b.data[i]):
            return False
    return True


cdef inline Name owner_of(const Query* q, const RR* rr) noexcept nogil:
    cdef Name name
    if rr.owner != NULL:
        name.data = rr.owner
        name.length = rr.owner_len
    else:
        name.data = q.name + (rr.owner_at - HEADER_BYTES)
        name.length = q.name_len + HEADER_BYTES - rr.owner_at
    return name


cdef bint is_at(const Query* q, const RR* rr, const Name* name) noexcept nogil:
    cdef Name owner = owner_of(q, rr)
    return equal(&owner, name)


# What stands at a name in a chain.
cdef enum Alias:
    NO_ALIAS = 0
    ONE_ALIAS = 1
    FORKED = 2          # RFC 2181 section 10.1: an alias has one canonical name


cdef Alias alias_of(const Query* q, const Section* answer, const Name* name, Name* target) noexcept nogil:
    """Whether a name is an alias, and of what. Equal records, twice, are one."""
    cdef Alias found = NO_ALIAS
    cdef Name one
    cdef uint32_t i
    for i in range(answer.count):
        if answer.rr[i].rrtype != TYPE_CNAME or answer.rr[i].name == NULL or not is_at(q, &answer.rr[i], name):
            continue
        one.data = answer.rr[i].name
        one.length = answer.rr[i].name_len
        if found == ONE_ALIAS and not equal(&one, target):
            return FORKED
        target[0] = one
        found = ONE_ALIAS
    return found


cdef bint has_type_at(const Query* q, const Section* answer, const Name* name, uint16_t rrtype) noexcept nogil:
    """Whether there is a record of a type, or of any, at a name."""
    cdef uint32_t i
    for i in range(answer.count):
        if (rrtype == TYPE_ANY or answer.rr[i].rrtype == rrtype) and is_at(q, &answer.rr[i], name):
            return True
    return False


cdef bint answers_question(const Query* q, const Section* answer) noexcept nogil:
    """Whether the chain of CNAME records from the question's name on ends at a record of the type.

    A chain that forks or loops does not end. A question for CNAME or ANY begins no chain.
    """
    cdef Name name, target
    cdef Alias alias
    cdef uint32_t _hop
    name.data = <const uint8_t*>q.name
    name.length = q.name_len
    if q.qtype == TYPE_ANY:
        return has_type_at(q, answer, &name, TYPE_ANY)
    if q.qtype == TYPE_CNAME:
        return alias_of(q, answer, &name, &target) == ONE_ALIAS
    for _hop in range(<uint32_t>MAX_CHAIN):
        alias = alias_of(q, answer, &name, &target)
        if alias == FORKED:
            return False
        if alias == NO_ALIAS:
            return has_type_at(q, answer, &name, q.qtype)
        name = target
    return False


cdef bint has_type(const Section* section, uint16_t rrtype) noexcept nogil:
    cdef uint32_t i
    for i in range(section.count):
        if section.rr[i].rrtype == rrtype:
            return True
    return False


cdef inline uint32_t read_u32(const uint8_t* at) noexcept nogil:
    return <uint32_t>at[0] << 24 | <uint32_t>at[1] << 16 | <uint32_t>at[2] << 8 | at[3]


cdef bint out_of_time(const Section* section, uint32_t unix_s) noexcept nogil:
    """Whether a signature is not valid yet, or no longer (RFC 4034 section 3.1.5: in serial number arithmetic)."""
    cdef uint32_t i
    cdef const uint8_t* rdata
    for i in range(section.count):
        if section.rr[i].rrtype != TYPE_RRSIG:
            continue
        rdata = section.rr[i].fixed
        if rdata == NULL or section.rr[i].fixed_len < RRSIG_FIXED_BYTES:
            return True
        if (<int32_t>(read_u32(rdata + RRSIG_TIMES_AT) - unix_s) < 0
                or <int32_t>(unix_s - read_u32(rdata + RRSIG_TIMES_AT + 4)) < 0):
            return True
    return False


cdef bint signatures_are_out_of_time(const Reply* r) noexcept nogil:
    # The one place where the wall clock counts.
    cdef uint32_t unix_s = <uint32_t>time(NULL)
    return (out_of_time(&r.answer, unix_s) or out_of_time(&r.authority, unix_s)
            or out_of_time(&r.additional, unix_s))


cdef Kind kind_of(const Query* q, const Reply* r, bint has_soa, bint answers) noexcept nogil:
    if q.qtype == TYPE_AXFR or q.qtype == TYPE_IXFR:
        return TRANSFER
    if q.do_bit and signatures_are_out_of_time(r):
        return OTHER
    if r.answer.count and r.rcode == NOERROR:
        # RFC 2308 section 2.2: NODATA may begin with a chain of CNAME records.
        return NO_DATA if has_soa and not answers else POSITIVE
    if r.answer.count and r.rcode == NXDOMAIN:
        return OTHER
    if has_soa and r.rcode == NOERROR:
        return NO_DATA
    if r.rcode == NXDOMAIN:
        return NAME_ERROR
    if r.rcode == SERVFAIL or r.rcode == NOTIMP:
        return SERVER_ERROR
    if r.rcode != NOERROR:
        return OTHER
    return REFERRAL if has_type(&r.authority, TYPE_NS) else POSITIVE


cdef Classified classify(const Query* q, const Reply* r) noexcept nogil:
    cdef Classified what
    cdef bint has_soa = has_type(&r.authority, TYPE_SOA)
    what.answers = r.rcode == NOERROR and answers_question(q, &r.answer)
    what.kind = kind_of(q, r, has_soa, what.answers)
    what.storable = not r.tc
    if what.kind == TRANSFER or what.kind == OTHER:
        what.storable = False
    # RFC 2308 section 5: without an SOA record nothing says for how long there is nothing.
    elif what.kind == NAME_ERROR and not has_soa:
        what.storable = False
    elif what.kind == POSITIVE and r.answer.count and not what.answers:
        what.storable = False
    return what


cdef uint32_t least_of(const Section* section, uint32_t least_s) noexcept nogil:
    cdef uint32_t i
    for i in range(section.count):
        if section.rr[i].ttl_s < least_s:
            least_s = section.rr[i].ttl_s
    return least_s


cdef uint32_t least_ttl_s(const Reply* r, Kind kind, uint32_t most_s) noexcept nogil:
    if kind != POSITIVE and kind != NO_DATA and kind != NAME_ERROR:
        return FALLBACK_TTL_S
    if r.answer.count + r.authority.count + r.additional.count == 0:
        return FALLBACK_TTL_S
    return least_of(&r.additional, least_of(&r.authority, least_of(&r.answer, most_s)))
