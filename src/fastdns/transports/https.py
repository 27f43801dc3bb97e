"""DNS over HTTPS (RFC 8484): requests of HTTP/2 or HTTP/1.1 on one connection, and their responses.

The version is known by the first bytes: a client of HTTP/2 begins with the preface (RFC 9113 section 3.4). Without
TLS the same is spoken in plain text, as CoreDNS does it. The requests of one connection of HTTP/2 are answered as
they finish, in any order; those of HTTP/1.1 one after the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from fastdns.transports import Peer, Serve
from fastdns.transports._doh2 import DohHttp2
from fastdns.transports._http2 import PREFACE, Http2
from fastdns.transports._https import HttpLayer
from fastdns.transports.clients import Clients
from fastdns.transports.limits import Limits
from fastdns.transports.stream import MAX_WAITING, ClientStream

if TYPE_CHECKING:
    from fastdns.transports.http1 import Http1
    from fastdns.transports.places import Places

# What both versions begin with for as long as it may be the preface.
BEGINNING = PREFACE[:4]


class HttpsConnection(HttpLayer, ClientStream):
    """Requests in, responses out. HttpLayer is the way of a request.

    count: of each response, by its status. places: of its listener. max_streams: of HTTP/2 at a time.
    """

    def __init__(
        self,
        serve: Serve,
        limits: Limits,
        clients: Clients,
        serve_at: Callable[[bytes], Serve] | None = None,
        peer: Peer | None = None,
        *,
        count: Callable[[int], object],
        places: Places,
        max_streams: int = MAX_WAITING,
    ) -> None:
        super().__init__(serve, limits, clients, serve_at, peer)
        self.count = count
        self.places = places
        self.max_streams = max_streams

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self.transport is not None:
            self.places.add(self)
            self.listener_places = self.places.of(self.owner)

    def connection_lost(self, exc: Exception | None) -> None:
        self.places.remove(self)
        super().connection_lost(exc)

    def version(self, beginning: bytes) -> Http2 | Http1 | None:
        """What is spoken on a connection that begins like this; None where that is not known yet."""
        if beginning.startswith(BEGINNING):
            return DohHttp2(self.max_streams)
        if BEGINNING.startswith(beginning):
            return None
        from fastdns.transports.http1 import Http1

        return Http1()

    def close(self, why: str) -> None:
        if self.transport is not None and not self.closing:
            data = self.farewell()
            if data and not self.paused:
                self.transport.write(data)
        super().close(why)
