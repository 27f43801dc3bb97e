"""Replies of several messages, such as zone transfers: one message of one connection in each turn of the loop.

Whatever the number of such replies, and however large they are, other work waits for one message at most.
"""

from __future__ import annotations

import asyncio
from typing import Protocol


class Sender(Protocol):
    """A connection with such a reply."""

    def send_next(self) -> None:
        """Send the next message, and be added again where there are more and the client reads."""


class Series:
    """The connections of a worker that have a message to send."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.waiting: dict[Sender, None] = {}
        self.scheduled = False

    def add(self, sender: Sender) -> None:
        """A connection sends its next message when it is its turn."""
        self.waiting[sender] = None
        self.schedule()

    def schedule(self) -> None:
        """Have the next turn, where anybody waits for one."""
        if self.waiting and not self.scheduled:
            self.scheduled = True
            self.loop.call_soon(self.next)

    def next(self) -> None:
        """One message of one connection."""
        self.scheduled = False
        sender = next(iter(self.waiting))
        del self.waiting[sender]
        try:
            sender.send_next()
        finally:
            self.schedule()
