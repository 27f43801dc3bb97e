"""The RRs of a zone, or of some of its names, before they are published: in the writer's own memory.

An RR takes 32 bytes, and in the arena 8 bytes and its rdata; a name takes twice its length, once for all RRs that
are added one after the other.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

# Blocks of memory that never move.
cdef struct Arena:
    uint8_t** blocks
    size_t count
    size_t room                 # of blocks
    size_t left                 # of the last block
    uint8_t* next

cdef void* take(Arena* arena, size_t size) except NULL nogil
cdef void clear(Arena* arena) noexcept

# A buffer that grows.
cdef struct Buffer:
    uint8_t* at
    size_t size
    size_t room

cdef uint8_t* extend(Buffer* buffer, size_t size) except NULL

cdef struct DraftRR:
    uint64_t prefix             # the first bytes of the order key, as a number: most comparisons end here
    const uint8_t* name         # key size u16, name size u8, key, relative name
    const uint8_t* rdata        # ttl u32, type u16, size u16, rdata; NULL: the name has no RRs
    uint32_t number             # how many were added before
    uint32_t omitted            # not 0: it is not published

# Why something is left out.
cdef enum:
    NO_NAME = 0
    NOT_IN_ZONE = 1
    LONG_RDATA = 2
    MALFORMED_RDATA = 3
    LARGE_SET = 4
    LARGE_NAME = 5

cdef inline uint32_t key_size(const DraftRR* rr) noexcept nogil:
    return <uint32_t>rr.name[0] << 8 | rr.name[1]

cdef inline const uint8_t* key_bytes(const DraftRR* rr) noexcept nogil:
    return rr.name + 3

cdef inline uint32_t name_size(const DraftRR* rr) noexcept nogil:
    return rr.name[2]

cdef inline const uint8_t* relative_name(const DraftRR* rr) noexcept nogil:
    return rr.name + 3 + key_size(rr)


cdef class Draft:
    cdef readonly bytes zone
    cdef readonly bytes stored_as       # of the store's key
    cdef const uint8_t* zone_bytes
    cdef uint32_t zone_len
    cdef readonly dict left_out         # why -> how many RRs
    cdef readonly list examples         # (owner, type, why) of the first ones
    cdef Arena arena
    cdef DraftRR* rrs
    cdef uint32_t count
    cdef uint32_t room
    cdef const uint8_t* last_name       # of the RR that was added last, and its owner as it was given
    cdef uint8_t last_owner[256]
    cdef uint32_t last_owner_len
    cdef bint sorted
    cdef uint16_t* seen                 # a hash table, for RRs of large RRsets that are there twice
    cdef uint32_t free_slot             # of it, for the RR that was looked for last

    # owner: in uncompressed wire form, any case, at or below the zone. rdata: uncompressed. What cannot be kept is
    # left out and counted: returns False. One thread at a time has the draft.
    cdef bint put(self, const uint8_t* owner, uint32_t owner_len, uint16_t rrtype, uint32_t ttl_s,
                  const uint8_t* rdata, uint32_t rdata_len) except -1 nogil
    # The bytes of a name before the zone; -1 where it is not in the zone, or no name.
    cdef int relative_size(self, const uint8_t* owner, uint32_t owner_len) noexcept nogil
    # A name of which nothing is left.
    cdef int put_gone(self, const uint8_t* name, uint32_t size) except -1
    cdef int leave_out(self, const uint8_t* owner, uint32_t owner_len, uint16_t rrtype, int why) except -1 nogil
    cdef const uint8_t* name_entry(self, const uint8_t* name, uint32_t size) except? NULL nogil
    cdef int append(self, const uint8_t* name, const uint8_t* rdata) except -1 nogil
    cdef int sort(self) except -1 nogil
    # Pack the RRsets of the name whose first RR is number i, in order. Returns the number of the next name's first
    # RR.
    cdef uint32_t pack(self, uint32_t i, Buffer* body) except 0
    cdef bint is_repeated(self, const uint8_t* rrs, uint32_t* places, uint32_t count, const uint8_t* rdata,
                          uint16_t size) noexcept
