"""The additional section: see _additional.pxd."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t

from fastdns._wire cimport RR, TYPE_A, TYPE_AAAA, TYPE_MX, TYPE_NS, TYPE_SRV
from fastdns.authoritative._answering cimport TYPE_HTTPS, TYPE_SVCB, Owner, add_set, relative_name
from fastdns.rrsets._layout cimport Body, RRset, find_set, name_bytes
from fastdns.rrsets._lookup cimport find_name


cdef bint host_of(const RR* rr, Owner* host) noexcept nogil:
    """The host that a record names."""
    host.at = 0
    if rr.rrtype == TYPE_NS or rr.rrtype == TYPE_MX or rr.rrtype == TYPE_SRV:
        host.name = rr.name
        host.size = rr.name_len
        return rr.name != NULL
    if (rr.rrtype == TYPE_SVCB or rr.rrtype == TYPE_HTTPS) and rr.fixed != NULL and rr.fixed_len > 2:
        # Behind the priority.
        host.name = rr.fixed + 2
        host.size = <uint16_t>name_bytes(host.name, rr.fixed_len - 2)
        return host.size != 0
    return False


cdef void add_addresses(Answering* a, const Section* section) noexcept nogil:
    cdef const uint8_t* done[MAX_HOSTS]
    cdef uint32_t count = 0, i, known
    cdef uint8_t relative[256]
    cdef int size
    cdef Owner host
    cdef Body body
    cdef RRset s
    for i in range(section.count):
        if not host_of(&section.rr[i], &host):
            continue
        size = relative_name(a, host.name, host.size, relative)
        if size < 0 or not find_name(a.z, relative, size, &body):
            continue
        for known in range(count):
            if done[known] == body.at:
                break
        else:
            done[count] = body.at
            count += 1
            if find_set(&body, TYPE_A, &s):
                add_set(a, &a.ctx.reply.additional, &s, s.ttl_s, &body, host)
            if find_set(&body, TYPE_AAAA, &s):
                add_set(a, &a.ctx.reply.additional, &s, s.ttl_s, &body, host)
            if count == MAX_HOSTS:
                return
