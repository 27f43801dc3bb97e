"""Signals to the supervisor: they are only queued as they come; whoever waits for them acts."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time

NUMBERS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGHUP)
ENDS = {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT}


def signal_name(number: int) -> str:
    """A signal as logs name it; those of real time have no names of their own."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


class Signals:
    """Those that have come and that nobody has acted on."""

    def __init__(self) -> None:
        self.queued: list[int] = []
        self.arrived = asyncio.Event()

    def listen(self, loop: asyncio.AbstractEventLoop) -> None:
        """Take signals from now on."""
        for number in NUMBERS:
            loop.add_signal_handler(number, self.on_signal, number)

    def on_signal(self, number: int) -> None:
        """Only queue it: one loop acts."""
        self.queued.append(number)
        self.arrived.set()

    async def next(self) -> int:
        """The next one."""
        while not self.queued:
            self.arrived.clear()
            await self.arrived.wait()
        return self.queued.pop(0)

    def hurried(self) -> bool:
        """Whether a SIGQUIT, or any signal after the one that began the end, asks to end it now."""
        return not ENDS.isdisjoint(self.queued)

    async def wait_unless_hurried(self, limit_s: float) -> None:
        """Wait so long, or until the end is to be now."""
        ends = time.monotonic() + limit_s
        while (left_s := ends - time.monotonic()) > 0 and not self.hurried():
            self.arrived.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await self.arrived.wait()
