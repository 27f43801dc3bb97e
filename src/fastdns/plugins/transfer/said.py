"""Lines of the log that hostile clients could repeat without end: each of them once in a while."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable

LINE_S = 60.0
# Different lines in this time; what is beyond them is not said.
MAX_LINES = 100


class Said:
    """The lines that were said lately."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        # The oldest first.
        self.said: dict[Hashable, float] = {}

    def is_new(self, line: Hashable) -> bool:
        """Whether a line is to be said now."""
        now = self.clock()
        while self.said and now - next(iter(self.said.values())) >= LINE_S:
            del self.said[next(iter(self.said))]
        if line in self.said or len(self.said) >= MAX_LINES:
            return False
        self.said[line] = now
        return True
