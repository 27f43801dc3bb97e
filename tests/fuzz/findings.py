"""What a fuzzer has found, and memory that must not grow."""

from __future__ import annotations

import ctypes
import gc
import resource

# Memory may grow by so much while the allocator settles; a leak of a few bytes a message is far more.
MAX_GROWTH_KIB = 16 * 1024


class Finding(Exception):
    """Something that was answered, read or matched wrongly."""


class Memory:
    """The most that the process has used, looked at every so many rounds: it must not grow."""

    def __init__(self, every: int) -> None:
        self.every = every
        self.settled_kib = 0

    def used_kib(self) -> int:
        """What is compared."""
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def look(self, number: int) -> None:
        """Round number, from 0, is done. Raises Finding."""
        if number % self.every != self.every - 1:
            return
        used_kib = self.used_kib()
        self.settled_kib = self.settled_kib or used_kib
        if used_kib - self.settled_kib > MAX_GROWTH_KIB:
            raise Finding(f"memory has grown by {used_kib - self.settled_kib} KiB in {number + 1} rounds")


class LiveMemory(Memory):
    """What is allocated now, where the address sanitizer knows it: for rounds that allocate so much that what it
    keeps of freed memory takes long to settle."""

    def used_kib(self) -> int:
        gc.collect()
        library = ctypes.CDLL(None)
        try:
            # By their names: Python changes names like these within a class.
            allocated = library["__sanitizer_get_current_allocated_bytes"]
            purge = library["__sanitizer_purge_allocator"]
        except AttributeError:
            return super().used_kib()
        # What was freed is kept for a while, and would count.
        purge()
        allocated.restype = ctypes.c_size_t
        return int(allocated()) // 1024
