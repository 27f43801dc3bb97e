"""An HTTP/1.1 client for one server: GET and POST, bodies as they arrive, connections that are reused, proxies.

A connection can be dead without a sign of it, and a server that hung for a while may answer new connections only.
If no answer arrives within FRESH_AFTER_S, the request is sent again over a new connection, up to MAX_ATTEMPTS
connections at a time. The first answer counts. The oldest request is kept: the server may only be slow. A body that
must come and is silent for as long is given up if the server answers another request over a new connection.

h11 does the protocol. A client framework would take a third of the watcher's memory, and most of the time until the
first request.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

import h11

from fastdns.tls import client_context

READ_BYTES = 256 << 10
MAX_HEAD_BYTES = 64 << 10
# Connections that wait for their next request; an API server closes them by itself.
MAX_IDLE = 8
# A request without an answer for this long, the time to connect included, is sent again over a new connection.
FRESH_AFTER_S = 3.0
# Connections over which one request waits for its answer at a time.
MAX_ATTEMPTS = 3
# The answer to a proof is one object; a server that ignores the limit sends more.
MAX_PROOF_BYTES = 1 << 20
# What all functions here raise when the server, or the network, fails.
TRANSPORT_ERRORS = (h11.ProtocolError, OSError, TimeoutError)


class Closed(OSError):
    """The session was closed while a request was under way."""


class Connection:
    """One connection, through its proxy and TLS where there are any: one request after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.protocol = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)
        # When its last answer ended, by the monotonic clock.
        self.heard_s = 0.0

    @property
    def is_usable(self) -> bool:
        """Whether another request may follow."""
        return not (self.reader.at_eof() or self.writer.transport.is_closing())

    def abort(self) -> None:
        """End at once."""
        self.writer.transport.abort()

    async def ask(
        self, method: str, target: str, headers: list[tuple[str, str]], body: bytes = b""
    ) -> h11.Response:
        """Send a request; the head of its answer. headers: with the length of a body."""
        try:
            request = h11.Request(method=method, target=target, headers=headers)
        except (h11.LocalProtocolError, UnicodeEncodeError):
            # Not said which: it is most likely a token.
            raise h11.LocalProtocolError("a header cannot be sent; expected one line of ASCII") from None
        sent = [self.protocol.send(request)]
        if body:
            sent.append(self.protocol.send(h11.Data(data=body)))
        sent.append(self.protocol.send(h11.EndOfMessage()))
        self.writer.write(b"".join(part or b"" for part in sent))
        while not isinstance(event := self.protocol.next_event(), h11.Response):
            if event is h11.NEED_DATA:
                self.protocol.receive_data(await self.reader.read(READ_BYTES))
        return event


@dataclass(frozen=True, slots=True)
class Proof:
    """A small request for the same resource that shows whether the server answers. Sent while is_owed is true."""

    target: str
    headers: Mapping[str, str]
    is_owed: Callable[[], bool] = lambda: True


class Frozen(TimeoutError):
    """A body is silent while the server answers other requests."""


class Response:
    """An answer whose head has arrived. A wait for more of its body ends with TimeoutError after silence_s."""

    # What is asked for where it is silent, or nothing.
    proof: Proof | None = None

    def __init__(self, session: Session, connection: Connection, head: h11.Response, silence_s: float) -> None:
        self.status = head.status_code
        self.reason = head.reason.decode("latin-1")
        self.headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
        self.is_whole = False
        self._ended = False
        self._session = session
        self._connection = connection
        self._silence_s = silence_s

    @property
    def socket(self) -> socket.socket | None:
        """The socket of its connection."""
        found: socket.socket | None = self._connection.writer.get_extra_info("socket")
        return found

    async def read_some(self) -> bytes:
        """The next bytes of the body as soon as there are any; b"" at its end. Raises TRANSPORT_ERRORS."""
        parts: list[bytes] = []
        protocol = self._connection.protocol
        while not self.is_whole:
            event = protocol.next_event()
            if isinstance(event, h11.Data):
                parts.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                self.is_whole = True
            elif event is h11.NEED_DATA and not parts:
                protocol.receive_data(await self._more())
            else:
                break
        return b"".join(parts)

    async def _more(self) -> bytes:
        """The next bytes of the connection. Raises TimeoutError after silence_s, or Frozen."""
        reader = self._connection.reader
        ends_s = time.monotonic() + self._silence_s
        while True:
            left_s = ends_s - time.monotonic()
            proof = self.proof if self.proof is not None and self.proof.is_owed() else None
            wait_s = left_s if proof is None else min(left_s, self._session.fresh_after_s)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, wait_s)):
                    return await reader.read(READ_BYTES)
            if time.monotonic() >= ends_s:
                raise TimeoutError
            if proof is not None and await self._session.answers(proof):
                with contextlib.suppress(TimeoutError):
                    # What has come meanwhile counts.
                    async with asyncio.timeout(0):
                        return await reader.read(READ_BYTES)
                raise Frozen

    async def read(self, max_bytes: int | None = None) -> bytes:
        """The body. Reading stops after the part that reaches max_bytes. Raises TRANSPORT_ERRORS."""
        parts: list[bytes] = []
        size = 0
        while (part := await self.read_some()) and (max_bytes is None or size < max_bytes):
            parts.append(part)
            size += len(part)
        return b"".join(parts)

    def end(self) -> None:
        """Give the connection back if the whole answer has been read; else close it. Only once."""
        if not self._ended:
            self._ended = True
            self._session.give_back(self._connection, is_whole=self.is_whole)


class Session:
    """Requests to one server. url: http or https, with a path in front of all others or without.

    unix_path: of a socket that is connected to in place of the URL's host. proxy_url: http or https; HTTPS goes
    through it by CONNECT. Raises TRANSPORT_ERRORS; a certificate that is not trusted raises
    ssl.SSLCertVerificationError.
    """

    def __init__(
        self,
        url: str,
        *,
        tls: ssl.SSLContext | None,
        server_hostname: str | None = None,
        unix_path: str | None = None,
        proxy_url: str | None = None,
        connect_timeout_s: float,
        fresh_after_s: float = FRESH_AFTER_S,
        on_frozen: Callable[[float], None] | None = None,
    ) -> None:
        self.url = url
        self.tls = tls
        self.server_hostname = server_hostname
        self.unix_path = unix_path
        self.proxy_url = proxy_url
        self.connect_timeout_s = connect_timeout_s
        self.fresh_after_s = fresh_after_s
        self.on_frozen = on_frozen
        self.closed = False
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()

    async def get(self, target: str, headers: Mapping[str, str], *, silence_s: float) -> Response:
        """The answer to a request, as soon as its head is there. target: path and query."""
        return await self._answer("GET", *self._request(target, headers), b"", silence_s)

    async def post(self, target: str, headers: Mapping[str, str], body: bytes, *, silence_s: float) -> Response:
        """The same for a POST. The server must not mind that it may get a request several times."""
        headers = {**headers, "Content-Length": str(len(body))}
        return await self._answer("POST", *self._request(target, headers), body, silence_s)

    async def _answer(
        self, method: str, target: str, sent: list[tuple[str, str]], body: bytes, silence_s: float
    ) -> Response:
        begun_s = time.monotonic()
        attempts: list[asyncio.Task[tuple[Connection, h11.Response]]] = []
        won: asyncio.Task[tuple[Connection, h11.Response]] | None = None
        try:
            while won is None:
                if len(attempts) == MAX_ATTEMPTS:
                    # The oldest stays: it is the one that a slow server answers first.
                    self._give_up(attempts.pop(1))
                attempt = self._attempt(method, target, sent, body, silence_s, may_reuse=not attempts)
                attempts.append(asyncio.create_task(attempt))
                won = await self._first_answer(attempts)
            connection, head = won.result()
        finally:
            for task in attempts:
                if task is not won:
                    self._give_up(task)
        if won is not attempts[0]:
            self._forget_before(begun_s)
        return Response(self, connection, head, silence_s)

    async def answers(self, proof: Proof) -> bool:
        """Whether the server answers a request over a new connection, to its end and within fresh_after_s."""
        target, sent = self._request(proof.target, proof.headers)
        try:
            async with asyncio.timeout(self.fresh_after_s):
                connection, head = await self._attempt(
                    "GET", target, sent, b"", self.fresh_after_s, may_reuse=False
                )
                response = Response(self, connection, head, self.fresh_after_s)
                try:
                    await response.read(MAX_PROOF_BYTES)
                finally:
                    response.end()
        except TRANSPORT_ERRORS:
            return False
        return True

    def _request(self, target: str, headers: Mapping[str, str]) -> tuple[str, list[tuple[str, str]]]:
        """Target and headers as they are sent."""
        parts = urlsplit(self.url)
        sent = [("Host", parts.netloc.rpartition("@")[2]), *headers.items()]
        if self.tls is None and self.proxy_url is not None:
            return f"{self.url}{target}", sent + authorization(self.proxy_url)
        return f"{parts.path}{target}", sent

    async def _first_answer(
        self, attempts: list[asyncio.Task[tuple[Connection, h11.Response]]]
    ) -> asyncio.Task[tuple[Connection, h11.Response]] | None:
        """The attempt that is answered first; None if it is time to start another attempt.

        Raises what the newest attempt raises, and TimeoutError when any attempt has reached its time limit. Other
        errors of older attempts are ignored: they say nothing about the server as it is now.
        """
        ends_s = time.monotonic() + self.fresh_after_s
        waited_for = list(attempts)
        while True:
            left_s = ends_s - time.monotonic()
            done, _ = await asyncio.wait(waited_for, timeout=max(0.0, left_s), return_when=asyncio.FIRST_COMPLETED)
            for attempt in [attempt for attempt in waited_for if attempt in done]:
                error = attempt.exception()
                if error is None:
                    return attempt
                if attempt is attempts[-1] or isinstance(error, TimeoutError):
                    raise error
                waited_for.remove(attempt)
            if not done:
                return None

    def _give_up(self, attempt: asyncio.Task[tuple[Connection, h11.Response]]) -> None:
        """End an attempt, and close its connection if it has one."""
        if not attempt.done():
            attempt.cancel()
        elif not attempt.cancelled() and attempt.exception() is None:
            self._drop(attempt.result()[0])

    def _forget_before(self, begun_s: float) -> None:
        """A connection was silent while a newer one was answered: close all older ones that are idle."""
        for connection in [idle for idle in self._idle if idle.heard_s < begun_s]:
            self._idle.remove(connection)
            self._drop(connection)
        if self.on_frozen is not None:
            self.on_frozen(begun_s)

    async def _attempt(
        self, method: str, target: str, sent: list[tuple[str, str]], body: bytes, silence_s: float, *,
        may_reuse: bool,
    ) -> tuple[Connection, h11.Response]:  # fmt: skip
        """One connection and the head of the answer over it."""
        while True:
            reused = self._idle.pop() if may_reuse and self._idle else None
            if reused is not None and not reused.is_usable:
                self._drop(reused)
                continue
            connection = reused or await self._connect()
            try:
                async with asyncio.timeout(silence_s):
                    return connection, await connection.ask(method, target, sent, body)
            except BaseException as error:
                self._drop(connection)
                # The server may have closed it in the moment in which it was used again: then nothing was heard.
                unheard = isinstance(error, (h11.RemoteProtocolError, ConnectionError))
                if reused is None or self.closed or not unheard:
                    raise

    async def _connect(self) -> Connection:
        """A new connection."""
        to = urlsplit(self.url)
        port = to.port or (443 if self.tls else 80)
        host = to.hostname or ""
        name = self.server_hostname or host
        async with asyncio.timeout(self.connect_timeout_s):
            if self.unix_path is not None:
                connection = Connection(*await asyncio.open_unix_connection(self.unix_path, limit=READ_BYTES))
            elif self.proxy_url is None:
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
        tls = client_context() if proxy.scheme == "https" else None
        port = proxy.port or (443 if tls else 80)
        return Connection(*await asyncio.open_connection(proxy.hostname, port, limit=READ_BYTES, ssl=tls))

    async def _tunnel(self, connection: Connection, to: str) -> None:
        """Have a proxy connect to a host and port. Raises OSError if it refuses."""
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
            connection.heard_s = time.monotonic()
            self._idle.append(connection)
        else:
            self._drop(connection)

    def _drop(self, connection: Connection) -> None:
        self._open.discard(connection)
        connection.abort()

    async def close(self) -> None:
        """Close every connection; answers that are under way break off."""
        self.closed = True
        self._idle.clear()
        for connection in list(self._open):
            self._drop(connection)
        # Transports say goodbye in the loop's next turn.
        await asyncio.sleep(0)


def authorization(proxy_url: str | None) -> list[tuple[str, str]]:
    """The headers by which a proxy knows its user, from the user and password in its URL."""
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
