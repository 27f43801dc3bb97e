"""The canonical order of the names of a zone: order keys, and reading chunks. See _layout.pxd for their form."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy

from fastdns.rrsets._layout cimport KEY_ROOM, u16_at, u32_at

cdef struct Key:
    uint32_t size
    uint8_t bytes[KEY_ROOM]

# A directory, checked as a whole.
cdef struct Directory:
    uint32_t count
    const uint8_t* numbers      # u32 each
    const uint8_t* places       # u32 each, one more
    const uint8_t* keys
    uint32_t keys_size

# A chunk, and the entry that was read last: its key is in key, the next one begins at `at`.
cdef struct Chunk:
    const uint8_t* start
    uint32_t size
    uint32_t count
    uint32_t restarts
    uint32_t at
    uint32_t left
    Key key

# The order key of a relative name of so many bytes. False where it is no name.
cdef bint key_of_name(const uint8_t* name, uint32_t size, Key* key) noexcept nogil

# The relative name of an order key, 255 bytes at most: its size, or -1.
cdef int name_of_key(const Key* key, uint8_t* name) noexcept nogil

cdef bint open_directory(const uint8_t* payload, uint32_t size, Directory* d) noexcept nogil
cdef bint open_chunk(const uint8_t* payload, uint32_t size, Chunk* c) noexcept nogil

# Read the next entry's key. False at the end.
cdef bint next_entry(Chunk* c) noexcept nogil

# Go to the restart behind which a key must be: the last one below it. The next entry is that one.
cdef void seek_restart(Chunk* c, const uint8_t* key, uint32_t size) noexcept nogil

# Read the last entry. False where there is none.
cdef bint last_entry(Chunk* c) noexcept nogil

# The last chunk of a directory that may hold a key, by its place; 0 where the key is below all.
cdef uint32_t chunk_for(const Directory* d, const uint8_t* key, uint32_t size) noexcept nogil

cdef int compare_keys(const uint8_t* a, uint32_t a_size, const uint8_t* b, uint32_t b_size) noexcept nogil

cdef inline uint32_t chunk_number(const Directory* d, uint32_t i) noexcept nogil:
    return u32_at(d.numbers + 4 * <size_t>i)

cdef inline const uint8_t* first_key(const Directory* d, uint32_t i, uint32_t* size) noexcept nogil:
    cdef uint32_t at = u32_at(d.places + 4 * <size_t>i)
    cdef uint32_t ends = u32_at(d.places + 4 * (<size_t>i + 1))
    if at > ends or ends > d.keys_size:
        at = 0
        ends = 0
    size[0] = ends - at
    return d.keys + at
