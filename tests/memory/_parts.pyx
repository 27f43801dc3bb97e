"""Slabs, timer wheel, ring and random numbers of fastdns.memory, for tests."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from fastdns.memory._atomics cimport publish_u64
from fastdns.memory._mapping cimport map_private, unmap
from fastdns.memory._random cimport Random, random_u32
from fastdns.memory._ring cimport RING_BYTES, ByteRing, ring_done, ring_next, ring_room
from fastdns.memory._slabs cimport Slabs, block_units, close_slabs, give_block, open_slabs, take_block
from fastdns.memory._wheel cimport (
    NO_TIMER, WHEEL_SLOTS, WHEEL_TICK_NS, Timer, Wheel, open_wheel, wheel_remove, wheel_set, wheel_take,
    wheel_turns,
)

RING = RING_BYTES
TICK_NS = WHEEL_TICK_NS
SLOTS = WHEEL_SLOTS


cdef class Blocks:
    cdef Slabs slabs

    def __cinit__(self, uint64_t size):
        if not open_slabs(&self.slabs, size):
            raise MemoryError

    def __dealloc__(self):
        close_slabs(&self.slabs)

    @property
    def empty_slabs(self):
        return self.slabs.empty

    def take(self, uint32_t size):
        cdef uint8_t* at = take_block(&self.slabs, size)
        return None if at == NULL else at - self.slabs.area

    def give(self, uint64_t at):
        give_block(&self.slabs, self.slabs.area + at)

    def write(self, uint64_t at, bytes data not None):
        memcpy(self.slabs.area + at, <const uint8_t*>data, len(data))

    def read(self, uint64_t at, uint32_t size):
        return self.slabs.area[at:at + size]


def units(uint32_t size):
    return block_units(size)


cdef struct Timed:
    uint64_t something
    Timer timer


cdef class Timers:
    cdef Wheel wheel
    cdef Timed* timed

    def __cinit__(self, uint32_t count, uint64_t now_ns):
        cdef uint32_t i
        self.timed = <Timed*>calloc(count, sizeof(Timed))
        if self.timed == NULL:
            raise MemoryError
        for i in range(count):
            self.timed[i].timer.slot = NO_TIMER
        open_wheel(&self.wheel, &self.timed[0].timer, sizeof(Timed), now_ns)

    def __dealloc__(self):
        free(self.timed)

    def set(self, uint32_t index, uint64_t due_ns):
        wheel_set(&self.wheel, index, due_ns)

    def remove(self, uint32_t index):
        wheel_remove(&self.wheel, index)

    def turn(self, uint64_t now_ns):
        cdef uint32_t index
        fired = []
        while wheel_turns(&self.wheel, now_ns):
            index = wheel_take(&self.wheel)
            while index != NO_TIMER:
                fired.append(index)
                index = wheel_take(&self.wheel)
        return fired


cdef class Ring:
    cdef ByteRing* ring

    def __cinit__(self):
        self.ring = <ByteRing*>map_private(sizeof(ByteRing))
        if self.ring == NULL:
            raise MemoryError

    def __dealloc__(self):
        unmap(self.ring, sizeof(ByteRing))

    def put(self, bytes record not None):
        cdef uint64_t end = 0
        cdef uint8_t* at = ring_room(self.ring, len(record), &end)
        if at == NULL:
            return False
        memcpy(at, <const uint8_t*>record, len(record))
        publish_u64(&self.ring.head, end)
        return True

    def get(self):
        cdef uint64_t size = 0
        cdef uint8_t* at = ring_next(self.ring, &size)
        if at == NULL:
            return None
        record = at[:size]
        ring_done(self.ring, size)
        return record


cdef class Numbers:
    cdef Random random

    def draw(self):
        return random_u32(&self.random)

    @property
    def remembered(self):
        """The bytes of the last page that are left or were used."""
        return (<uint8_t*>self.random.bytes)[:sizeof(self.random.bytes)]
