"""HTTP/1.1 to one server: GET, answers as they come, connections that are used again, proxies.

The protocol is h11's. A client framework would be a third of what the watcher takes in memory, and most of the time
until it asks its first question.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
import ssl
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

import h11

READ_BYTES = 256 << 10
MAX_HEAD_BYTES = 64 << 10
# Connections that wait for their next request; an API server closes them by itself.
MAX_IDLE = 8
# What any of this raises where the other side, or the way to it, fails.
TRANSPORT_ERRORS = (h11.ProtocolError, OSError, TimeoutError)


class Closed(OSError):
    """The session was closed meanwhile."""


class Connection:
    """One connection, through its proxy and TLS where there are any: one request after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.protocol = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)

    @property
    def is_usable(self) -> bool:
        """Whether another request may follow."""
        return not (self.reader.at_eof() or self.writer.transport.is_closing())

    def abort(self) -> None:
        """End at once."""
        self.writer.transport.abort()

    async def ask(self, method: str, target: str, headers: list[tuple[str, str]]) -> h11.Response:
        """Send a request without a body; the head of its answer."""
        try:
            request = h11.Request(method=method, target=target, headers=headers)
        except (h11.LocalProtocolError, UnicodeEncodeError):
            # Not said which: it is most likely a token.
            raise h11.LocalProtocolError("a header cannot be sent; expected one line of ASCII") from None
        self.writer.write((self.protocol.send(request) or b"") + (self.protocol.send(h11.EndOfMessage()) or b""))
        while not isinstance(event := self.protocol.next_event(), h11.Response):
            if event is h11.NEED_DATA:
                self.protocol.receive_data(await self.reader.read(READ_BYTES))
        return event


class Response:
    """An answer, of which the head has come. silence_s: of each wait for more, TimeoutError after it."""

    def __init__(self, session: Session, connection: Connection, head: h11.Response, silence_s: float) -> None:
        self.status = head.status_code
        self.reason = head.reason.decode("latin-1")
        self.headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
        self.is_whole = False
        self._session = session
        self._connection = connection
        self._silence_s = silence_s

    @property
    def socket(self) -> socket.socket | None:
        """What it comes over."""
        found: socket.socket | None = self._connection.writer.get_extra_info("socket")
        return found

    async def read_some(self) -> bytes:
        """What has come of the body, as soon as that is anything; nothing at its end. Raises TRANSPORT_ERRORS."""
        parts: list[bytes] = []
        protocol = self._connection.protocol
        while not self.is_whole:
            event = protocol.next_event()
            if isinstance(event, h11.Data):
                parts.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                self.is_whole = True
            elif event is h11.NEED_DATA and not parts:
                async with asyncio.timeout(self._silence_s):
                    protocol.receive_data(await self._connection.reader.read(READ_BYTES))
            else:
                break
        return b"".join(parts)

    async def read(self, max_bytes: int | None = None) -> bytes:
        """The body; no more of it than the part that makes it max_bytes. Raises TRANSPORT_ERRORS."""
        parts: list[bytes] = []
        size = 0
        while (part := await self.read_some()) and (max_bytes is None or size < max_bytes):
            parts.append(part)
            size += len(part)
        return b"".join(parts)

    def end(self) -> None:
        """Let the connection be used again, where the whole of the answer has been read; else it is closed."""
        self._session.give_back(self._connection, is_whole=self.is_whole)


class Session:
    """GET from one server. url: http or https, with a path in front of all others or without.

    proxy_url: http or https; HTTPS goes through it by CONNECT. Raises TRANSPORT_ERRORS; what the server says of
    itself that is not believed is ssl.SSLCertVerificationError.
    """

    def __init__(
        self,
        url: str,
        *,
        tls: ssl.SSLContext | None,
        server_hostname: str | None = None,
        proxy_url: str | None = None,
        connect_timeout_s: float,
    ) -> None:
        self.url = url
        self.tls = tls
        self.server_hostname = server_hostname
        self.proxy_url = proxy_url
        self.connect_timeout_s = connect_timeout_s
        self.closed = False
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()

    async def get(self, target: str, headers: Mapping[str, str], *, silence_s: float) -> Response:
        """The answer to a request, as soon as its head is there. target: path and query."""
        parts = urlsplit(self.url)
        proxied = self.tls is None and self.proxy_url is not None
        target = f"{self.url}{target}" if proxied else f"{parts.path}{target}"
        sent = [("Host", parts.netloc.rpartition("@")[2]), *headers.items()]
        if proxied:
            sent += authorization(self.proxy_url)
        while True:
            reused = self._idle.pop() if self._idle else None
            if reused is not None and not reused.is_usable:
                self._drop(reused)
                continue
            connection = reused or await self._connect()
            try:
                async with asyncio.timeout(silence_s):
                    head = await connection.ask("GET", target, sent)
            except BaseException as error:
                self._drop(connection)
                # The server may have closed it in the moment in which it was used again: then nothing was heard.
                unheard = isinstance(error, (h11.RemoteProtocolError, ConnectionError))
                if reused is None or self.closed or not unheard:
                    raise
                continue
            return Response(self, connection, head, silence_s)

    async def _connect(self) -> Connection:
        """A new connection."""
        to = urlsplit(self.url)
        port = to.port or (443 if self.tls else 80)
        host = to.hostname or ""
        name = self.server_hostname or host
        async with asyncio.timeout(self.connect_timeout_s):
            if self.proxy_url is None:
                connection = Connection(
                    *await asyncio.open_connection(
                        host, port, limit=READ_BYTES, ssl=self.tls, server_hostname=name if self.tls else None
                    )
                )
            else:
                connection = await self._connect_to_proxy(self.proxy_url)
                if self.tls is not None:
                    try:
                        await self._tunnel(connection, f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
                        await connection.writer.start_tls(self.tls, server_hostname=name)
                    except BaseException:
                        connection.abort()
                        raise
                    connection = Connection(connection.reader, connection.writer)
        if self.closed:
            connection.abort()
            raise Closed("the session was closed")
        self._open.add(connection)
        return connection

    @staticmethod
    async def _connect_to_proxy(url: str) -> Connection:
        proxy = urlsplit(url)
        tls = ssl.create_default_context() if proxy.scheme == "https" else None
        port = proxy.port or (443 if tls else 80)
        return Connection(*await asyncio.open_connection(proxy.hostname, port, limit=READ_BYTES, ssl=tls))

    async def _tunnel(self, connection: Connection, to: str) -> None:
        """Have a proxy connect to a host and port. Raises OSError where it does not want to."""
        head = await connection.ask("CONNECT", to, [("Host", to), *authorization(self.proxy_url)])
        if not 200 <= head.status_code < 300:
            raise ConnectionError(f"the proxy says {head.status_code} {head.reason.decode('latin-1')}")
        if connection.protocol.trailing_data[0]:
            # In the reader it would pass for what has come through TLS. A server of TLS waits for its client.
            raise ConnectionError("the proxy says more than it was asked")

    def give_back(self, connection: Connection, *, is_whole: bool) -> None:
        """A connection whose answer is over."""
        if connection not in self._open:
            return
        state = connection.protocol.our_state, connection.protocol.their_state
        if is_whole and state == (h11.DONE, h11.DONE) and connection.is_usable and len(self._idle) < MAX_IDLE:
            connection.protocol.start_next_cycle()
            self._idle.append(connection)
        else:
            self._drop(connection)

    def _drop(self, connection: Connection) -> None:
        self._open.discard(connection)
        connection.abort()

    async def close(self) -> None:
        """End every connection; answers that are under way break off."""
        self.closed = True
        self._idle.clear()
        for connection in list(self._open):
            self._drop(connection)
        # Transports say goodbye in the loop's next turn.
        await asyncio.sleep(0)


def authorization(proxy_url: str | None) -> list[tuple[str, str]]:
    """What a proxy wants to know of who uses it."""
    parts = urlsplit(proxy_url or "")
    if parts.username is None:
        return []
    words = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return [("Proxy-Authorization", f"Basic {base64.b64encode(words.encode()).decode()}")]


def keep_alive(response: Response) -> None:
    """Lets the kernel probe an idle watch: a peer that vanished shows before the next bookmark is due."""
    sock = response.socket
    if sock is not None:
        with contextlib.suppress(OSError, AttributeError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 20)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
