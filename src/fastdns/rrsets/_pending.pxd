"""What a change of a zone leaves for later: what its readers may still see."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from fastdns.memory._hash cimport hash_bytes
from fastdns.memory._store cimport Record, StoreHeader, Sweep, Writer, find
from fastdns.rrsets._layout cimport NUMBER_KEY_BYTES, kind_in, number_key

# Numbers of 64 bits, in a row that grows.
cdef struct Hashes:
    uint64_t* at
    size_t count
    size_t room

cdef int push(Hashes* row, uint64_t hash) except -1

# Work in slices goes on until a time of monotonic_ns, and looks at the clock each time so much is done.
cdef enum:
    LOOK_EVERY = 16

# Remove all records of a zone but its ZoneHead. Returns whether it is done.
cdef bint drop_zones(Writer writer, uint32_t source, const uint32_t* ids, uint32_t count, Sweep* sweep,
                     uint64_t until) except -1

# The hash of the key of a chunk, a directory or a change set.
cdef inline uint64_t numbered_hash(const StoreHeader* h, uint32_t source, uint8_t kind, uint32_t zone_id,
                                   uint32_t number) noexcept nogil:
    cdef uint8_t key[NUMBER_KEY_BYTES]
    number_key(key, source, kind, zone_id, number)
    return hash_bytes(h.seed, key, NUMBER_KEY_BYTES)


cdef inline const Record* of_hash(const StoreHeader* h, uint32_t source, uint64_t hash) noexcept nogil:
    """The record of this source with a hash, or NULL."""
    cdef const Record* record = find(h, hash, NULL, 0)
    return record if record != NULL and kind_in(record, source) else NULL

cdef class Pending:
    """What is to be done once no reader is in an epoch any more: the words of a change that is complete.

    names: of records that still hold what was before, the hash and what `since` was. gone: hashes of records that
    nothing leads to. zones: ids of zones that are gone.
    """
    cdef uint64_t epoch
    cdef Hashes names           # in pairs
    cdef Hashes gone
    cdef set zones
    cdef Sweep sweep            # of the zones
    cdef size_t looked_at       # of names; the first ones of them are those that are left
    cdef size_t left
    # Do what a change has left for later. Returns whether all of it is done: it may be out of time, or of space.
    cdef bint finish(self, Writer writer, uint32_t source, uint64_t until) except -1
