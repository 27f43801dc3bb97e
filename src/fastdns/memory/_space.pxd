"""Where the writer of a zone store puts records: see _space.pyx."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef enum:
    PAGE_UNITS = 256            # 4096 bytes
    SEGMENT_PAGES = 16
    SEGMENT_UNITS = 4096        # 64 KiB
    SMALL_UNITS = 511           # a record of more has pages of its own, a third of them unused at most

# What one 64 KiB of the mapping holds, where it holds small records. All zero otherwise.
cdef struct Segment:
    uint32_t fill               # units given out, from its start on
    uint32_t live               # of these: units of records that the index reaches
    uint32_t retired            # units of records that a reader may still see


cdef class Space:
    cdef uint8_t* base              # the mapping
    cdef uint32_t first_page        # what is before it is not ours
    cdef uint32_t page_count        # of the mapping
    cdef uint32_t max_pages         # that may be in use or in memory, with those before first_page
    cdef uint8_t* pages             # PAGE_ flags
    cdef Segment* segments
    cdef uint32_t open              # the segment that is being filled; 0: none
    cdef uint32_t lowest_free       # no page before it is free
    cdef uint32_t used_pages
    cdef uint32_t resident_pages    # used, or free and not given back yet
    cdef uint32_t live_segments     # with a live record, or open
    cdef uint64_t small_units       # live ones in segments
    cdef uint64_t* high_water       # in the store's header: units; nothing beyond was ever written
    cdef uint32_t take_pages(self, uint32_t count, uint32_t align, uint32_t keep) noexcept
    cdef void free_pages(self, uint32_t page, uint32_t count) noexcept
    cdef uint32_t take(self, uint32_t units, bint moving) noexcept
    cdef void retire(self, uint32_t at, uint32_t units) noexcept
    cdef void release(self, uint32_t at, uint32_t units) noexcept
    cdef void free_if_unused(self, uint32_t number) noexcept
    cdef void adopt_record(self, uint32_t at, uint32_t units) noexcept
    cdef void adopt_pages(self, uint32_t page, uint32_t count) noexcept
    cdef uint32_t next_hole(self, uint32_t* page) noexcept
    cdef bint is_wasteful(self) noexcept
    cdef uint32_t emptiest(self) noexcept
    cdef void trim(self) noexcept
    cdef void give_back(self, uint32_t resident) noexcept
