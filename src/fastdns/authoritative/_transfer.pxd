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

NSEC3 records have the names that they have in the zone (see _denial.pxd).

Failure cases: the zone changes (CUT_CHANGED) or is gone (CUT_GONE); an RR does not fit into a message (CUT_RECORD:
one of 65,000 bytes with long names); a history whose change sets do not lead from the client's serial to the zone's
(as AXFR).
"""

from libc.stdint cimport uint32_t

from fastdns.rrsets._order cimport Key
from fastdns.serve._transfers cimport NativeTransfer

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

# The state of an Outgoing.
cdef struct Progress:
    uint32_t zone_id
    uint32_t version
    Part part
    Part after_opening
    uint32_t change     # numbers of change sets
    uint32_t last_change
    uint32_t skipped    # RRs of the name at key, or of the change set, that have been sent or are not to be
    bint begun          # some of the zone's names have been sent
    Key key


cdef class ZoneTransfer(NativeTransfer):
    """The zones of one source."""
    cdef uint32_t source
