"""Counters with labels that a zone's fixed counters do not have: a table in shared memory, by keys of 64 bits.

Whoever counts gives a key that says all: the slot of the zone, a number that the supervisor has given to a set of
labels, a class, a type. A cell is taken where a key is counted first; no lock is needed, and a process may die at
any instruction. Threads have cells of their own (lanes): they do not wait for each other's cache lines.
"""

from libc.stdint cimport uint16_t, uint32_t, uint64_t
from fastdns.memory._atomics cimport compare_and_swap, fetch_add, load_relaxed
from fastdns.metrics._stats cimport ThreadCounters

cdef enum:
    CELLS = 1 << 14             # a power of two: 256 KiB
    MAX_PROBES = 64
    LANES = 8                   # a power of two
    MAX_LABELS = 1 << 20

cdef struct Cell:
    uint64_t key                # 0: free
    uint64_t count

cdef struct LabelledTable:
    Cell* cells
    uint64_t* lost              # what found no cell

# zone_slot: 14 bits. labels: 1 to MAX_LABELS. kind: 6 bits.
cdef inline uint64_t labelled_key(uint32_t zone_slot, uint32_t labels, uint32_t kind,
                                  uint16_t number) noexcept nogil:
    return (<uint64_t>(zone_slot & 0x3FFF) << 48 | <uint64_t>(labels & 0xFFFFF) << 28
            | <uint64_t>(kind & 0x3F) << 22 | <uint64_t>number << 3)

cdef inline void count_key(const LabelledTable* t, uint64_t key, const ThreadCounters* thread) noexcept nogil:
    cdef uint64_t wanted = key | ((<size_t>thread // sizeof(ThreadCounters)) & (LANES - 1))
    cdef uint64_t hash = wanted * <uint64_t>0x9E3779B97F4A7C15
    cdef uint32_t at = hash >> 40
    cdef uint32_t i
    cdef Cell* cell
    for i in range(MAX_PROBES):
        cell = &t.cells[(at + i) & (CELLS - 1)]
        if load_relaxed(&cell.key) == wanted or (
            load_relaxed(&cell.key) == 0 and (compare_and_swap(&cell.key, 0, wanted)
                                              or load_relaxed(&cell.key) == wanted)):
            fetch_add(&cell.count, 1)
            return
    fetch_add(t.lost, 1)


cdef class LabelledCounters:
    cdef LabelledTable table
    cdef dict numbers
