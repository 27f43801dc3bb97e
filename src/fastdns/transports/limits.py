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


# Of CoreDNS's library of QUIC, for who says 0.
DEFAULT_STREAMS = 100
# As CoreDNS has them.
QUIC_STREAMS, QUIC_POOL, HTTPS3_CONNECTIONS = 256, 1024, 200


@dataclass(frozen=True, slots=True)
class QuicLimits:
    """Of the connections of one listener over QUIC, in all workers together.

    max_streams: that a connection may have open at a time. pool: questions that are worked on at a time.
    max_connections: that are open at a time. 0 of the two has no limit.
    """

    max_streams: int = QUIC_STREAMS
    pool: int = 0
    max_connections: int = 0
