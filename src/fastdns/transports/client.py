"""A client of the stream transports: whoever has one address, with all its connections."""

from __future__ import annotations

from collections import deque
from typing import Protocol

from fastdns.transports._shares import Share


class ClientConnection(Protocol):
    """What a connection offers to what bounds the clients, whatever its transport is.

    deadline: when time_out is called, in seconds of the event loop's clock.
    """

    deadline: float

    @property
    def owner(self) -> Client:
        """Its client."""

    def held_bytes(self) -> int:
        """What it holds in memory now: queries that are not whole or not served, and replies that are not read."""

    def catch_up(self) -> None:
        """Serve what was deferred: the client has its next turn."""

    def close_when_quiet(self) -> None:
        """Close now, unless the client has still to ask its first query or to get replies."""

    def time_out(self, why: str) -> None:
        """Close: the deadline is over."""

    def end(self, why: str) -> None:
        """Close at once. Replies that the client has not read are lost."""


class Client(Share):
    """The connections of one address, what they hold, and what is left of the client's turn.

    open: the least recently active connection first. closing: connections that only send what is left.
    """

    __slots__ = ("address", "closing", "deferred", "held", "open")

    def __init__(self, address: bytes) -> None:
        self.address = address
        self.open: dict[ClientConnection, None] = {}
        self.closing: dict[ClientConnection, None] = {}
        # Of Turns: connections whose next queries wait for the next turn.
        self.deferred: deque[ClientConnection] = deque()
        # Of HeldBytes: bytes of all its connections.
        self.held = 0

    @property
    def count(self) -> int:
        """The number of its connections."""
        return len(self.open) + len(self.closing)
