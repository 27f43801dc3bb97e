"""What workers count of upstreams, in memory that the supervisor shares with them."""

from __future__ import annotations

import bisect
import mmap
import struct
from collections.abc import Mapping

from fastdns.metrics._stats import DURATION_BOUNDS_S

# Upstreams with counters of their own, of all configurations that have been; further ones share the last row.
MAX_UPSTREAMS = 64
RCODE_PLACES = 25
# Replies by code; by duration; the sum of durations in ns; attempts that have failed.
BUCKETS_AT = RCODE_PLACES
SUM_AT = BUCKETS_AT + len(DURATION_BOUNDS_S) + 1
FAILED_AT = SUM_AT + 1
PLACES = FAILED_AT + 1
ROW_BYTES = PLACES * 8
CELL = struct.Struct("=Q")
ROW = struct.Struct(f"={PLACES}Q")


class Counts:
    """A row for each upstream and each slot that a serving thread may have. Each row has one writer at a time."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.memory = mmap.mmap(-1, max(1, slots) * MAX_UPSTREAMS * ROW_BYTES)
        self.rows: dict[str, int] = {}

    def row_of(self, to: str) -> int:
        """The row of an upstream: the same one as long as the server lives."""
        return self.rows.setdefault(to, min(len(self.rows), MAX_UPSTREAMS - 1))

    def add(self, slot: int, row: int, place: int, more: int = 1) -> None:
        """Count in the rows of a slot that is the caller's."""
        at = (slot * MAX_UPSTREAMS + row) * ROW_BYTES + place * 8
        CELL.pack_into(self.memory, at, CELL.unpack_from(self.memory, at)[0] + more)

    def replied(self, slot: int, row: int, rcode: int, duration_s: float) -> None:
        """One reply."""
        self.add(slot, row, min(rcode, RCODE_PLACES - 1))
        self.add(slot, row, BUCKETS_AT + bisect.bisect_left(DURATION_BOUNDS_S, duration_s))
        self.add(slot, row, SUM_AT, round(duration_s * 1e9))

    def failed(self, slot: int, row: int) -> None:
        """One attempt without a reply."""
        self.add(slot, row, FAILED_AT)

    def totals(self) -> Mapping[str, list[int]]:
        """By upstream, the sums over all slots. Those that share a row are called "other"."""
        names = {row: to for to, row in reversed(self.rows.items())}
        if len(self.rows) > MAX_UPSTREAMS:
            names[MAX_UPSTREAMS - 1] = "other"
        return {to: self.total(row) for row, to in names.items()}

    def total(self, row: int) -> list[int]:
        """Of one row."""
        rows = (
            ROW.unpack_from(self.memory, (slot * MAX_UPSTREAMS + row) * ROW_BYTES) for slot in range(self.slots)
        )
        return [sum(place) for place in zip(*rows, strict=True)]
