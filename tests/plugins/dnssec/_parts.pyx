"""The native parts of dnssec, for Python."""

from libc.stdint cimport uint8_t, uint16_t
from libc.string cimport memset

from fastdns.plugins.dnssec._canonical cimport is_below, put_canonical, put_next_name
from fastdns._wire cimport RR


def canonical(uint16_t rrtype, bytes fixed, bytes name, bytes tail):
    """The rdata in the form that is signed."""
    cdef RR rr
    memset(&rr, 0, sizeof(rr))
    rr.rrtype = rrtype
    rr.fixed = fixed
    rr.fixed_len = <uint16_t>len(fixed)
    rr.name = name
    rr.name_len = <uint16_t>len(name)
    rr.tail = tail
    rr.tail_len = <uint16_t>len(tail)
    out = bytearray(len(fixed) + len(name) + len(tail))
    put_canonical(&rr, out)
    return bytes(out)


def next_name(bytes name, bint in_zone):
    """The name that follows, or nothing."""
    cdef uint8_t out[512]
    return (<const uint8_t*>out)[:put_next_name(name, <unsigned int>len(name), in_zone, out)]


def below(bytes name, bytes zone):
    """Whether a name is in a zone."""
    return bool(is_below(name, <unsigned int>len(name), zone, <unsigned int>len(zone)))
