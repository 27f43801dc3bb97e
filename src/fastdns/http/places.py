"""The connections of one HTTP endpoint: bounded in number, shared among clients."""

from __future__ import annotations

from collections import Counter
from typing import Protocol

from fastdns.http.turns import Turns

MAX_CONNECTIONS = 256
# Python's TLS takes 256 KiB of memory for each connection.
MAX_TLS_CONNECTIONS = 64
# Handshakes at a time: each takes one or two milliseconds of CPU, at a moment that the peer chooses.
MAX_HANDSHAKES = 8


class Connection(Protocol):
    """What a connection tells of itself. client: its address. tls: None without TLS."""

    client: str

    @property
    def tls(self) -> object: ...

    def finish(self) -> None:
        """End, after the answer that is under way."""

    def abort(self) -> None:
        """End at once."""


class Places:
    """The open connections, the least recently active one first, and those of them that shake hands.

    When all places are taken a new connection gets the place of the least recently active connection of the client
    with most connections.
    """

    def __init__(self, turns: Turns, max_connections: int = MAX_CONNECTIONS) -> None:
        self.turns = turns
        self.max_connections = max_connections
        self.open: dict[Connection, None] = {}
        self.shaking: dict[Connection, None] = {}

    def touch(self, connection: Connection) -> None:
        """A connection is the most recently active one now."""
        self.open.pop(connection, None)
        self.open[connection] = None
        most = min(self.max_connections, MAX_TLS_CONNECTIONS) if connection.tls else self.max_connections
        make_room(self.open, most, connection)

    def shakes_hands(self, connection: Connection) -> None:
        """A connection begins its handshake."""
        self.shaking[connection] = None
        make_room(self.shaking, MAX_HANDSHAKES, connection)

    def remove(self, connection: Connection) -> None:
        """A connection is gone, or will be at once."""
        self.open.pop(connection, None)
        self.shaking.pop(connection, None)


def make_room(taken: dict[Connection, None], places: int, newcomer: Connection) -> None:
    """End connections until there are places for all, the newcomer last."""
    while len(taken) > places:
        counts = Counter(one.client for one in taken)
        most = max(counts.values())
        for one in taken:
            if counts[one.client] == most and one is not newcomer:
                one.abort()
                break
        else:
            newcomer.abort()
