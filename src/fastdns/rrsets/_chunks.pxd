"""Changing the order of the names of a zone: see _layout.pxd for what it is in the store."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastdns.memory._store cimport Writer
from fastdns.rrsets._draft cimport Arena, Buffer
from fastdns.rrsets._order cimport Chunk, Directory
from fastdns.rrsets._pending cimport Hashes

# A name that the order gains or loses.
cdef struct OrderEdit:
    const uint8_t* key
    uint16_t size
    bint gone


cdef class OrderCopy:
    """The names of a zone in order, as copies: the store may move while the writer writes."""
    cdef Writer writer
    cdef uint32_t source
    cdef uint32_t zone_id
    cdef bytes directory_bytes
    cdef Directory directory
    cdef uint32_t next_chunk
    cdef bytes chunk_bytes
    cdef Chunk chunk
    cdef bint open(self, uint32_t number) except -1
    cdef bint open_chunk(self, uint32_t i) except -1
    cdef bint next(self) except -1


cdef class Chunks:
    """The chunks of an order that is being made, and its directory."""
    cdef OrderChange change
    cdef OrderEdit* keys        # that go into the next chunks
    cdef size_t count
    cdef size_t room
    cdef size_t bytes           # that they will take, about
    cdef Buffer numbers
    cdef Buffer places
    cdef Buffer firsts
    cdef Buffer chunk

    cdef int keep(self, const uint8_t* first, uint32_t size, uint32_t number) except -1
    cdef int add(self, const uint8_t* key, uint32_t size) except -1
    cdef int add_copy(self, const uint8_t* key, uint32_t size) except -1
    cdef int flush(self) except -1
    cdef uint32_t finish(self) except? 0


cdef class OrderChange:
    """A change of the order, and whatever else is published under numbers with it.

    made: hashes of new records, to be removed where the change is given up. gone: of those that nothing leads to
    any more, once it is published.
    """
    cdef Writer writer
    cdef uint32_t source
    cdef uint32_t zone_id
    cdef uint32_t next_number
    cdef Hashes made
    cdef Hashes gone
    cdef OrderEdit* edits
    cdef size_t edit_count
    cdef size_t edit_room
    cdef Arena arena            # of keys that are in nobody else's memory
    # Of publish, which goes on where it was:
    cdef OrderCopy old
    cdef Chunks chunks
    cdef size_t next_edit
    cdef uint32_t next_chunk    # of the old ones
    cdef uint32_t directory

    cdef int note(self, const uint8_t* key, uint32_t size, bint gone) except -1
    cdef uint32_t put_numbered(self, uint8_t kind, const uint8_t* payload, uint32_t size) except 0
    # Publish the order with its edits: the chunks that change, and a directory. Goes on until a time of
    # monotonic_ns. Returns whether it is done: directory is the new one's number, 0 where no names are left.
    # was: the number of the one that is served.
    cdef bint publish(self, uint32_t was, uint64_t until) except -1
    cdef int add_edit(self) except -1
