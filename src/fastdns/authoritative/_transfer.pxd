"""Zones as messages, to those who transfer them: AXFR (RFC 5936) and IXFR (RFC 1995).

A transfer is of one version of a zone. Its messages are written one at a time, each in an epoch of its own, and
between two of them nothing of the store is held: however slowly a client reads, the store's memory is reclaimed. So
where the zone changes meanwhile, what is left of the old version may be gone. Then the transfer ends without its
last SOA record, which the client takes for a failure, and asks again.

    AXFR                        SOA, every other record in the order of the names, SOA
    IXFR, a serial of the       SOA; of each change set of the history the old SOA and what was removed, the new SOA
    history                     and what was added; SOA
    IXFR, the same or a newer   SOA
    serial
    IXFR, another serial        as AXFR

NSEC3 records have the names that they have in the zone (see _denial.pxd). Owners are compressed: what stands before
the zone, and a pointer to the zone in the question, or a pointer to the owner of the record before. Rdata is not.

Failure cases: the zone changes or is gone (-1); an RR does not fit into any message (-1; Draft keeps none such); a
history whose change sets do not lead from the client's serial to the zone's (as AXFR).
"""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t

from fastdns._wire cimport Query
from fastdns.memory._store cimport StoreHeader
from fastdns.rrsets._lookup cimport ZoneView
from fastdns.rrsets._order cimport Key

cdef enum:
    # Of a message: about 0.1 ms of the thread's time; and compression pointers reach so far.
    TARGET_BYTES = 16384

# What is sent next.
cdef enum Part:
    OPENING = 0         # the zone's SOA record
    NAMES = 1           # from key on
    OLD_SOA = 2         # of the change set number change
    REMOVED = 3
    NEW_SOA = 4
    ADDED = 5
    CLOSING = 6         # the zone's SOA record
    SENT = 7

cdef struct Transfer:
    uint32_t source
    uint32_t zone_id
    uint32_t version
    uint32_t serial
    Part part
    Part after_opening
    uint32_t change     # numbers of change sets
    uint32_t last_change
    uint32_t skipped    # RRs of the name at key, or of the change set, that have been sent or are not to be
    uint64_t records    # that have been sent
    uint16_t id
    uint16_t flags      # of the header
    uint16_t qtype
    uint16_t name_len
    bint has_opt        # an OPT record belongs into the first message
    bint begun          # some of the zone's names have been sent
    uint8_t spelled[256]    # the zone, as the question has it
    uint8_t name[256]       # and lowercased
    Key key

# z: of a zone with an SOA record, whose name is the question's. has_serial: the client has this version.
cdef void begin_transfer(Transfer* t, const ZoneView* z, const Query* q, bint has_serial,
                         uint32_t serial) noexcept nogil

# The next message: its size; 0: all has been sent; -1: it cannot go on. room: MAX_MESSAGE_BYTES.
cdef int32_t next_message(Transfer* t, const StoreHeader* h, uint8_t* out, uint32_t room) noexcept nogil
