"""The SOA record of a zone, whose names end in pointers to the zone inside the question."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t

from fastdns.serve._context cimport Context
from fastdns._wire cimport Section as ReplySection
from fastdns.plugins.kubernetes.answers._request cimport Request

cdef enum:
    REFRESH_S = 7200
    RETRY_S = 1800
    EXPIRE_S = 86400

# primary, mailbox: labels in wire form, to the left of the zone.
cdef struct SOA:
    const uint8_t* primary
    const uint8_t* mailbox
    uint16_t primary_len
    uint16_t mailbox_len
    uint32_t ttl_s
    uint32_t negative_ttl_s
    uint32_t serial

cdef void add_soa(Context* ctx, const Request* r, ReplySection* section, const SOA* soa) noexcept nogil
