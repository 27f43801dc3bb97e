"""A worker's clients without a network: a clock that stands still, and transports that note what is done."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import Any, cast

from fastdns.metrics._stats import Stats
from fastdns.transports import clients
from fastdns.transports._sockets import Sockets
from fastdns.transports.accepting import Accepting
from fastdns.transports.clients import Clients
from fastdns.transports.limits import Limits
from fastdns.transports.stream import ClientStream
from fastdns.transports.tcp import TcpConnection


def frame(message: bytes) -> bytes:
    return struct.pack(">H", len(message)) + message


def echo(message: bytes, client: bytes, port: int, deliver: object = None) -> bytes | None:
    """Silence for what is no message, as the chain has it; else the same again."""
    return b"re:" + message if message else None


class FakeLoop:
    """A clock that stands until it is told to go on."""

    def __init__(self) -> None:
        self.now = 100.0
        self.calls: list[Any] = []
        self.soon: list[Any] = []

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Any) -> Any:
        self.calls.append(callback)
        return None

    def call_soon(self, callback: Any) -> None:
        self.soon.append(callback)

    def turn(self) -> int:
        """What is due at once, and not what comes of it. Returns how much that was."""
        due, self.soon = self.soon, []
        for callback in due:
            callback()
        return len(due)

    def go_on(self, seconds: float) -> None:
        """Time passes, and deadlines are looked at."""
        self.now += seconds
        self.calls.pop()()


class FakeTransport:
    """Notes what a connection does. A peer that does not read is one with room for so many bytes."""

    def __init__(
        self, protocol: ClientStream, room: float = float("inf"), peer: Any = ("192.0.2.7", 5353)
    ) -> None:
        self.protocol = protocol
        self.peer = peer
        self.room = room
        self.written = bytearray()
        self.waiting = 0
        self.reading = True
        self.ended = ""
        self.high = 0

    def get_extra_info(self, name: str) -> Any:
        return self.peer if name == "peername" else None

    def set_write_buffer_limits(self, high: int) -> None:
        self.high = high

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def write(self, data: bytes) -> None:
        assert not self.ended
        self.written += data
        sent = min(len(data), self.room)
        self.room -= sent
        self.waiting += len(data) - int(sent)
        if self.waiting > self.high and not self.protocol.paused:
            self.protocol.pause_writing()

    def drained(self) -> None:
        """The peer has read everything."""
        self.waiting = 0
        self.room = float("inf")
        self.protocol.resume_writing()

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def close(self) -> None:
        self.ended = self.ended or "closed"
        if not self.waiting:
            self.protocol.connection_lost(None)

    def abort(self) -> None:
        self.ended = "aborted"
        self.protocol.connection_lost(None)


class World:
    """A worker's connections on a fake loop."""

    def __init__(
        self, max_connections: int = 10, max_held_bytes: int = clients.MAX_HELD_BYTES, **limits: Any
    ) -> None:
        self.loop = FakeLoop()
        self.stats = Stats(1)
        self.clients = Clients(
            cast(asyncio.AbstractEventLoop, self.loop), max_connections, self.stats, 0, max_held_bytes
        )
        self.limits = Limits(**limits)

    def connect(self, serve: Any = echo, **options: Any) -> tuple[TcpConnection, FakeTransport]:
        connection = TcpConnection(serve, self.limits, self.clients)
        return connection, self.joined(connection, **options)

    def joined(self, connection: ClientStream, **options: Any) -> FakeTransport:
        """The transport of a connection that begins now."""
        transport = FakeTransport(connection, **options)
        connection.connection_made(cast(asyncio.Transport, transport))
        return transport


def cut(message: bytes, client: bytes, port: int, deliver: object = None) -> bytes | None:
    reply = echo(message, client, port)
    return reply and reply[:65535]


def peers(number: int) -> Any:
    """The address of a client."""
    return f"192.0.2.{number}", 5353


class Accepted:
    """A listening socket on a free port of a real loop. own_sockets: as a worker has it; else the loop's."""

    def __init__(self, connect: Callable[[], Any], clients: Clients, *, own_sockets: bool = True) -> None:
        self.connect = connect
        self.clients = clients
        self.own_sockets = own_sockets
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.address = self.listening.getsockname()

    async def begin(self) -> None:
        loop = asyncio.get_running_loop()
        if self.own_sockets:
            self.sockets = Sockets(loop, self.clients.turns)
            self.server: Any = Accepting(loop, self.sockets, self.listening, self.connect, 100)
        else:
            self.server = await loop.create_server(self.connect, sock=self.listening)

    def end(self) -> None:
        self.server.close()
        self.clients.timer.cancel()
        if self.own_sockets:
            self.sockets.close()
