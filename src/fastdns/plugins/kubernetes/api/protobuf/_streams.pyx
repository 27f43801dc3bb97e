"""Cuts what comes in protobuf into pieces as its bytes come: a watch into frames, a list into items.

A list is ``k8s\\0`` and a runtime.Unknown, whose raw is the list. A watch is frames, each with its length before it
(four bytes, big-endian). Lengths are bounded by max_bytes before anything is kept for them.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from fastdns.plugins.kubernetes.api.protobuf._fields cimport (
    BYTES, VARINT, Cursor, Field, inside, next_field, over, read_varint, text_of, whole,
)
from fastdns.plugins.kubernetes.api.protobuf._messages import MAGIC


cdef class Frames:
    """Cuts a watch into its frames. max_bytes: of one frame."""

    cdef list parts
    cdef uint64_t held
    cdef uint64_t wanted        # of bytes, before anything can be cut off
    cdef uint64_t max_bytes

    def __init__(self, max_bytes):
        self.parts = []
        self.held = 0
        self.wanted = 4
        self.max_bytes = max_bytes

    def feed(self, bytes chunk not None):
        """The frames that are whole now. Raises ValueError where one is over max_bytes."""
        cdef const uint8_t* base
        cdef uint64_t at = 0, size, total
        cdef bytes data
        self.parts.append(chunk)
        self.held += len(chunk)
        if self.held < self.wanted:
            return []
        data = chunk if len(self.parts) == 1 else b"".join(self.parts)
        base = <const uint8_t*>PyBytes_AS_STRING(data)
        total = len(data)
        found = []
        self.wanted = 4
        while total - at >= 4:
            size = <uint64_t>base[at] << 24 | <uint64_t>base[at + 1] << 16
            size |= <uint64_t>base[at + 2] << 8 | base[at + 3]
            if size > self.max_bytes:
                raise ValueError(f"a frame is over {self.max_bytes} bytes")
            if total - at - 4 < size:
                self.wanted = size + 4
                break
            found.append(data[at + 4:at + 4 + size])
            at += 4 + size
        self.parts = [data[at:]] if at < total else []
        self.held = total - at
        return found


cdef class Items:
    """Takes a list apart as its bytes come. max_bytes: of one item, and of everything else that is in one piece.

    resource_version and continue_token are there with the first item. is_whole: whether nothing is missing.
    """

    cdef list parts
    cdef uint64_t held
    cdef uint64_t wanted
    cdef uint64_t max_bytes
    cdef uint64_t left          # of the list, where within says that it has begun
    cdef bint begun
    cdef bint within
    cdef bint seen
    cdef readonly str resource_version
    cdef readonly str continue_token

    def __init__(self, max_bytes):
        self.parts = []
        self.held = 0
        self.wanted = 4
        self.max_bytes = max_bytes
        self.resource_version = ""
        self.continue_token = ""

    @property
    def is_whole(self):
        return self.seen and not self.within and self.held == 0

    def feed(self, bytes chunk not None):
        """The bytes of the items that are whole now. Raises ValueError where it is no list."""
        cdef Cursor c
        cdef Field field
        cdef uint64_t total
        cdef bytes data
        self.parts.append(chunk)
        self.held += len(chunk)
        if self.held < self.wanted:
            return []
        data = chunk if len(self.parts) == 1 else b"".join(self.parts)
        c = over(data)
        total = len(data)
        found = []
        if not self.begun:
            if total < 4:
                self.keep(data, 0, 4)
                return found
            if not data.startswith(MAGIC):
                raise ValueError("it does not begin as Kubernetes' protobuf does")
            c.at += 4
            self.begun = True
        while self.step(&c, &field, found):
            pass
        self.keep(data, c.at - <const uint8_t*>PyBytes_AS_STRING(data), self.wanted)
        return found

    cdef int keep(self, bytes data, uint64_t at, uint64_t wanted) except -1:
        self.held = <uint64_t>PyBytes_GET_SIZE(data) - at
        self.parts = [data[at:]] if self.held else []
        self.wanted = wanted
        return 0

    cdef bint step(self, Cursor* c, Field* f, list found) except -1:
        """One field; False where more bytes are needed for it: self.wanted then says how many in all."""
        cdef const uint8_t* start = c.at
        cdef uint64_t key, size = 0
        cdef uint32_t number, kind
        self.wanted = 1
        if self.within and self.left == 0:
            self.within = False
        if c.at == c.end:
            return False
        key = read_varint(c)
        if not c.failed:
            kind = key & 7
            number = <uint32_t>(key >> 3)
            if key >> 32 or number == 0 or kind not in (VARINT, BYTES):
                raise ValueError("its protobuf is broken")
            size = read_varint(c)
        if c.failed:
            c.at = start
            c.failed = False
            if c.end - start >= 20:
                raise ValueError("its protobuf is broken")
            self.wanted = <uint64_t>(c.end - start) + 1
            return False
        if kind == VARINT:
            size = 0
        elif not self.within and number == 2:
            if self.seen:
                raise ValueError("its protobuf has two lists")
            self.seen = self.within = True
            self.left = size
            return True
        elif size > self.max_bytes:
            raise ValueError(f"an item is over {self.max_bytes} bytes")
        if self.within and <uint64_t>(c.at - start) + size > self.left:
            raise ValueError("its protobuf is broken")
        if <uint64_t>(c.end - c.at) < size:
            self.wanted = <uint64_t>(c.at - start) + size
            c.at = start
            return False
        f.data = c.at
        f.end = c.at + size
        f.type = kind
        c.at += size
        if self.within:
            self.left -= <uint64_t>(c.at - start)
            if kind == BYTES and number == 1:
                self.read_metadata(f)
            elif kind == BYTES and number == 2:
                found.append(f.data[:size])
        return True

    cdef int read_metadata(self, const Field* f) except -1:
        """meta/v1 ListMeta."""
        cdef Cursor c = inside(f)
        cdef Field part
        while next_field(&c, &part):
            if part.number == 2:
                self.resource_version = text_of(&part)
            elif part.number == 3:
                self.continue_token = text_of(&part)
        return whole(&c)
