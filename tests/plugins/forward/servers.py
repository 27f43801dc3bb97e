"""Upstreams on the loopback that do as a test tells them: over TCP or TLS, and over HTTP/2."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import struct
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, cast

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings

from fastdns.plugins.forward.upstreams import Upstream
from tests.plugins.forward.support import reply_to


def frame(message: bytes) -> bytes:
    return struct.pack(">H", len(message)) + message


class Peer:
    """One connection that an upstream has accepted. number: from 1."""

    def __init__(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.number = number
        self.reader = reader
        self.writer = writer
        self.queries: list[bytes] = []

    async def read(self) -> bytes:
        """The next query. Raises IncompleteReadError where the connection ends."""
        length = struct.unpack(">H", await self.reader.readexactly(2))[0]
        self.queries.append(await self.reader.readexactly(length))
        return self.queries[-1]

    async def serve(self) -> None:
        """Reply to everything."""
        while True:
            self.write(reply_to(await self.read()))

    def write(self, *messages: bytes) -> None:
        """Send messages."""
        self.writer.write(b"".join(map(frame, messages)))

    async def wait_for_end(self) -> None:
        """Until the other side closes."""
        while await self.reader.read(65536):
            pass


Script = Callable[[Peer], Awaitable[None]]


class StreamServer:
    """``async with StreamServer(script) as server``: runs the script on each connection, then closes it."""

    def __init__(
        self, script: Script = Peer.serve, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
    ) -> None:
        self.script = script
        self.tls = tls
        self.host = host
        self.port = 0
        self.peers: list[Peer] = []
        self.open = 0
        self.tasks: set[asyncio.Task[None] | None] = set()

    async def __aenter__(self) -> StreamServer:
        self.server = await asyncio.start_server(self.accept, self.host, self.port, ssl=self.tls)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.server.close()
        for task in self.tasks:
            if task is not None:
                task.cancel()
        await asyncio.gather(*filter(None, self.tasks), return_exceptions=True)

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        peer = Peer(len(self.peers) + 1, reader, writer)
        self.peers.append(peer)
        task = asyncio.current_task()
        self.tasks.add(task)
        self.open += 1
        try:
            await self.script(peer)
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError, asyncio.CancelledError):
            pass
        finally:
            self.open -= 1
            self.tasks.discard(task)
            writer.close()

    @property
    def queries(self) -> list[bytes]:
        """Everything that was asked."""
        return [query for peer in self.peers for query in peer.queries]

    def upstream(self, server_name: str | None = None, transport: str | None = None) -> Upstream:
        """How it is asked."""
        return Upstream(transport or ("tls" if self.tls else "dns"), self.host, self.port, server_name)


class Request:
    """One request to an HttpServer, and what to reply with."""

    def __init__(self, peer: HttpPeer, stream_id: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.peer = peer
        self.stream_id = stream_id
        self.headers = dict(headers)
        self.body = bytearray()

    def reply(
        self,
        body: bytes | None = None,
        *,
        status: str = "200",
        kind: str | None = "application/dns-message",
        end: bool = True,
    ) -> None:
        """Send a response; without a body the reply to the query in the request's."""
        headers = [(":status", status)] + ([("content-type", kind)] if kind is not None else [])
        self.peer.http.send_headers(self.stream_id, headers)
        self.send(reply_to(bytes(self.body)) if body is None else body, end=end)

    def send(self, body: bytes, *, end: bool = True) -> None:
        """Send part of a body; what flow control holds back follows later."""
        self.peer.unsent[self.stream_id] = body, end
        self.peer.push(self.stream_id)

    def reset(self, code: int) -> None:
        """Give it up."""
        self.peer.http.reset_stream(self.stream_id, code)
        self.peer.flush()


class HttpPeer(asyncio.Protocol):
    """One connection of an HttpServer."""

    def __init__(self, server: HttpServer) -> None:
        self.server = server
        self.http = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding=None))
        self.http.local_settings = h2.settings.Settings(client=False, initial_values=server.settings)
        self.requests: dict[int, Request] = {}
        self.resets: list[int] = []
        self.unsent: dict[int, tuple[bytes, bool]] = {}
        self.number = len(server.peers) + 1
        server.peers.append(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.server.open += 1
        self.http.initiate_connection()
        self.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self.server.open -= 1

    def data_received(self, data: bytes) -> None:
        if self.number <= self.server.dead:
            return
        try:
            for event in self.http.receive_data(data):
                self.on_event(event)
        except h2.exceptions.ProtocolError as error:
            self.server.errors.append(error)
            self.flush()
            self.transport.close()
        self.flush()

    def on_event(self, event: Any) -> None:
        """One event of the protocol."""
        if isinstance(event, h2.events.RequestReceived):
            self.requests[event.stream_id] = Request(self, event.stream_id, event.headers)
        elif isinstance(event, h2.events.DataReceived):
            self.requests[event.stream_id].body += event.data
            if self.server.hold_window:
                return
            self.http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            request = self.requests[event.stream_id]
            self.server.requests.append(request)
            self.server.answer(request)
        elif isinstance(event, h2.events.StreamReset):
            self.resets.append(event.stream_id)
            self.unsent.pop(event.stream_id, None)
        elif isinstance(event, h2.events.WindowUpdated):
            for stream_id in list(self.unsent):
                # The next event may be that it has been reset.
                with contextlib.suppress(h2.exceptions.ProtocolError):
                    self.push(stream_id)

    def push(self, stream_id: int) -> None:
        """Send of a body as much as may be sent."""
        body, end = self.unsent.pop(stream_id)
        while body:
            room = min(self.http.local_flow_control_window(stream_id), 16384)
            if room <= 0:
                self.unsent[stream_id] = body, end
                break
            self.http.send_data(stream_id, body[:room])
            body = body[room:]
        if end and not body:
            self.http.end_stream(stream_id)
        self.flush()

    def flush(self) -> None:
        """Send what there is."""
        self.transport.write(self.http.data_to_send())

    def send_raw(self, data: bytes) -> None:
        """Send bytes that are no HTTP/2, or what the protocol does not do by itself."""
        self.flush()
        self.transport.write(data)


class HttpServer:
    """``async with HttpServer(tls, answer) as server``: calls answer for each request."""

    def __init__(
        self,
        tls: ssl.SSLContext,
        answer: Callable[[Request], None] = Request.reply,
        settings: dict[int, int] | None = None,
        alpn: str | None = "h2",
        hold_window: bool = False,
    ) -> None:
        self.tls = tls
        if alpn is not None:
            tls.set_alpn_protocols([alpn])
        self.answer = answer
        self.settings = settings or {}
        # Bodies of requests are not acknowledged: no more than a window of each comes.
        self.hold_window = hold_window
        self.peers: list[HttpPeer] = []
        self.requests: list[Request] = []
        # So many of the first connections have died without a word.
        self.dead = 0
        self.errors: list[Exception] = []
        self.open = 0

    async def __aenter__(self) -> HttpServer:
        loop = asyncio.get_running_loop()
        self.server = await loop.create_server(lambda: HttpPeer(self), "127.0.0.1", 0, ssl=self.tls)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.server.close()
        for peer in self.peers:
            with contextlib.suppress(AttributeError):
                peer.transport.abort()
        while self.open:
            await asyncio.sleep(0.001)

    def upstream(self, server_name: str | None = None) -> Upstream:
        """How it is asked."""
        return Upstream("https", "127.0.0.1", self.port, server_name)
