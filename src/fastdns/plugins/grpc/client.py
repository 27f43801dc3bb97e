"""One gRPC server, asked for DNS messages: CoreDNS's pb.DnsService over one HTTP/2 connection.

The connection is dialed with the first query, and again after it has ended. As many queries are out on it at a time
as the server takes; others wait. If a dial fails, queries fail at once for RETRY_S.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import cast
from urllib.parse import unquote

from fastdns.dns._framing import MAX_MESSAGE_BYTES
from fastdns.errors import FastdnsError
from fastdns.http.http2 import Http2Error, Http2Streams, Outgoing, Request
from fastdns.plugins.grpc import packets
from fastdns.plugins.grpc.config import Upstream

log = logging.getLogger("plugin/grpc")

PATH = "/coredns.dns.DnsService/Query"
DIAL_S = 5.0
RETRY_S = 1.0
# Codes of gRPC.
OK, NOT_FOUND, INTERNAL, UNAVAILABLE = 0, 5, 13, 14


class GrpcError(FastdnsError):
    """A call has failed. code: of gRPC. unserved: the server has not looked at it."""

    def __init__(self, code: int, why: str, *, unserved: bool = False) -> None:
        super().__init__(why)
        self.code = code
        self.unserved = unserved


Reply = asyncio.Future[bytes]


class Connection(Outgoing, asyncio.Protocol):
    """Each query is a request. on_room: called when there may be room for another one."""

    def __init__(self, loop: asyncio.AbstractEventLoop, authority: str, scheme: str, on_room: Callable[[], None]):
        self.loop = loop
        self.streams: Http2Streams[Reply] = Http2Streams(self, packets.MAX_BYTES)
        self.headers = [
            (":method", "POST"), (":scheme", scheme), (":path", PATH), (":authority", authority),
            ("content-type", "application/grpc"), ("te", "trailers"),
        ]  # fmt: skip
        self.on_room = on_room
        self.transport: asyncio.Transport | None = None
        self.heard_at = 0.0
        self.closed = False
        # It takes no more queries.
        self.retired = False

    @property
    def has_room(self) -> bool:
        """Whether it takes a query now."""
        return not self.retired and self.streams.has_room

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not derive from asyncio's.
        self.transport = cast(asyncio.Transport, transport)
        self.streams.begin()
        self.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self.end(str(exc or "the server has closed the connection"))

    def data_received(self, data: bytes) -> None:
        self.heard_at = self.loop.time()
        try:
            self.streams.receive(data)
        except Http2Error as error:
            self.flush()
            self.end(f"http2: {error}")
            return
        self.flush()

    # Queries

    def ask(self, message: bytes) -> Reply:
        """Send a query; there is room for it. The reply is one message, or a GrpcError."""
        reply: Reply = self.loop.create_future()
        self.streams.ask(reply, self.loop.time(), self.headers, packets.packet(message))
        self.retired |= self.streams.used_up
        self.flush_soon()
        return reply

    def unread(self) -> None:
        self.end("the server does not read")

    def abandon(self, reply: Reply) -> None:
        """Nobody waits for a reply any more. A server that has said nothing since may be gone: others are not sent
        there."""
        with contextlib.suppress(StopIteration):
            request = self.streams.cancel(reply)
            self.flush()
            if self.heard_at <= request.sent_at:
                self.end("the server is silent")

    def end(self, why: str) -> None:
        """Close at once. Queries that are out get an error."""
        self.closed = self.retired = True
        if self.transport is not None:
            self.transport.abort()
        for request in self.streams.take_requests():
            settle(request.asker, GrpcError(UNAVAILABLE, why, unserved=not request.body))
        self.on_room()

    # What becomes of requests

    def head(self, request: Request[Reply], headers: Mapping[bytes, bytes]) -> str:
        """A response that is none of gRPC fails its request. One without a body has its code here."""
        kind, status = headers.get(b"content-type", b""), headers.get(b":status", b"")
        if status != b"200":
            return f"unexpected HTTP status code received from server: {status.decode('ascii', 'replace')}"
        if not kind.startswith(b"application/grpc"):
            return f'transport: received unexpected content-type "{kind.decode("ascii", "replace")}"'
        request.trailers = headers
        return ""

    def complete(self, request: Request[Reply]) -> None:
        """A response is whole."""
        code = request.trailers.get(b"grpc-status", b"")
        if code != b"0":
            text = unquote(request.trailers.get(b"grpc-message", b"").decode("ascii", "replace"))
            number = int(code) if code.isdigit() and len(code) < 4 else INTERNAL
            settle(request.asker, GrpcError(number, text or f"rpc error: code = {number}"))
        else:
            try:
                settle(request.asker, packets.message_of(bytes(request.body)))
            except ValueError as error:
                settle(request.asker, GrpcError(INTERNAL, str(error)))
        self.on_room()

    def failed(self, request: Request[Reply], why: str) -> None:
        """A response is not as it should be."""
        settle(request.asker, GrpcError(INTERNAL, why))
        self.on_room()

    def refused(self, request: Request[Reply], stream_id: int, code: object) -> None:
        """The server has reset a request."""
        name = getattr(code, "name", code)
        settle(request.asker, GrpcError(UNAVAILABLE, f"stream error: {name}", unserved=name == "REFUSED_STREAM"))
        self.on_room()

    def ends(self) -> None:
        """Nothing can be sent any more."""
        self.retired = True

    def gone(self, code: object) -> None:
        """The server closes the connection."""
        self.end(f"the server has sent GOAWAY: {getattr(code, 'name', code)}")

    def room(self) -> None:
        """The server may take more."""
        self.on_room()


def settle(reply: Reply, result: bytes | GrpcError) -> None:
    """What has become of a query, for whoever still waits for it."""
    if reply.done():
        return
    if isinstance(result, GrpcError):
        reply.set_exception(result)
    else:
        reply.set_result(result)


class Client:
    """An upstream of one block in this worker. name: that its certificate must bear; "": its address."""

    def __init__(self, upstream: Upstream, context: ssl.SSLContext | None, name: str = "") -> None:
        self.upstream = upstream
        self.context = context
        self.name = name or upstream.address.partition("%")[0]
        self.connection: Connection | None = None
        self.dialing: asyncio.Task[Connection] | None = None
        self.waiting: deque[asyncio.Future[None]] = deque()
        self.failed_at = float("-inf")
        self.why = ""

    async def query(self, message: bytes) -> bytes:
        """The reply to a message. Raises GrpcError."""
        if len(message) > MAX_MESSAGE_BYTES:
            raise GrpcError(INTERNAL, "dns message exceeds size limit")
        try:
            return await self.once(message)
        except GrpcError as error:
            if not error.unserved:
                raise
        # A connection that was idle may have ended before the query came.
        return await self.once(message)

    async def once(self, message: bytes) -> bytes:
        """Ask over one connection. Raises GrpcError."""
        connection = await self.with_room()
        reply = connection.ask(message)
        try:
            return await reply
        except asyncio.CancelledError:
            connection.abandon(reply)
            raise

    async def with_room(self) -> Connection:
        """A connection that takes a query now. Raises GrpcError where there is none to be had."""
        while True:
            connection = self.connection
            if connection is None or connection.retired:
                connection = await self.connected()
            if connection.has_room:
                return connection
            if connection.retired:
                continue
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self.waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                # Whose turn it was does not take it.
                self.waiting = deque(one for one in self.waiting if one is not turn)
                self.on_room()
                raise

    def on_room(self) -> None:
        """Let queries go on, as many as there is room for; each looks for itself."""
        room = 1 if self.connection is not None and not self.connection.retired else len(self.waiting)
        while self.waiting and room:
            turn = self.waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                room -= 1

    async def connected(self) -> Connection:
        """A new connection, one for all who want one. Raises GrpcError."""
        loop = asyncio.get_running_loop()
        if self.dialing is None:
            if loop.time() - self.failed_at < RETRY_S:
                raise GrpcError(UNAVAILABLE, self.why)
            self.dialing = loop.create_task(self.dial(loop))
            self.dialing.add_done_callback(self.dialed)
        return await asyncio.shield(self.dialing)

    def dialed(self, task: asyncio.Task[Connection]) -> None:
        """A dial has ended."""
        self.dialing = None
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            if self.why:
                log.info("%s is reached again", self.upstream.to)
            self.why = ""
            self.connection = task.result()
            return
        if not self.why:
            log.warning("%s cannot be reached: %s", self.upstream.to, error)
        self.why, self.failed_at = str(error), asyncio.get_running_loop().time()

    async def dial(self, loop: asyncio.AbstractEventLoop) -> Connection:
        """Open a connection. Raises GrpcError."""
        scheme = "http" if self.context is None else "https"
        authority = self.name if self.context is not None else self.upstream.to.removeprefix("unix://")
        authority = authority if self.upstream.port else "localhost"

        def made() -> Connection:
            return Connection(loop, authority, scheme, self.on_room)

        address, port = self.upstream.address, self.upstream.port
        encrypting = partial(
            loop.create_connection if port else loop.create_unix_connection,
            ssl=self.context,
            server_hostname=self.name if self.context is not None else None,
        )
        try:
            async with asyncio.timeout(DIAL_S):
                transport, connection = await encrypting(made, *((address, port) if port else (address,)))
        except TimeoutError:
            raise GrpcError(UNAVAILABLE, f"no connection within {DIAL_S:g} s") from None
        except (OSError, ssl.SSLError) as error:
            raise GrpcError(UNAVAILABLE, f"connection error: {error}") from None
        if self.context is not None and transport.get_extra_info("ssl_object").selected_alpn_protocol() != "h2":
            connection.end("")
            raise GrpcError(UNAVAILABLE, "the server does not agree on HTTP/2 by ALPN")
        return cast(Connection, connection)

    def close(self) -> None:
        """Nothing is asked any more."""
        if self.dialing is not None:
            self.dialing.cancel()
        if self.connection is not None:
            self.connection.end("this server is stopping")
