"""The ring of frames: see _ring.pxd."""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.string cimport memcpy

from fastdns.memory._atomics cimport load, load_relaxed, publish_u64, store_relaxed
from fastdns.memory._mapping cimport map_shared, unmap

cdef enum:
    MAX_RING_BITS = 40


cdef inline uint8_t* data_of(Ring* ring) noexcept nogil:
    return <uint8_t*>ring + sizeof(Ring)


cdef inline void put_length(uint8_t* at, uint32_t length) noexcept nogil:
    at[0] = length >> 24
    at[1] = (length >> 16) & 0xFF
    at[2] = (length >> 8) & 0xFF
    at[3] = length & 0xFF


cdef inline uint32_t get_length(const uint8_t* at) noexcept nogil:
    return (<uint32_t>at[0] << 24) | (<uint32_t>at[1] << 16) | (<uint32_t>at[2] << 8) | at[3]


cdef uint8_t* reserve(Ring* ring, uint32_t size) noexcept nogil:
    cdef uint64_t head = ring.head
    cdef uint64_t at = head & (ring.capacity - 1)
    cdef uint64_t need = LENGTH_BYTES + <uint64_t>size
    cdef uint64_t skipped = ring.capacity - at if at + need > ring.capacity else 0
    if size > MAX_FRAME_BYTES or need + skipped > ring.capacity - (head - load(&ring.tail)):
        store_relaxed(&ring.dropped, ring.dropped + 1)
        return NULL
    if skipped:
        if skipped >= LENGTH_BYTES:
            put_length(data_of(ring) + at, 0)
        at = 0
    put_length(data_of(ring) + at, size)
    ring.next_head = head + skipped + need
    return data_of(ring) + at + LENGTH_BYTES


cdef void commit(Ring* ring) noexcept nogil:
    publish_u64(&ring.head, ring.next_head)


cdef class TapRing:
    """capacity_bytes: a power of two."""

    def __cinit__(self, uint64_t capacity_bytes):
        cdef bint is_power = (capacity_bytes & (capacity_bytes - 1)) == 0
        if not is_power or capacity_bytes < MIN_RING_BYTES or capacity_bytes >> MAX_RING_BITS:
            raise ValueError(f"a power of two from {MIN_RING_BYTES} bytes on expected, got {capacity_bytes}")
        self.ring = <Ring*>map_shared(sizeof(Ring) + capacity_bytes)
        if self.ring == NULL:
            raise MemoryError
        self.ring.capacity = capacity_bytes

    def __dealloc__(self):
        if self.ring != NULL:
            unmap(self.ring, sizeof(Ring) + self.ring.capacity)

    def take(self, uint64_t most_bytes):
        """Whole frames, and how many: at most so many bytes, but one frame at least. (b"", 0): there are none."""
        cdef uint64_t head = load(&self.ring.head)
        cdef uint64_t tail = self.ring.tail
        cdef uint64_t at = tail & (self.ring.capacity - 1)
        cdef uint64_t end, room
        cdef uint32_t length
        cdef uint32_t frames = 0
        cdef uint8_t* data = data_of(self.ring)
        if tail != head and (self.ring.capacity - at < LENGTH_BYTES or get_length(data + at) == 0):
            tail += self.ring.capacity - at
            at = 0
        end = at
        room = self.ring.capacity - at
        if head - tail < room:
            room = head - tail
        while end - at + LENGTH_BYTES <= room:
            length = get_length(data + end)
            if length == 0 or (frames and end - at + LENGTH_BYTES + length > most_bytes):
                break
            end += LENGTH_BYTES + length
            frames += 1
        taken = PyBytes_FromStringAndSize(<const char*>data + at, end - at)
        publish_u64(&self.ring.tail, tail + (end - at))
        return taken, frames

    def put(self, bytes frame not None):
        """Write a frame, as a serving thread does. False where it is dropped."""
        cdef uint8_t* at = reserve(self.ring, len(frame))
        if at == NULL:
            return False
        memcpy(at, <const uint8_t*>frame, len(frame))
        commit(self.ring)
        return True

    @property
    def wanted(self):
        """Whether anybody takes what is written; nothing is while nobody does."""
        return load_relaxed(&self.ring.wanted) != 0

    @wanted.setter
    def wanted(self, bint wanted):
        store_relaxed(&self.ring.wanted, wanted)

    @property
    def dropped(self):
        """How many frames found no room."""
        return load_relaxed(&self.ring.dropped)

    @property
    def used_bytes(self):
        """What has not been read."""
        return load(&self.ring.head) - self.ring.tail

    @property
    def capacity_bytes(self):
        """The room."""
        return self.ring.capacity
