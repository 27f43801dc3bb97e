"""What of a zone's RRs cannot stand beside others, and the rest of them as rows (see Draft.add_rows)."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcmp, memcpy

from fastdns._wire cimport TYPE_CNAME, TYPE_DNAME, TYPE_RRSIG, TYPE_SOA
from fastdns.rrsets._draft cimport Draft, DraftRR, key_bytes, key_size, name_size, relative_name
from fastdns.rrsets._layout cimport u16_at

cdef enum:
    TYPE_SIG = 24
    TYPE_KEY = 25
    TYPE_NXT = 30
    TYPE_NSEC = 47
    TYPE_NSEC3 = 50
    ROW_BYTES = 9
    RDATA_HEAD_BYTES = 8        # of a DraftRR: TTL (u32), type (u16), size (u16)


cdef inline uint16_t type_of(const DraftRR* rr) noexcept nogil:
    return u16_at(rr.rdata + 4)


cdef inline bint same_rdata(const DraftRR* a, const DraftRR* b) noexcept nogil:
    return u16_at(a.rdata + 6) == u16_at(b.rdata + 6) \
        and memcmp(a.rdata + RDATA_HEAD_BYTES, b.rdata + RDATA_HEAD_BYTES, u16_at(a.rdata + 6)) == 0


cdef inline bint same_owner(const DraftRR* a, const DraftRR* b) noexcept nogil:
    return a.name == b.name or (a.prefix == b.prefix and key_size(a) == key_size(b)
                                and memcmp(key_bytes(a), key_bytes(b), key_size(a)) == 0)


cdef inline bint may_stand_beside_cname(uint16_t rrtype) noexcept nogil:
    """RFC 4034 section 2.5, RFC 2535 section 2.3.5."""
    return rrtype == TYPE_RRSIG or rrtype == TYPE_NSEC or rrtype == TYPE_NSEC3 or rrtype == TYPE_KEY \
        or rrtype == TYPE_SIG or rrtype == TYPE_NXT


# The RRs of one name that others cannot stand beside.
cdef struct Name:
    const DraftRR* cname
    const DraftRR* dname
    const DraftRR* soa
    bint apex

# Why an RR is left out, from 1 on.
cdef tuple REASONS = (
    "the zone itself has no CNAME record",
    "its name has a CNAME record",
    "its name has another CNAME record",
    "its name has another DNAME record",
    "only the zone itself has an SOA record",
    "there is another SOA record",
)


cdef uint32_t read_name(Draft draft, uint32_t i, Name* name) noexcept nogil:
    """The name whose first RR is number i. Returns the number of the next name's first RR."""
    cdef const DraftRR* rr
    cdef uint32_t end = i
    cdef uint16_t rrtype
    name.cname = name.dname = name.soa = NULL
    name.apex = name_size(&draft.rrs[i]) == 0
    while end < draft.count and same_owner(&draft.rrs[end], &draft.rrs[i]):
        rr = &draft.rrs[end]
        end += 1
        if rr.rdata == NULL:
            continue
        rrtype = type_of(rr)
        if rrtype == TYPE_CNAME and name.cname == NULL and not name.apex:
            name.cname = rr
        elif rrtype == TYPE_DNAME and name.dname == NULL:
            name.dname = rr
        elif rrtype == TYPE_SOA and name.apex:
            # Of several the last one counts, as in CoreDNS.
            name.soa = rr
    return end


cdef int conflict(const DraftRR* rr, const Name* name) noexcept nogil:
    """Why an RR cannot stand at its name; 0: it can."""
    cdef uint16_t rrtype
    if rr.rdata == NULL:
        return 0
    rrtype = type_of(rr)
    if rrtype == TYPE_CNAME and name.apex:
        return 1
    if name.cname != NULL and rrtype != TYPE_CNAME and not may_stand_beside_cname(rrtype):
        return 2
    if rrtype == TYPE_CNAME and not same_rdata(rr, name.cname):
        return 3
    if rrtype == TYPE_DNAME and not same_rdata(rr, name.dname):
        return 4
    if rrtype == TYPE_SOA and not name.apex:
        return 5
    if rrtype == TYPE_SOA and not same_rdata(rr, name.soa):
        return 6
    return 0


def conflicts(Draft draft not None):
    """The RRs that are to be left out, in order: place (as rows counts), number (as which it was added, from 0),
    relative owner, type, why.

    Beside a CNAME record its name has nothing but signatures (RFC 1034 section 3.6.2); a name has one CNAME and one
    DNAME record (RFC 2181 section 10.1, RFC 6672 section 2.4), and only the zone itself has an SOA record, and one.
    """
    cdef uint32_t i = 0, end, at
    cdef const DraftRR* rr
    cdef Name name
    cdef int why
    draft.prepare()
    found = []
    while i < draft.count:
        end = read_name(draft, i, &name)
        for at in range(i, end):
            rr = &draft.rrs[at]
            why = conflict(rr, &name)
            if why:
                found.append((at, rr.number, relative_name(rr)[:name_size(rr)], type_of(rr), REASONS[why - 1]))
        i = end
    return found


def omit_conflicts(Draft draft not None, uint32_t examples):
    """Have the RRs of conflicts() not published. Returns how many they are, and of the first ones (relative owner,
    type, why). Runs without the GIL, but for these."""
    cdef uint32_t i = 0, end, at, count = 0
    cdef DraftRR* rr
    cdef Name name
    cdef int why
    draft.prepare()
    found = []
    with nogil:
        while i < draft.count:
            end = read_name(draft, i, &name)
            for at in range(i, end):
                rr = &draft.rrs[at]
                why = conflict(rr, &name)
                if why == 0:
                    continue
                rr.omitted = 1
                count += 1
                if count <= examples:
                    with gil:
                        found.append((relative_name(rr)[:name_size(rr)], type_of(rr), REASONS[why - 1]))
            i = end
    return count, found


def rows(Draft draft not None, uint32_t start, size_t max_bytes, const uint8_t[::1] without not None):
    """(the RRs from a place on, the place behind them), in order: as many as take max_bytes, one at least.

    without: a byte for each place, not 0 where the RR is left out.
    """
    cdef size_t size = 0
    cdef uint32_t i = start, length
    cdef uint8_t* out
    cdef const uint8_t* zone = draft.zone
    cdef uint32_t zone_len = <uint32_t>len(draft.zone)
    cdef const DraftRR* rr
    cdef bytes made
    if <size_t>without.shape[0] < draft.count:
        raise ValueError("a byte for each RR expected")
    draft.prepare()
    while i < draft.count and size < max_bytes:
        if not without[i]:
            size += ROW_BYTES + name_size(&draft.rrs[i]) + zone_len + u16_at(draft.rrs[i].rdata + 6)
        i += 1
    made = PyBytes_FromStringAndSize(NULL, size)
    out = <uint8_t*>PyBytes_AS_STRING(made)
    for at in range(start, i):
        if without[at]:
            continue
        rr = &draft.rrs[at]
        length = name_size(rr)
        out[0] = <uint8_t>(length + zone_len)
        memcpy(out + 1, rr.rdata + 4, 2)
        memcpy(out + 3, rr.rdata, 4)
        memcpy(out + 7, rr.rdata + 6, 2)
        memcpy(out + ROW_BYTES, relative_name(rr), length)
        memcpy(out + ROW_BYTES + length, zone, zone_len)
        out += ROW_BYTES + length + zone_len
        memcpy(out, rr.rdata + RDATA_HEAD_BYTES, u16_at(rr.rdata + 6))
        out += u16_at(rr.rdata + 6)
    return made, i
