"""Takes a list of the API server apart as its JSON comes in, so that no more than one item is held at a time."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint32_t

cdef enum:
    QUOTE = 34
    BACKSLASH = 92
    COMMA = 44
    OPEN_ARRAY = 91
    CLOSE_ARRAY = 93
    OPEN_OBJECT = 123
    CLOSE_OBJECT = 125


cdef class JsonItems:
    """max_bytes: of one item, and of all that is no item.

    It cuts, and leaves it to who decodes the parts whether they are JSON: ``rest`` is the list without its items.
    """

    cdef bytearray item
    cdef bytearray other
    cdef size_t max_bytes
    cdef uint32_t depth
    cdef bint in_text
    cdef bint escaped
    cdef bint in_items          # of the list's array of items
    cdef bint in_scalar         # an item that is no object: null, a number, a text
    cdef size_t key_at          # in other: where the last text at depth 1 begins

    def __init__(self, max_bytes):
        self.item = bytearray()
        self.other = bytearray()
        self.max_bytes = max_bytes

    @property
    def is_whole(self):
        """Whether the list has been closed."""
        return self.depth == 0 and len(self.other) > 0

    @property
    def rest(self):
        """The list without its items."""
        return bytes(self.other)

    def feed(self, bytes chunk not None):
        """The bytes of the items that are whole now. Raises ValueError where one is too large."""
        cdef const uint8_t* base = <const uint8_t*>PyBytes_AS_STRING(chunk)
        cdef const uint8_t* end = base + PyBytes_GET_SIZE(chunk)
        cdef const uint8_t* at = base
        cdef const uint8_t* kept = base
        cdef uint8_t byte
        found = []
        while at < end:
            byte = at[0]
            at += 1
            if self.in_text:
                if self.escaped:
                    self.escaped = False
                elif byte == BACKSLASH:
                    self.escaped = True
                elif byte == QUOTE:
                    self.in_text = False
            elif byte == QUOTE:
                self.in_text = True
                if self.depth == 2 and self.in_items and not self.in_scalar:
                    self.in_scalar = True
                    kept = at - 1
                if self.depth == 1:
                    self.key_at = len(self.other) + <size_t>(at - kept)
            elif byte == OPEN_OBJECT or byte == OPEN_ARRAY:
                if self.depth == 1 and byte == OPEN_ARRAY:
                    self.keep(kept, at, self.other)
                    kept = at
                    self.in_items = self.other[self.key_at:].replace(b" ", b"").startswith(b'items":')
                elif self.depth == 2 and self.in_items:
                    if self.in_scalar:
                        raise ValueError("its JSON has no comma between two items")
                    kept = at - 1
                self.depth += 1
            elif byte == CLOSE_OBJECT or byte == CLOSE_ARRAY:
                if self.depth == 0:
                    raise ValueError("its JSON ends before it begins")
                self.depth -= 1
                if self.in_items and self.depth == 2:
                    self.keep(kept, at, self.item)
                    kept = at
                    found.append(bytes(self.item))
                    self.item = bytearray()
                elif self.in_items and self.depth == 1:
                    if self.in_scalar:
                        self.end_scalar(kept, at - 1, found)
                    self.in_items = False
                    kept = at - 1
            elif self.in_items and self.depth == 2:
                if byte == COMMA or byte == 32 or byte == 9 or byte == 10 or byte == 13:
                    if self.in_scalar:
                        self.end_scalar(kept, at - 1, found)
                    kept = at
                elif not self.in_scalar:
                    # Who decodes the items says what is wrong with this one.
                    self.in_scalar = True
                    kept = at - 1
        if self.in_items and (self.depth > 2 or self.in_scalar):
            self.keep(kept, end, self.item)
        elif not self.in_items:
            self.keep(kept, end, self.other)
        return found

    cdef int end_scalar(self, const uint8_t* kept, const uint8_t* end, list found) except -1:
        self.keep(kept, end, self.item)
        found.append(bytes(self.item))
        self.item = bytearray()
        self.in_scalar = False
        return 0

    cdef int keep(self, const uint8_t* at, const uint8_t* end, bytearray where) except -1:
        if len(where) + <size_t>(end - at) > self.max_bytes:
            raise ValueError(f"an item is over {self.max_bytes} bytes")
        where += at[:end - at]
        return 0
