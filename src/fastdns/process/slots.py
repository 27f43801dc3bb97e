"""Who has which place in the tables of epochs and counters: two a worker, handed out again after its death."""

from __future__ import annotations

from fastdns.errors import FastdnsError
from fastdns.process.cpus import MAX_WORKERS
from fastdns.process.worker import Slots


class SlotTable:
    """Free slots. Slot TOTALS is nobody's: it holds what dead workers counted."""

    TOTALS = 0

    def __init__(self) -> None:
        # Two generations at a time, two threads each.
        self.total = 1 + 4 * MAX_WORKERS
        self.free = list(range(self.total - 1, 0, -1))
        self.used: set[int] = set()

    def most(self, workers: int) -> int:
        """Where at most so many workers run in each of two generations, all slots that are taken are below this."""
        return min(self.total, 1 + 4 * workers)

    def take(self) -> Slots:
        """Two slots. Raises FastdnsError where there are none."""
        if len(self.free) < 2:
            raise FastdnsError(f"at most {2 * MAX_WORKERS} workers can run at a time")
        slots = Slots(self.free.pop(), self.free.pop())
        self.used |= {slots.hot, slots.slow}
        return slots

    def release(self, slots: Slots) -> None:
        """Give back what take gave."""
        for slot in (slots.slow, slots.hot):
            self.used.discard(slot)
            self.free.append(slot)

    def counted(self) -> list[int]:
        """The slots whose counters add up to the server's."""
        return [self.TOTALS, *sorted(self.used)]
