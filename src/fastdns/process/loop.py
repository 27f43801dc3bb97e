"""The supervisor's event loop, which tells how long each of its iterations took: nothing else is done meanwhile."""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable
from typing import Any

from fastdns.metrics.delays import LoopDelays


class TimedSelector(selectors.DefaultSelector):
    """Measures from the end of one wait for events to the beginning of the next."""

    def __init__(self, delays: LoopDelays, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self.delays = delays
        self.clock = clock
        self.woke_at: float | None = None

    def select(self, timeout: float | None = None) -> list[Any]:
        """Wait for events."""
        if self.woke_at is not None:
            self.delays.observe(self.clock() - self.woke_at)
        events: list[Any] = super().select(timeout)
        self.woke_at = self.clock()
        return events


def timed_loop(delays: LoopDelays) -> asyncio.SelectorEventLoop:
    """A new event loop whose iterations are measured."""
    return asyncio.SelectorEventLoop(TimedSelector(delays))
