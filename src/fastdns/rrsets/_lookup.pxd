"""Reading zones of RRsets: native, without locks, allocation or the GIL, within an epoch of the store.

open_zone or find_zone gives a ZoneView: the zone at one version. Whatever is read through one view is of that
version, as long as the reader stays in its epoch: take the view once a query. There is one exception, of no
consequence for single names: where two changes of one name are published while a reader stays in its epoch, it sees
the name, whole, as it was between the two.

look_up says what a name is to its zone (RFC 1034 section 4.3.2, RFC 4592, RFC 6672):

    NAME_FOUND       it has RRsets: body
    NAME_EMPTY       it has none, but there are names below it (an empty non-terminal)
    NAME_WILDCARD    it does not exist; the wildcard at its closest encloser does: body, or no RRsets where that is
    an
                     empty non-terminal. at: of the closest encloser in the name
    NAME_MISSING     it does not exist. at: of the closest encloser
    NAME_DELEGATED   it is at or below a zone cut: at and body of the highest one. At the cut itself, DS records are
                     this zone's (RFC 4035 section 3.1.4.1): they are in body
    NAME_RENAMED     it is below a name with a DNAME record: at and body of the highest one

The work is one hash lookup a label where the zone has cuts or DNAMEs, else one; a name that is not found takes one
search of the order more (a binary search, and one chunk), and two where the zone has wildcards.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastdns._wire cimport RR, Query
from fastdns.memory._atomics cimport load
from fastdns.memory._store cimport StoreHeader
from fastdns.rrsets._layout cimport Body, RRset, Walk, ZoneHead
from fastdns.rrsets._order cimport Chunk, Directory, Key

cdef enum Found:
    NAME_FOUND = 0
    NAME_EMPTY = 1
    NAME_WILDCARD = 2
    NAME_MISSING = 3
    NAME_DELEGATED = 4
    NAME_RENAMED = 5

# A zone at one version. head: what the store says of it; serial, counts and limits of the history are there.
cdef struct ZoneView:
    const StoreHeader* h
    const ZoneHead* head
    uint32_t source
    uint32_t name_len

cdef struct Lookup:
    Found found
    uint32_t at
    Body body

# Where in the order of a zone a reader is. before: the last name below the place that was sought (has_before).
cdef struct Place:
    ZoneView zone
    Directory directory
    uint32_t next_chunk
    Chunk chunk
    bint has_before
    Key before

# A change set of the history: (serial before, serial after), and its RRs.
cdef struct ChangeView:
    uint32_t from_serial
    uint32_t to_serial
    uint32_t removed            # RRs that are left to read, of either kind
    uint32_t added
    const uint8_t* at
    uint32_t room

cdef struct ChangedRR:
    const uint8_t* name         # relative
    const uint8_t* rdata
    uint32_t ttl_s
    uint16_t name_len
    uint16_t rrtype
    uint16_t rdata_len
    bint added

# The zone of a source with this name (lowercased wire form). False where there is none.
cdef bint open_zone(const StoreHeader* h, uint32_t source, const uint8_t* name, uint32_t name_len,
                    ZoneView* z) noexcept nogil

# The same of a zone that was published with a layer (see _layout.pxd).
cdef bint open_layer(const StoreHeader* h, uint32_t source, const uint8_t* name, uint32_t name_len, uint8_t layer,
                     ZoneView* z) noexcept nogil

# The longest zone of a source that the question is in.
cdef bint find_zone(const StoreHeader* h, uint32_t source, const Query* q, ZoneView* z) noexcept nogil

# The zones of a source, in no order. Looks at each slot of the store's index: not for a query.
cdef struct ZonesWalk:
    uint64_t index
    uint64_t at

cdef inline void walk_zones(const StoreHeader* h, ZonesWalk* walk) noexcept nogil:
    walk.index = load(&h.index)
    walk.at = 0

# The next one, and its name (z.name_len bytes), or False at the end. In the epoch of walk_zones.
cdef bint next_zone(const StoreHeader* h, uint32_t source, ZonesWalk* walk, ZoneView* z,
                    const uint8_t** name) noexcept nogil

# The hash of the record of a question's name, for prefetch_slot and prefetch_record.
cdef uint64_t name_hash(const ZoneView* z, const Query* q) noexcept nogil

# The RRsets of a name, which is relative and lowercased. False where it has none.
cdef bint find_name(const ZoneView* z, const uint8_t* name, uint32_t size, Body* body) noexcept nogil

# q: its name must be in the zone.
cdef void look_up(const ZoneView* z, const Query* q, Lookup* found) noexcept nogil

# Fill the rdata of an RR for the reply. Names of types of RFC 1035 are compressed when it is written. False where
# the rdata is not of its type's form.
cdef bint put_rdata(RR* rr, uint16_t rrtype, const uint8_t* rdata, uint16_t size) noexcept nogil

# Go before the first name of the zone that is not below this order key; size 0: the first of all. Then next_name
# gives one name after the other, as its order key (place.chunk.key). False where the zone has no names.
cdef bint seek(const ZoneView* z, const uint8_t* key, uint32_t size, Place* place) noexcept nogil
cdef bint next_name(Place* place) noexcept nogil

# The last name of the zone.
cdef bint last_name(const ZoneView* z, Key* key) noexcept nogil

# The change set of the history that begins at a serial. False where the history does not go back to it.
cdef bint find_change(const ZoneView* z, uint32_t serial, ChangeView* change) noexcept nogil
cdef bint next_changed(ChangeView* change, ChangedRR* rr) noexcept nogil
