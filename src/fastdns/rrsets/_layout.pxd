"""What the zone store holds of a zone of RRsets: keys and payloads.

Keys begin with the source's number (two bytes) and a kind:

    Z  zone name                        ZoneHead: the zone exists, and this version of it is served
    R  zone id, relative name           the RRsets of one name
    D  zone id, number                  a directory: the chunks of the order, by their first names
    O  zone id, number                  a chunk of the order: names of the zone, one after the other
    H  zone id, number                  a change set of the history
    M  zone name                        what the source wants its successor to know of the zone: its own form

A source may have further zones with the name of a zone: layers. A byte behind the name, from 1 on, tells them
apart. No name of a question ends so, and they are found only where they are opened by name (open_layer).

Names are in wire form, lowercased. A relative name is what stands before the zone, without the root label; the apex
has none. Numbers and ids are of 32 bits.

A zone is read through its ZoneHead alone, and so is always seen at one version. A change is written beside what is
served: chunks and directories under new numbers, and the records of names with both contents, the new one and the
one before. One release store of the ZoneHead makes all of it visible at once. What the version before had alone is
removed once every reader has left the epoch in which it could see that version (_writer.pyx).

The payload of a name:

    since u32 | old_at u32, where since is not SETTLED | RRsets | RRsets of the version before, from old_at on

since is the version from which on the first RRsets hold. A reader of an earlier version, or any reader where it is
ABORTED, takes those from old_at on; old_at 0 means that the name did not exist. No RRsets means the same. since is
the one word of a record that changes in place: to OLD_GONE, when nobody sees the version before any more, and to
ABORTED, when a change was given up. Both tell a reader what it was told before.

RRsets are ordered by type: SetHead, then of each RR the length of its rdata (u16) and its rdata, uncompressed.

The order is canonical (RFC 4034 section 6.1). A name's order key is its labels from the zone downwards, each with
a zero byte behind it; the bytes 0 and 1 in a label become 1 1 and 1 2. So memcmp orders keys as names are ordered,
and the key of a name begins with the keys of all names above it. A chunk:

    count u16 | restarts u16 | place u16[restarts] | entries: shared u8, size u8 (255: and u16), bytes

An entry's key is `shared` bytes of the key before it, and its own bytes. Each RESTART_EVERY-th shares none; place
says where these begin. A directory:

    count u32 | number u32[count] | place u32[count + 1] | the first keys of the chunks

What is read is checked: a body, a chunk or a directory whose parts do not lie within it ends there.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from fastdns.memory._store cimport SOURCE_BYTES, Record, put_source, record_key, source_of

cdef enum:
    KIND_ZONE = 90              # 'Z'
    KIND_NAME = 82              # 'R'
    KIND_DIRECTORY = 68         # 'D'
    KIND_CHUNK = 79             # 'O'
    KIND_CHANGE = 72            # 'H'
    KIND_MEMO = 77              # 'M'

cdef enum:
    ZONE_KEY_BYTES = 3          # before a zone's name
    NAME_KEY_BYTES = 7          # before a relative name, or a number
    NUMBER_KEY_BYTES = 11
    KEY_ROOM = 528              # of an order key: two bytes for each of a name, at most
    RESTART_EVERY = 16
    CHUNK_BYTES = 2048          # what a chunk is made to hold
    MAX_CHUNK_BYTES = 3072      # what it may grow to
    FEW_CHUNK_BYTES = 512       # what is less is joined with the next chunk

cdef enum:
    SETTLED = 0                 # since: there is no version before, and no old_at
    OLD_GONE = 1                # the same, with old_at
    FIRST_VERSION = 2
    ABORTED = 0xFFFFFFFF

# What is kept of one name. Larger RRsets fit into no message.
cdef enum:
    MAX_SET_BYTES = 65000       # with 2 bytes for each RR
    MAX_SET_RRS = 4096
    MAX_BODY_BYTES = 1048576

cdef packed struct ZoneHead:
    uint32_t zone_id
    uint32_t version
    uint32_t serial             # of the SOA record; of a zone without one the version
    uint32_t directory          # its number
    uint32_t next_number        # of chunks and directories
    uint32_t names
    uint32_t cuts               # names below the apex that have NS records
    uint32_t dnames             # names that have DNAME records
    uint32_t wildcards          # names that have a label "*"
    uint32_t first_change       # number of the oldest change set of the history
    uint32_t change_count
    uint32_t has_soa
    uint64_t rrs
    uint64_t change_bytes       # of the history

cdef packed struct SetHead:
    uint16_t rrtype
    uint16_t count
    uint16_t size               # of the RRs behind it
    uint32_t ttl_s

# A change set: ChangeHead, the RRs that were removed, and those that were added. An RR: ChangeRR, relative name,
# rdata.
cdef packed struct ChangeHead:
    uint32_t from_serial
    uint32_t to_serial
    uint32_t removed
    uint32_t added

cdef packed struct ChangeRR:
    uint16_t name_len
    uint16_t rrtype
    uint32_t ttl_s
    uint16_t rdata_len

# The RRsets of a name; size 0: none.
cdef struct Body:
    const uint8_t* at
    uint32_t size

# One of them. rrs: the RRs as they stand in the store.
cdef struct RRset:
    const uint8_t* rrs
    uint32_t size
    uint32_t ttl_s
    uint16_t rrtype
    uint16_t count

# Where in the RRsets of a name a reader is, or in the RRs of one.
cdef struct Walk:
    const uint8_t* at
    uint32_t room

cdef inline uint8_t kind_in(const Record* r, uint32_t source) noexcept nogil:
    """The kind of a record, 0 where it is not of this source."""
    if r.key_len < ZONE_KEY_BYTES or source_of(r) != source:
        return 0
    return record_key(r)[SOURCE_BYTES]

cdef inline void begin_key(uint8_t* key, uint32_t source, uint8_t kind) noexcept nogil:
    put_source(key, source)
    key[SOURCE_BYTES] = kind

cdef inline void begin_name_key(uint8_t* key, uint32_t source, uint8_t kind, uint32_t zone_id) noexcept nogil:
    begin_key(key, source, kind)
    memcpy(key + ZONE_KEY_BYTES, &zone_id, 4)

cdef inline void number_key(uint8_t* key, uint32_t source, uint8_t kind, uint32_t zone_id,
                            uint32_t number) noexcept nogil:
    begin_name_key(key, source, kind, zone_id)
    memcpy(key + NAME_KEY_BYTES, &number, 4)

cdef inline uint32_t u32_at(const uint8_t* at) noexcept nogil:
    cdef uint32_t value
    memcpy(&value, at, 4)
    return value

cdef inline uint16_t u16_at(const uint8_t* at) noexcept nogil:
    cdef uint16_t value
    memcpy(&value, at, 2)
    return value

# Whether version a is b or an earlier one. Numbers of versions wrap around.
cdef inline bint not_after(uint32_t a, uint32_t b) noexcept nogil:
    return <uint32_t>(b - a) < 0x80000000u

# The RRsets that a reader of a version sees in the payload of a name's record.
cdef inline void visible(const uint8_t* payload, uint32_t size, uint32_t since, uint32_t version,
                         Body* body) noexcept nogil:
    cdef uint32_t old_at
    body.at = payload
    body.size = 0
    if size < 4:
        return
    if since == SETTLED:
        body.at = payload + 4
        body.size = size - 4
        return
    if size < 8:
        return
    old_at = u32_at(payload + 4)
    if old_at != 0 and (old_at < 8 or old_at > size):
        return
    if since == OLD_GONE or (since != ABORTED and not_after(since, version)):
        body.at = payload + 8
        body.size = (old_at if old_at else size) - 8
    elif old_at:
        body.at = payload + old_at
        body.size = size - old_at

cdef inline void walk_sets(const Body* body, Walk* walk) noexcept nogil:
    walk.at = body.at
    walk.room = body.size

# The next RRset, or False at the end.
cdef inline bint next_set(Walk* walk, RRset* s) noexcept nogil:
    cdef const SetHead* head = <const SetHead*>walk.at
    if walk.room < sizeof(SetHead) or head.size > walk.room - sizeof(SetHead):
        return False
    s.rrtype = head.rrtype
    s.count = head.count
    s.ttl_s = head.ttl_s
    s.size = head.size
    s.rrs = walk.at + sizeof(SetHead)
    walk.at += sizeof(SetHead) + s.size
    walk.room -= <uint32_t>sizeof(SetHead) + s.size
    return True

# The RRset of a type.
cdef inline bint find_set(const Body* body, uint16_t rrtype, RRset* s) noexcept nogil:
    cdef Walk walk
    walk_sets(body, &walk)
    while next_set(&walk, s):
        if s.rrtype == rrtype:
            return True
    return False

cdef inline void walk_rrs(const RRset* s, Walk* walk) noexcept nogil:
    walk.at = s.rrs
    walk.room = s.size

# The rdata of the next RR, or NULL at the end.
cdef inline const uint8_t* next_rdata(Walk* walk, uint16_t* size) noexcept nogil:
    cdef const uint8_t* at = walk.at + 2
    size[0] = 0
    if walk.room < 2 or u16_at(walk.at) > walk.room - 2:
        return NULL
    size[0] = u16_at(walk.at)
    walk.at = at + size[0]
    walk.room -= 2 + <uint32_t>size[0]
    return at

# The bytes of the domain name in wire form that begins at a place; 0 where none of them ends within room.
cdef inline uint32_t name_bytes(const uint8_t* at, uint32_t room) noexcept nogil:
    cdef uint32_t used = 0
    while used < room and used < 255:
        if at[used] == 0:
            return used + 1
        if at[used] > 63:
            return 0
        used += at[used] + 1
    return 0
