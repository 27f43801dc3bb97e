"""What one connection of a client may take of the server."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Of the connections of one listener.

    read_s: from the connection's start to its first whole query. idle_s: from one query to the next. write_s: for
    the client to read replies. max_queries: -1 has no limit.
    """

    read_s: float = 3.0
    write_s: float = 5.0
    idle_s: float = 10.0
    max_queries: int = -1
