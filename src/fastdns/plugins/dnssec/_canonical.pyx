"""Records in the form that is signed: see _canonical.pxd."""

from libc.string cimport memcpy

from fastdns._wire cimport (
    MAX_NAME_BYTES, TYPE_CNAME, TYPE_DNAME, TYPE_MX, TYPE_NAPTR, TYPE_NS, TYPE_PTR, TYPE_SOA, TYPE_SRV,
)

cdef enum:
    TYPE_MD = 3
    TYPE_MF = 4
    TYPE_MB = 7
    TYPE_MG = 8
    TYPE_MR = 9
    TYPE_MINFO = 14
    TYPE_RP = 17
    TYPE_AFSDB = 18
    TYPE_RT = 21
    TYPE_PX = 26
    TYPE_KX = 36
    NAPTR_STRINGS = 3
    MAX_LABEL_BYTES = 63


cdef bint is_below(const uint8_t* name, uint32_t size, const uint8_t* zone, uint32_t zone_size) noexcept nogil:
    cdef uint32_t at = 0
    while at < size:
        if size - at == zone_size:
            return same_name(name + at, zone_size, zone, zone_size)
        at += 1 + name[at]
    return False


cdef inline uint32_t names_at(uint16_t rrtype, const uint8_t* rdata, uint32_t size) noexcept nogil:
    """Where the names of rdata begin that are to be in lower case; size: it has none."""
    cdef uint32_t at, _string
    if rrtype in (TYPE_NS, TYPE_MD, TYPE_MF, TYPE_CNAME, TYPE_SOA, TYPE_MB, TYPE_MG, TYPE_MR, TYPE_PTR, TYPE_MINFO,
                  TYPE_RP, TYPE_DNAME):
        return 0
    if rrtype in (TYPE_MX, TYPE_AFSDB, TYPE_RT, TYPE_PX, TYPE_KX):
        return 2
    if rrtype == TYPE_SRV:
        return 6
    if rrtype == TYPE_NAPTR:
        at = 4
        for _string in range(NAPTR_STRINGS):
            if at < size:
                at += 1 + rdata[at]
        return at
    return size


cdef void put_canonical(const RR* rr, uint8_t* out) noexcept nogil:
    cdef uint32_t size = rdata_bytes(rr)
    cdef uint32_t at, end, names = 1
    memcpy(out, rr.fixed if rr.fixed != NULL else rr.inline_fixed, rr.fixed_len)
    if rr.name_len:
        memcpy(out + rr.fixed_len, rr.name, rr.name_len)
    if rr.tail_len:
        memcpy(out + rr.fixed_len + rr.name_len, rr.tail, rr.tail_len)
    if rr.rrtype in (TYPE_SOA, TYPE_MINFO, TYPE_RP, TYPE_PX):
        names = 2
    at = names_at(rr.rrtype, out, size)
    while names and at < size:
        end = at + 1 + out[at]
        if end > size:
            return
        if end == at + 1:
            names -= 1
        lower_name(out + at, end - at, out + at)
        at = end


cdef uint32_t put_next_name(const uint8_t* name, uint32_t size, bint in_zone, uint8_t* out) noexcept nogil:
    cdef uint32_t label = name[0]
    if size <= 1:
        # The root has no label of its own.
        out[0] = 1
        out[1] = 0
        out[2] = 0
        return 3
    if in_zone and size + 2 <= MAX_NAME_BYTES:
        out[0] = 1
        out[1] = 0
        return 2 + lower_name(name, size, out + 2)
    if size < MAX_NAME_BYTES and label < MAX_LABEL_BYTES:
        out[0] = <uint8_t>(label + 1)
        lower_name(name + 1, label, out + 1)
        out[1 + label] = 0
        return 2 + label + lower_name(name + 1 + label, size - 1 - label, out + 2 + label)
    # Nothing can be added: the last octet that can be raised is.
    lower_name(name, size, out)
    while label and out[label] == 0xFF:
        label -= 1
    if label == 0:
        return 0
    # Upper case stands for lower case, and is no place between others.
    out[label] = 91 if out[label] == 64 else out[label] + 1
    if label == name[0]:
        return size
    out[0] = <uint8_t>label
    memcpy(out + 1 + label, out + 1 + name[0], size - 1 - name[0])
    return size - (name[0] - label)
