"""The services of a name, as CoreDNS's *etcd* has them: what a query asks etcd for there, read from the store here.

A name has the services of all keys below it, however deep; only where there are none that of its own key. A
question that wants the exact key (CNAME, PTR) has only that one. A label ``*`` or ``any`` stands for every label:
the services below what is right of it, whose names fit, belong to the name. Of the services with groups, those of
the group of the shortest key belong to it (choose_group).

The work for one query is bounded: it looks at MAX_LOOKS services, those of the names that it follows included.
What is more is left out, with TC.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastdns.plugins.etcd._layout cimport Service
from fastdns.rrsets._lookup cimport ZoneView
from fastdns.serve._context cimport Context

cdef enum:
    # The most A records that a message holds are 4095.
    MAX_LOOKS = 4096

# A name in uncompressed wire form, as it is spelled and in lower case.
cdef struct Name:
    const uint8_t* wire
    uint32_t size
    uint8_t lowered[256]

# One query: the store's content, and what may still be looked at, and asked elsewhere.
cdef struct Request:
    Context* ctx
    ZoneView view
    uint32_t looks
    uint32_t questions

# exists: there is a key that the question is about, whether or not its service is of the type.
cdef struct Services:
    Service* at
    uint32_t count
    uint32_t room
    bint exists

# False where it is no name.
cdef bint begin_name(Name* name, const uint8_t* wire, uint32_t room) noexcept nogil

# Whether a name in wire form (any case) is this name, or below it.
cdef bint is_below_or_at(const uint8_t* wire, uint32_t size, const uint8_t* lowered,
                         uint32_t lowered_size) noexcept nogil

# Services of a name that have a host; those with a text, too, where with_text.
cdef void find_services(Request* r, const Name* name, bint exact, bint with_text, Services* found) noexcept nogil

# Hashes that were seen: how duplicates are left out. Different ones have the same hash once in 2^64.
cdef struct Seen:
    uint64_t* slots             # NULL: no room; then all are new
    uint32_t mask

cdef void begin_seen(Request* r, uint32_t most, Seen* seen) noexcept nogil

# Whether bytes with a number were seen; from now on they were.
cdef bint was_seen(const Request* r, Seen* seen, const uint8_t* data, uint32_t size, uint64_t number) noexcept nogil
