"""Counters with labels: see _labelled.pxd."""

from fastdns.errors import FastdnsError
from fastdns.memory._mapping cimport map_shared, unmap

cdef enum:
    BYTES = CELLS * sizeof(Cell) + sizeof(uint64_t)


cdef class LabelledCounters:
    """The supervisor makes it before it forks whoever counts. Sets of labels keep their numbers."""

    def __cinit__(self):
        self.table.cells = <Cell*>map_shared(BYTES)
        if self.table.cells == NULL:
            raise MemoryError
        self.table.lost = <uint64_t*>(self.table.cells + CELLS)
        self.numbers = {}

    def __dealloc__(self):
        unmap(self.table.cells, BYTES)

    def number(self, tuple labels not None):
        """The number of a set of labels, from 1 on. Raises FastdnsError where there are too many."""
        if labels not in self.numbers:
            if len(self.numbers) + 1 >= MAX_LABELS:
                raise FastdnsError(f"more than {MAX_LABELS} sets of labels have been counted; restart the server")
            self.numbers[labels] = len(self.numbers) + 1
        return self.numbers[labels]

    def labels(self, uint32_t number):
        """The set of labels of a number; () where there is none."""
        return next((labels for labels, known in self.numbers.items() if known == number), ())

    def count(self, uint32_t zone_slot, uint32_t labels, uint32_t kind, uint16_t number):
        """Count one, from Python. zone_slot over the last zone: nothing is counted."""
        if zone_slot <= 0x3FFF:
            count_key(&self.table, labelled_key(zone_slot, labels, kind, number), NULL)

    def counts(self):
        """What was counted: (zone slot, labels, kind, number) and how often; keys may come several times."""
        cdef uint32_t i
        cdef uint64_t key
        known = {number: labels for labels, number in self.numbers.items()}
        found = []
        for i in range(CELLS):
            key = load_relaxed(&self.table.cells[i].key)
            if key:
                found.append((
                    (key >> 48 & 0x3FFF, known.get(key >> 28 & 0xFFFFF, ()), key >> 22 & 0x3F, key >> 3 & 0xFFFF),
                    load_relaxed(&self.table.cells[i].count),
                ))
        return found

    @property
    def lost(self):
        """What was not counted for want of cells."""
        return load_relaxed(self.table.lost)
