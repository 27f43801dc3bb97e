"""Where the writer of a zone store puts records, and what of the mapping is in memory (decision 12).

The mapping is pages of 4 KiB. The index and each record of 8 KiB or more have pages of their own. Smaller ones
are written one after the other into segments of 16 pages. A segment is freed as a whole, once no record in it is
live or may still be read. Where live records fill less than two thirds of the segments, the writer moves the
records of the emptiest segment into the one that is being filled, so that it becomes free.

Free pages are given back to the kernel, but for some that are kept for what comes next. The mapping is larger than
the memory that may be taken, so that holes between large records cost addresses and no memory.

All of this is the writer's own memory. A successor makes it anew from what the index reaches: adopt_record and
adopt_pages say what is in use, next_hole finds what is not.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free

from fastdns.memory._mapping cimport give_pages

cdef enum:
    PAGE_USED = 1
    PAGE_RESIDENT = 2
    PAGE_BYTES = 4096


cdef inline uint32_t pages_of(uint32_t units) noexcept:
    return (units + PAGE_UNITS - 1) // PAGE_UNITS


cdef class Space:
    """The pages of a mapping, of which the caller sets base and high_water. Nothing is in use at first."""

    def __cinit__(self, uint32_t first_page, uint32_t page_count, uint32_t max_pages):
        self.first_page = first_page
        self.page_count = page_count
        self.max_pages = max_pages
        self.lowest_free = first_page
        self.used_pages = first_page
        self.resident_pages = first_page
        self.pages = <uint8_t*>calloc(page_count, 1)
        self.segments = <Segment*>calloc(page_count // SEGMENT_PAGES + 1, sizeof(Segment))
        if self.pages == NULL or self.segments == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.pages)
        free(self.segments)

    # ----------------------------------------------------------------------------------------------- pages

    cdef uint32_t take_pages(self, uint32_t count, uint32_t align, uint32_t keep) noexcept:
        """The first of so many pages in a row, or 0 where keep pages would not be left of the bound."""
        cdef uint64_t at, run
        if <uint64_t>self.used_pages + count + keep > self.max_pages:
            return 0
        at = self.lowest_free
        while True:
            at = (at + align - 1) // align * align
            if at + count > self.page_count:
                return 0
            run = 0
            while run < count and not self.pages[at + run] & PAGE_USED:
                run += 1
            if run == count:
                break
            at += run + 1
        if (at + count) * PAGE_UNITS > self.high_water[0]:
            # Before it is written to: a successor looks no further.
            self.high_water[0] = (at + count) * PAGE_UNITS
        self.adopt_pages(<uint32_t>at, count)
        if self.resident_pages > self.max_pages:
            self.give_back(self.max_pages)
        return <uint32_t>at

    cdef void adopt_pages(self, uint32_t page, uint32_t count) noexcept:
        """These are in use."""
        cdef uint32_t i
        for i in range(page, page + count):
            if not self.pages[i] & PAGE_USED:
                self.used_pages += 1
            if not self.pages[i] & PAGE_RESIDENT:
                self.resident_pages += 1
            self.pages[i] = PAGE_USED | PAGE_RESIDENT
        while self.lowest_free < self.page_count and self.pages[self.lowest_free] & PAGE_USED:
            self.lowest_free += 1

    cdef void free_pages(self, uint32_t page, uint32_t count) noexcept:
        cdef uint32_t i
        for i in range(page, page + count):
            self.pages[i] = PAGE_RESIDENT
        self.used_pages -= count
        self.lowest_free = min(self.lowest_free, page)

    cdef uint32_t next_hole(self, uint32_t* page) noexcept:
        """The length of the next row of pages in no use, from page[0] on, which becomes its first; 0 at the end."""
        cdef uint32_t behind = pages_of(<uint32_t>self.high_water[0])
        cdef uint32_t at = page[0]
        while at < behind and self.pages[at] & PAGE_USED:
            at += 1
        page[0] = at
        while at < behind and not self.pages[at] & PAGE_USED:
            at += 1
        return at - page[0]

    cdef void trim(self) noexcept:
        """Give free pages back where there are many."""
        cdef uint32_t kept = max(<uint32_t>SEGMENT_PAGES, self.used_pages // 8)
        if self.resident_pages > self.used_pages + kept:
            # Not all: what grows and shrinks by turns should not ask the kernel each time.
            self.give_back(self.used_pages + kept // 2)

    cdef void give_back(self, uint32_t resident) noexcept:
        """Give free pages back until so many are in memory, those at the highest addresses first."""
        cdef uint32_t behind = pages_of(<uint32_t>self.high_water[0])
        cdef uint32_t at
        while behind > self.first_page and self.resident_pages > resident:
            at = behind
            while at > self.first_page and self.pages[at - 1] == PAGE_RESIDENT \
                    and self.resident_pages - (behind - at) > resident:
                at -= 1
            if at < behind:
                # By its address: the writer is forked, and its descriptor of the mapping is closed.
                if not give_pages(self.base + <size_t>at * PAGE_BYTES, <size_t>(behind - at) * PAGE_BYTES):
                    # A kernel that cannot: then no more addresses may be used than memory may be taken.
                    self.page_count = max(self.max_pages, pages_of(<uint32_t>self.high_water[0]))
                    return
                self.resident_pages -= behind - at
                while behind > at:
                    behind -= 1
                    self.pages[behind] = 0
            else:
                behind -= 1

    # --------------------------------------------------------------------------------------------- records

    cdef uint32_t take(self, uint32_t units, bint moving) noexcept:
        """Where a record of so many units goes, as a unit offset, or 0. What is taken counts as live.

        A segment is kept from what is not moving: without one nothing could be moved, and so nothing be freed.
        """
        cdef uint32_t keep = 0 if moving else SEGMENT_PAGES
        cdef uint32_t page, full
        cdef Segment* s
        if units > SMALL_UNITS:
            return self.take_pages(pages_of(units), 1, keep) * PAGE_UNITS
        if not self.open or self.segments[self.open].fill + units > SEGMENT_UNITS:
            page = self.take_pages(SEGMENT_PAGES, SEGMENT_PAGES, keep)
            if not page:
                return 0
            full = self.open
            self.open = page // SEGMENT_PAGES
            self.live_segments += 1
            if full and not self.segments[full].live:
                self.live_segments -= 1
                self.free_if_unused(full)
        s = &self.segments[self.open]
        s.fill += units
        s.live += units
        self.small_units += units
        return self.open * SEGMENT_UNITS + s.fill - units

    cdef void adopt_record(self, uint32_t at, uint32_t units) noexcept:
        """This one is live."""
        cdef uint32_t number = at // SEGMENT_UNITS
        cdef Segment* s = &self.segments[number]
        if units > SMALL_UNITS:
            self.adopt_pages(at // PAGE_UNITS, pages_of(units))
            return
        if not s.live:
            self.live_segments += 1
            self.adopt_pages(number * SEGMENT_PAGES, SEGMENT_PAGES)
        s.live += units
        s.fill = max(s.fill, at % SEGMENT_UNITS + units)
        self.small_units += units

    cdef void retire(self, uint32_t at, uint32_t units) noexcept:
        """No reader finds it from now on."""
        cdef uint32_t number = at // SEGMENT_UNITS
        if units > SMALL_UNITS:
            return
        self.segments[number].live -= units
        self.segments[number].retired += units
        self.small_units -= units
        if not self.segments[number].live and number != self.open:
            self.live_segments -= 1

    cdef void release(self, uint32_t at, uint32_t units) noexcept:
        """No reader sees it any more."""
        if units > SMALL_UNITS:
            self.free_pages(at // PAGE_UNITS, pages_of(units))
            return
        self.segments[at // SEGMENT_UNITS].retired -= units
        self.free_if_unused(at // SEGMENT_UNITS)

    cdef void free_if_unused(self, uint32_t number) noexcept:
        cdef Segment* s = &self.segments[number]
        if not s.live and not s.retired and number != self.open:
            s.fill = 0
            self.free_pages(number * SEGMENT_PAGES, SEGMENT_PAGES)

    cdef bint is_wasteful(self) noexcept:
        """Whether the live records of all but one segment fill less than two thirds of them."""
        return self.live_segments > 1 and 2 * <uint64_t>SEGMENT_UNITS * (self.live_segments - 1) \
            > 3 * self.small_units

    cdef uint32_t emptiest(self) noexcept:
        """The segment with least live, of those that have some and are not open; 0 where there is none."""
        cdef uint32_t i, found = 0
        cdef uint32_t behind = pages_of(<uint32_t>self.high_water[0]) // SEGMENT_PAGES + 1
        for i in range(1, min(behind, self.page_count // SEGMENT_PAGES)):
            if self.segments[i].live and i != self.open and (
                    not found or self.segments[i].live < self.segments[found].live):
                found = i
        return found
