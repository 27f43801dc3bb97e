"""An HTTP server of several endpoints, whose connections take turns: other work on the loop goes on meanwhile.

Opening is all or nothing, so that a change of configuration that cannot have its ports leaves the old ones.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastdns.errors import FastdnsError
from fastdns.http.answers import Handler
from fastdns.http.places import MAX_CONNECTIONS, Places
from fastdns.http.turns import Turns
from fastdns.listening import ListenError, every_address
from fastdns.netaddrs import host_of

if TYPE_CHECKING:
    import ssl

    from fastdns.http.server_connection import ServerConnection

BACKLOG = 256
# Connections that are accepted of a socket in one iteration of the loop.
ACCEPTED = 8
# In the kernel, for each connection: of what the peer has to read. Of what it has sent, a head is enough.
SEND_BUFFER_BYTES = 64 * 1024
RECEIVE_BUFFER_BYTES = 32 * 1024


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to listen. host: "" is every address. paths: of the handlers that answer here.

    tls_config_file: a file that describes the TLS; None for HTTP without TLS.
    """

    host: str
    port: int
    paths: tuple[str, ...]
    tls_config_file: str | None = None


@dataclass(slots=True)
class Open:
    """An endpoint that is open: its servers, one an address, and its connections."""

    servers: list[asyncio.Server]
    places: Places

    @property
    def addresses(self) -> list[Any]:
        """Where it listens."""
        return [one.getsockname() for server in self.servers for one in server.sockets]


def open_sockets(endpoint: Endpoint) -> list[socket.socket]:
    """The listening sockets of an endpoint, for each address of its host. Raises ListenError, with none open."""
    shown = f"{endpoint.host}:{endpoint.port}"
    opened: list[socket.socket] = []
    try:
        if endpoint.host:
            # As bytes: for text, the codec for IDNA is imported first, which takes milliseconds.
            infos = socket.getaddrinfo(endpoint.host.encode(), endpoint.port, type=socket.SOCK_STREAM)
            targets = [(info[0], info[4]) for info in infos]
        else:
            targets = [
                (socket.AF_INET6 if ":" in address else socket.AF_INET, (address, endpoint.port))
                for address in every_address()
            ]
        for family, address in targets:
            one = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
            opened.append(one)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
            one.setblocking(False)
            one.bind(address)
            one.listen(BACKLOG)
    except OSError as error:
        for one in opened:
            one.close()
        why = str(error) if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
        raise ListenError(f"listen tcp {shown}: {why}") from None
    return opened


class HttpServer:
    """The open endpoints.

    handlers: gives what answers each path. tls: makes a context from a tls_config_file. max_connections: of each
    endpoint.
    """

    def __init__(
        self,
        handlers: Callable[[], Mapping[str, Handler]],
        tls: Callable[[str], ssl.SSLContext],
        max_connections: int = MAX_CONNECTIONS,
    ) -> None:
        self.handlers = handlers
        self.max_connections = max_connections
        self.turns = Turns()
        self.tls = tls
        self.running: dict[Endpoint, Open] = {}

    async def open_new(self, wanted: list[Endpoint]) -> list[Endpoint]:
        """Open what is not open yet, and return it; close_others or close ends the change.

        Where an address is kept and only its paths change, both are open for that time, sharing the port. Raises
        ListenError, and what tls raises, with nothing changed.
        """
        added: list[Endpoint] = []
        try:
            for endpoint in wanted:
                if endpoint not in self.running:
                    await self.open(endpoint)
                    added.append(endpoint)
        except Exception:
            for endpoint in added:
                await self.close(endpoint)
            raise
        return added

    async def close_others(self, wanted: list[Endpoint]) -> None:
        """Close what is not wanted any more."""
        for endpoint in [one for one in self.running if one not in wanted]:
            await self.close(endpoint)

    async def open(self, endpoint: Endpoint) -> None:
        """Open one endpoint."""
        context = self.tls(endpoint.tls_config_file) if endpoint.tls_config_file else None
        found = self.handlers()
        for path in endpoint.paths:
            if path not in found:
                where = f"{endpoint.host}:{endpoint.port}"
                raise FastdnsError(f"nobody answers {path}, which is to be served at {where}")
        handlers = {path: found[path] for path in endpoint.paths}
        opened = Open([], Places(self.turns, self.max_connections))

        def connect() -> ServerConnection:
            # With the first connection: until then nobody needs h11 in memory.
            from fastdns.http.server_connection import ServerConnection

            return ServerConnection(handlers, opened.places, context)

        for one in open_sockets(endpoint):
            server = await asyncio.get_running_loop().create_server(connect, sock=one, backlog=ACCEPTED)
            # asyncio accepts as many at a time as its backlog has; the kernel is told the real one.
            one.listen(BACKLOG)
            opened.servers.append(server)
        self.running[endpoint] = opened

    def address_of(self, path: str) -> tuple[str, int] | None:
        """Where a path is served: no name to look up, which takes a thread. None where it is not."""
        for endpoint, opened in self.running.items():
            if path in endpoint.paths and opened.addresses:
                address = opened.addresses[0]
                host = host_of(address)
                return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), address[1]
        return None

    async def close(self, endpoint: Endpoint) -> None:
        """Close one endpoint."""
        opened = self.running.pop(endpoint)
        for server in opened.servers:
            server.close()
        for connection in list(opened.places.open):
            connection.finish()

    async def close_all(self) -> None:
        """Close every endpoint."""
        for endpoint in list(self.running):
            await self.close(endpoint)
