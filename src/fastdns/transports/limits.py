"""What one connection of a client may take of the server."""

from __future__ import annotations

from dataclasses import dataclass

from fastdns.transports.table import GRPC, HTTPS, HTTPS3, QUIC


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


@dataclass(frozen=True, slots=True)
class ListenerLimits:
    """Of all connections of one listener over HTTP, gRPC or QUIC, in all workers together.

    max_connections: open at a time. max_streams: of each of them, open at a time. pool: questions that are worked
    on at a time. 0: no limit.
    """

    max_connections: int = 0
    max_streams: int = 0
    pool: int = 0


# By scheme, for a listener of which nothing else is set: as CoreDNS has them. RFC 9113 section 6.5.2 recommends 100
# streams at least.
DEFAULTS = {
    HTTPS.scheme: ListenerLimits(max_connections=200, max_streams=128),
    GRPC.scheme: ListenerLimits(max_connections=200, max_streams=256),
    HTTPS3.scheme: ListenerLimits(max_connections=200, max_streams=256),
    QUIC.scheme: ListenerLimits(max_streams=256, pool=1024),
}
