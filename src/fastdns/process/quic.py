"""The listeners of a worker that are reached over QUIC: sockets, certificates, and bounds of connections."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

from fastdns.corefile.settings import Settings
from fastdns.metrics.handshakes import handshakes
from fastdns.process.assembly import limits_of, listener_limits_of
from fastdns.transports import Serve
from fastdns.transports._proxies import Proxies
from fastdns.transports.clients import Clients
from fastdns.transports.kinds import KINDS
from fastdns.transports.places import Places
from fastdns.transports.quic import Connections, QuicEndpoint
from fastdns.transports.quic_connection import Pool, QuicConnection
from fastdns.transports.quic_ids import Owner
from fastdns.transports.quic_session import Configuration, Session
from fastdns.transports.quic_tls import QuicTls
from fastdns.transports.socket_names import arrived_at
from fastdns.transports.table import Transport

NO_LIMIT = 1 << 30


class QuicListening:
    """Of one worker. workers: how many there are of its generation."""

    def __init__(self, owner: Owner, workers: int) -> None:
        self.workers = workers
        self.connections = Connections(asyncio.get_running_loop(), owner, workers, handshakes())
        self.endpoints: list[QuicEndpoint] = []
        # By the index of a listener, which may have two sockets.
        self.pools: dict[int, Pool] = {}
        self.places: dict[int, Places] = {}

    def part(self, most: int) -> int:
        """This worker's part of a bound of the server."""
        return max(1, most // self.workers)

    def listen(
        self,
        listener: int,
        sock: socket.socket,
        stream: Transport,
        settings: Settings,
        clients: Clients,
        serve_at: Callable[[bytes], Serve],
        count: Callable[[int], object],
        proxies: Proxies | None,
    ) -> None:
        """Take connections at one place of a listener.

        listener: its index. serve_at: what serves the messages to one address; b"": to the only one. count: of
        responses, by status.
        """
        assert settings.tls is not None
        limits = limits_of(settings)
        bounds = listener_limits_of(settings, stream.scheme)
        assert bounds is not None
        # 0: questions wait as long as their connections may have them.
        pool = self.pools.setdefault(listener, Pool(clients.loop, self.part(bounds.pool or NO_LIMIT)))
        # Rounded up: no worker has none.
        places = self.places.setdefault(listener, Places(-(-bounds.max_connections // self.workers)))
        made: type[QuicConnection] = KINDS[stream.scheme].connection()
        configuration = QuicTls(
            settings.tls,
            stream.alpn,
            Configuration,
            idle_timeout=limits.idle_s,
            max_streams=bounds.max_streams,
            max_uni_streams=made.uni_streams,
            # Two of the longest questions.
            max_data=2 * made.stream_bytes,
            max_stream_data=made.stream_bytes,
        )

        def connect(session: Session, endpoint: QuicEndpoint, *, control: bytes, **of: Any) -> QuicConnection:
            serve = serve_at(arrived_at(control))
            return made(session, endpoint, serve, limits, clients, pool, places, count, control=control, **of)

        self.endpoints.append(QuicEndpoint(sock, self.connections, configuration.current, connect, proxies))

    def stop(self) -> None:
        """Take no new connections: packets of others are handed over by who reads the sockets from now on."""
        for endpoint in self.endpoints:
            endpoint.stop()

    @property
    def busy(self) -> bool:
        """Whether handshakes are under way."""
        return bool(self.connections.half_open)
