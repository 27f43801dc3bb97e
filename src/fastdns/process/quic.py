"""The listeners of a worker that are reached over QUIC: sockets, certificates, and bounds of connections."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

from fastdns.corefile.settings import Settings
from fastdns.metrics.handshakes import handshakes
from fastdns.process.assembly import limits_of
from fastdns.transports import Serve
from fastdns.transports._proxies import Proxies
from fastdns.transports.clients import Clients
from fastdns.transports.doq import STREAM_BYTES, DoqConnection
from fastdns.transports.limits import QUIC_POOL, QuicLimits
from fastdns.transports.quic import Connections, QuicEndpoint
from fastdns.transports.quic_connection import Pool, QuicConnection
from fastdns.transports.quic_ids import Owner
from fastdns.transports.quic_session import Configuration, Session
from fastdns.transports.quic_tls import QuicTls
from fastdns.transports.socket_names import arrived_at
from fastdns.transports.table import Transport

# What a connection may send before it is served: two of the longest questions.
CONNECTION_BYTES = 2 * STREAM_BYTES


class QuicListening:
    """Of one worker. workers: how many there are of its generation."""

    def __init__(self, owner: Owner, workers: int) -> None:
        self.workers = workers
        self.connections = Connections(asyncio.get_running_loop(), owner, workers, handshakes())
        self.endpoints: list[QuicEndpoint] = []

    def part(self, most: int) -> int:
        """This worker's part of a bound of the server."""
        return max(1, most // self.workers)

    def listen(
        self,
        sock: socket.socket,
        stream: Transport,
        settings: Settings,
        clients: Clients,
        serve_at: Callable[[bytes], Serve],
        count: Callable[[int], object],
        proxies: Proxies | None,
    ) -> None:
        """Take connections at one place of a listener. serve_at: what serves the messages to one address; b"": to
        the only one. count: of responses, by status."""
        assert settings.tls is not None
        limits = limits_of(settings)
        bounds = settings.quic or QuicLimits(pool=QUIC_POOL)
        pool = Pool(clients.loop, self.part(bounds.pool))
        configuration = QuicTls(
            settings.tls,
            stream.alpn,
            Configuration,
            idle_timeout=limits.idle_s,
            max_streams=bounds.max_streams,
            max_data=CONNECTION_BYTES,
            max_stream_data=STREAM_BYTES,
        )

        def connect(session: Session, endpoint: QuicEndpoint, *, control: bytes, **of: Any) -> QuicConnection:
            serve = serve_at(arrived_at(control))
            return DoqConnection(session, endpoint, serve, limits, clients, pool, count, control=control, **of)

        self.endpoints.append(QuicEndpoint(sock, self.connections, configuration.current, connect, proxies))

    def stop(self) -> None:
        """Take no new connections: packets of others are handed over by who reads the sockets from now on."""
        for endpoint in self.endpoints:
            endpoint.stop()

    @property
    def busy(self) -> bool:
        """Whether handshakes are under way."""
        return bool(self.connections.half_open)
