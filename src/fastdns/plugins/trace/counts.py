"""What became of spans, counted by workers and read by the supervisor: memory that both have."""

from __future__ import annotations

import mmap
import struct

NAMES = ("sent", "dropped", "failed")
ROW = struct.Struct(f"={len(NAMES)}Q")


class Counts:
    """A row for each slot that a serving thread may have. Each row has one writer at a time."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.memory = mmap.mmap(-1, max(1, slots) * ROW.size)

    def add(self, slot: int, **more: int) -> None:
        """Count in the row of a slot that is the caller's."""
        row = ROW.unpack_from(self.memory, slot * ROW.size)
        ROW.pack_into(self.memory, slot * ROW.size, *(
            count + more.get(name, 0) for name, count in zip(NAMES, row, strict=True)
        ))  # fmt: skip

    def total(self, name: str) -> int:
        """The sum over all rows."""
        place = NAMES.index(name)
        return sum(ROW.unpack_from(self.memory, slot * ROW.size)[place] for slot in range(self.slots))
