"""Connections that a proxy passes on (PROXY protocol): its header is read, then the client's connection begins.

A ProxiedConnection is the protocol of the socket until it knows whose connection this is; then it makes that one,
and leaves. Until then it stands among the connections of the proxy, and has as long for the header as a connection
has for its first message.
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from fastdns.dns._proxy_header import proxy_header
from fastdns.transports import Peer
from fastdns.transports._proxies import Proxies
from fastdns.transports.client import Client
from fastdns.transports.clients import Clients
from fastdns.transports.limits import Limits

# The numbers of _proxies.pxd: Policy.
POLICIES = ("use", "ignore", "reject", "skip")
USE, IGNORE, REJECT, SKIP = range(4)
# What native code finds: _proxy_header.pxd.
NO_HEADER, HEADER, NOT_WHOLE = range(3)

# Of all headers 2 KiB at most are read; what follows comes with them.
READ_BYTES = 16 * 1024
BUFFER = bytearray(READ_BYTES)


@dataclass(frozen=True, slots=True)
class ProxyConfig:
    """Which senders are proxies.

    allowed: networks as 16 address bytes, IPv4 mapped, and how many bits count; none: everybody. others: the policy
    for all others, one of POLICIES. session_s: how long a sender over UDP speaks for the client it has named; 0: it
    names one with each message. counters: the plugin that counts what is not let in.
    """

    allowed: tuple[tuple[bytes, int], ...] = ()
    others: str = "use"
    session_s: float = 0.0
    max_sessions: int = 0
    counters: str = ""

    def proxies(self) -> Proxies:
        """What the threads ask."""
        return Proxies(
            list(self.allowed), POLICIES.index(self.others), int(self.session_s * 1e9), self.max_sessions
        )


def behind(proxies: Proxies, serve: Callable[..., object]) -> Callable[..., object]:
    """What serves datagrams that proxies may have sent, by what serves those of clients."""

    def serve_datagram(message: bytes, client: bytes, port: int, *rest: object, **more: object) -> object:
        known = proxies.client(client, port, message, time.monotonic_ns())
        if known is None:
            return None
        address, port, header_bytes = known
        return serve(message[header_bytes:], address, port, *rest, **more)

    return serve_datagram


class ProxiedConnection(asyncio.BufferedProtocol):
    """connect makes the client's connection; for whom, if a proxy has said so: else it is the socket's peer."""

    def __init__(
        self,
        connect: Callable[[Peer | None], asyncio.BufferedProtocol],
        proxies: Proxies,
        limits: Limits,
        clients: Clients,
    ) -> None:
        self.connect = connect
        self.proxies = proxies
        self.limits = limits
        self.clients = clients
        self.transport: asyncio.Transport | None = None
        self.owner = Client(b"\0\0\0\0")
        self.policy = USE
        self.pending = bytearray()
        self.deadline = float("inf")
        self.why = "peer"

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not derive from asyncio's.
        self.transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername") or ("0.0.0.0", 0)
        address = ipaddress.ip_address(peer[0].partition("%")[0]).packed
        self.policy = self.proxies.policy(address)
        if self.policy == SKIP:
            self.hand_over(None, b"")
            return
        self.owner = self.clients.client(address)
        self.deadline = self.clients.loop.time() + self.limits.read_s
        self.clients.place(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self.clients.count_opened()
        self.clients.gone(self, self.why)

    def get_buffer(self, sizehint: int) -> bytearray:
        return BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        self.pending += memoryview(BUFFER)[:nbytes]
        found, size, address, port = proxy_header(self.pending)
        if found == NO_HEADER:
            self.hand_over(None, self.pending)
        elif found == HEADER and self.policy != REJECT:
            known = self.policy == USE and address
            self.hand_over((str(ipaddress.ip_address(address)), port) if known else None, self.pending[size:])
        elif found == NOT_WHOLE:
            self.clients.held.count(self)
        else:
            self.end("proxy_header")

    def eof_received(self) -> bool:
        return False

    def hand_over(self, peer: Peer | None, rest: bytes | bytearray) -> None:
        """Begin the client's connection with what has come behind the header."""
        transport = self.transport
        assert transport is not None
        self.clients.remove(self)
        connection = self.connect(peer)
        transport.set_protocol(connection)
        connection.connection_made(transport)
        view = memoryview(rest)
        while view and not transport.is_closing():
            room = memoryview(connection.get_buffer(len(view)))
            size = min(len(view), len(room))
            room[:size] = view[:size]
            connection.buffer_updated(size)
            view = view[size:]

    # What bounds the clients

    def held_bytes(self) -> int:
        """The part of a header that has come."""
        return len(self.pending)

    def catch_up(self) -> None:
        """Nothing of it is ever deferred."""

    def close_when_quiet(self) -> None:
        """Close now: the client has asked nothing yet, but its proxy has still to say who it is."""

    def time_out(self, why: str) -> None:
        """The header has not come in time."""
        self.end(why)

    def end(self, why: str) -> None:
        """Close at once."""
        if self.transport is not None:
            self.why = why
            self.transport.abort()
