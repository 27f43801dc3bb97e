"""A resource record's text (RFC 1035 section 5) to wire form, without the GIL.

Parts of records are read by layouts: a letter for each field of a type's rdata. Types without a layout are Python's
(records.py).

    4 6     an IPv4 or IPv6 address         b h l   a number of 8, 16 or 32 bits
    n       a domain name                   t       a time in seconds, or with units
    s       one character-string            S       one at least, up to the end
    o       octets without a length         x B     the rest, in hexadecimal or base 64
    w       a tag: letters and digits, with a length
    v       the parameters of a service (RFC 9460)
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from fastdns._wire cimport RR
from fastdns.plugins.template._words cimport Written

cdef enum Reading:
    READ = 0
    WRONG = 1           # no record
    RARE = 2            # of a type that has no layout
    TOO_LONG = 3        # there is no room for it

cdef struct Record:
    const uint8_t* owner
    uint16_t owner_len
    uint16_t rrtype
    uint16_t rrclass
    uint32_t ttl_s
    const uint8_t* fixed
    uint16_t fixed_len
    const uint8_t* name         # compressed when it is written; NULL: none
    uint16_t name_len
    const uint8_t* tail
    uint16_t tail_len

# What a type or a class is called, in CoreDNS's words; size 0: it has no name.
cdef const uint8_t* type_text(uint16_t rrtype, uint32_t* size) noexcept nogil
cdef const uint8_t* class_text(uint16_t rrclass, uint32_t* size) noexcept nogil

# The layout of a type; NULL: it has none.
cdef const char* layout_of(uint16_t rrtype) noexcept nogil

# A whole record, or the rdata of a type (which is in record).
cdef Reading read_record(const uint8_t* text, uint32_t size, Written* out, Record* record) noexcept nogil
cdef Reading read_rdata(const uint8_t* text, uint32_t size, Written* out, Record* record) noexcept nogil

# Bytes that the wire form of a text of so many fits into.
cdef inline uint32_t wire_room(uint32_t size) noexcept nogil:
    return 8 * size + 1024

# Let a record of a reply have what was read. Its owner is that of the record, or, without one, the question's.
cdef inline void fill_rr(RR* rr, const Record* record) noexcept nogil:
    if record.owner != NULL:
        rr.owner = record.owner
        rr.owner_len = record.owner_len
    rr.rrtype = record.rrtype
    rr.ttl_s = record.ttl_s
    rr.fixed = record.fixed
    rr.fixed_len = record.fixed_len
    rr.name = record.name
    rr.name_len = record.name_len
    rr.tail = record.tail
    rr.tail_len = record.tail_len
    rr.compress_name = record.name != NULL
