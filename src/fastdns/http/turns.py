"""Turns: work for peers over HTTP takes TURN_S of each iteration of the event loop, not more.

Other work on the loop comes between two turns, however many peers ask, and however fast. Clients, which are told
apart by their address, are served one after the other: a probe does not wait behind a client with hundreds of
connections.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

TURN_S = 0.004


class Turns:
    """Work that waits, by client. It is bounded: each connection has at most one piece of work here."""

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
