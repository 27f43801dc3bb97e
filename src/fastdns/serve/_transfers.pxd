"""Zones that others may transfer, AXFR (RFC 5936) and IXFR (RFC 1995): what a plugin with such zones provides.

A plugin whose zones may be transferred has a NativeTransfer for each block (``transferable`` of its Plugin). What
answers the question asks them in turn, with an Outgoing that start_outgoing has begun. The one that has the zone
fills in the serial and its state; then next writes one message after the other. Each is written in an epoch of its
own: state holds no pointers into the store.
"""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from fastdns.serve._context cimport Context
from fastdns._wire cimport FLAG_AA, FLAG_QR, FLAG_RD, HEADER_BYTES, Query

cdef enum:
    TRANSFER_WORDS = 80         # of state, 8 bytes each

cdef enum Given:
    NOT_HERE = 0                # there is no zone of that name
    GIVEN = 1
    NOT_LOADED = 2              # there is one, and it is not known (yet) what it has

# How a transfer goes: for metrics and the log.
cdef enum Kind:
    WHOLE_ZONE = 0
    CHANGES = 1
    UP_TO_DATE = 2              # one SOA record says so

# Why it cannot go on: what next returns, beside what a reply of several messages may (serve/_following.pxd).
cdef enum Cut:
    CUT_CHANGED = -2            # the zone has changed
    CUT_GONE = -3               # or is there no longer
    CUT_RECORD = -4             # a record is not there, or fits into no message

cdef struct Outgoing:
    uint64_t records            # that have been written
    uint32_t serial
    Kind kind
    uint16_t id
    uint16_t flags              # of the header
    uint16_t qtype
    uint16_t name_len
    bint has_opt                # an OPT record belongs into the next message
    uint8_t spelled[256]        # the zone, as the question has it
    uint8_t name[256]           # and lowercased
    uint64_t state[TRANSFER_WORDS]

cdef struct Transferable:
    # Begin to give the zone that ctx.q names. has_serial: the client has this version, and asks for what is new.
    Given (*begin)(Context* ctx, const void* conf, Outgoing* t, bint has_serial, uint32_t serial) noexcept nogil
    # The next message: its size, or what a Following says, or a Cut.
    int32_t (*next)(Outgoing* t, Context* ctx, const void* conf, uint8_t* out, uint32_t room) noexcept nogil
    const void* conf


cdef class NativeTransfer:
    """The zones of one plugin in one block: a subclass sets all of transfer, and keeps what conf points to."""
    cdef Transferable transfer


cdef inline void start_outgoing(Outgoing* t, const Query* q) noexcept nogil:
    memset(t, 0, sizeof(Outgoing))
    t.id = q.id
    t.flags = FLAG_QR | FLAG_AA | (q.flags & FLAG_RD)
    t.qtype = q.qtype
    t.name_len = q.name_len
    t.has_opt = q.has_opt
    memcpy(t.spelled, q.msg + HEADER_BYTES, q.name_len)
    memcpy(t.name, q.name, q.name_len)

# Whether a client's serial is the zone's, or a newer one, as serials are compared (RFC 1982).
cdef inline bint is_up_to_date(uint32_t serial, uint32_t zone_serial) noexcept nogil:
    return <uint32_t>(serial - zone_serial) < 0x80000000u
