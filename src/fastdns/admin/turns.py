"""Turns: what peers ask over HTTP is done for some milliseconds in each iteration of the event loop, not more.

The supervisor's other duties come between two turns, however many peers ask, and however fast. Clients, which are
told apart by their address, are served one after the other: a probe does not wait behind a client that asks over
hundreds of connections.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

TURN_S = 0.004


class Turns:
    """Work that waits, by client. Whoever adds to it has at most one piece here at a time, so it is bounded."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.waiting: dict[str, deque[Callable[[], None]]] = {}
        self.scheduled = False

    def add(self, client: str, work: Callable[[], None]) -> None:
        """Have something done for a client, soon. It must not raise."""
        self.waiting.setdefault(client, deque()).append(work)
        self.schedule()

    def schedule(self) -> None:
        """Begin the next turn in the next iteration of the loop."""
        if self.waiting and not self.scheduled:
            self.scheduled = True
            asyncio.get_running_loop().call_soon(self.run)

    def run(self) -> None:
        """One turn."""
        self.scheduled = False
        ends = self.clock() + TURN_S
        while self.waiting:
            client = next(iter(self.waiting))
            works = self.waiting.pop(client)
            work = works.popleft()
            if works:
                self.waiting[client] = works
            work()
            if self.clock() >= ends:
                break
        self.schedule()
