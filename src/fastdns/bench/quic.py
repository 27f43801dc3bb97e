"""The load generator over QUIC: DNS over QUIC (RFC 9250) and over HTTP/3 (RFC 8484 on RFC 9114).

QUIC is qh3's, which is written in Rust and does no input and output of its own; the loop around it is Python. So a
query costs the generator more than over the other transports: docs/reference/bench.md has figures.
"""

from __future__ import annotations

import base64
import errno
import os
import select
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import suppress
from mmap import mmap
from typing import Any

from fastdns.bench._book import Book
from fastdns.bench._load import packed_address
from fastdns.bench._questions import Questions
from fastdns.bench.errors import BenchError
from fastdns.bench.result import Result
from fastdns.bench.transport import ALPN, PLAIN_HTTP, PLAIN_TLS, HttpOptions, TlsOptions
from fastdns.bench.tsig import TsigKey

try:
    from qh3.h3 import events as h3_events
    from qh3.h3.connection import H3Connection
    from qh3.quic import events
    from qh3.quic.configuration import QuicConfiguration
    from qh3.quic.connection import QuicConnection, QuicConnectionError
except ImportError:
    raise BenchError("QUIC needs the package qh3: pip install 'fastdns[quic]'") from None

RETRY_S = 0.1
DATAGRAMS = 64
DATAGRAM_BYTES = 65536
BUFFER_BYTES = 1 << 20
NO_ERRORS = {"doq": 0x0, "doh3": 0x100}  # RFC 9250 section 4.3, RFC 9114 section 8.1
MAX_CONTENT_BYTES = 65537


class Asker:
    """Asks on streams of one connection: DNS over QUIC, where messages have their lengths before them."""

    def __init__(self, quic: Any) -> None:
        self._quic = quic
        self._received: dict[int, bytearray] = {}

    def ask(self, message: bytes) -> int:
        """Send a query; returns its stream."""
        stream: int = self._quic.get_next_available_stream_id()
        self._quic.send_stream_data(stream, len(message).to_bytes(2, "big") + message, True)
        return stream

    def take(self, event: Any) -> Iterator[tuple[int, bytes | None]]:
        """(stream, answer) of each stream that an event ends; None for one without an answer."""
        if isinstance(event, events.StreamDataReceived):
            received = self._received.setdefault(event.stream_id, bytearray())
            received += event.data
            if event.end_stream or len(received) > MAX_CONTENT_BYTES:
                del self._received[event.stream_id]
                size = int.from_bytes(received[:2], "big")
                whole = len(received) == 2 + size
                yield event.stream_id, bytes(received[2:]) if whole else None
        elif isinstance(event, events.StreamReset):
            self._received.pop(event.stream_id, None)
            yield event.stream_id, None


class HttpAsker:
    """The same on HTTP/3: a request for each query."""

    def __init__(self, quic: Any, http: HttpOptions) -> None:
        self._quic = quic
        self._http = H3Connection(quic)
        self._posts = http.posts
        self._path = http.path if http.posts else http.path + ("&dns=" if "?" in http.path else "?dns=")
        self._head = [
            (b":method", http.method.encode()),
            (b":scheme", b"https"),
            (b":authority", http.authority.encode()),
        ]
        self._accept = (b"accept", b"application/dns-message")
        self._received: dict[int, bytearray] = {}
        self._statuses: dict[int, bytes] = {}

    def ask(self, message: bytes) -> int:
        """Send a query; returns its stream."""
        stream: int = self._quic.get_next_available_stream_id()
        if self._posts:
            size = str(len(message)).encode()
            more = [(b"content-type", b"application/dns-message"), (b"content-length", size)]
            path = (b":path", self._path.encode())
            self._http.send_headers(stream, [*self._head, path, self._accept, *more])
            self._http.send_data(stream, message, True)
        else:
            text = base64.urlsafe_b64encode(message).rstrip(b"=")
            self._http.send_headers(
                stream, [*self._head, (b":path", self._path.encode() + text), self._accept], True
            )
        return stream

    def take(self, event: Any) -> Iterator[tuple[int, bytes | None]]:
        """(stream, answer) of each stream that an event ends; None for one without an answer."""
        for one in self._http.handle_event(event):
            if isinstance(one, h3_events.HeadersReceived):
                self._statuses.setdefault(one.stream_id, dict(one.headers).get(b":status", b""))
            elif isinstance(one, h3_events.DataReceived):
                self._received.setdefault(one.stream_id, bytearray()).extend(one.data)
            elif isinstance(one, h3_events.StreamReset):
                self._statuses[one.stream_id] = b""
                yield from self._end(one.stream_id)
                continue
            else:
                continue
            if one.stream_ended:
                yield from self._end(one.stream_id)

    def _end(self, stream: int) -> Iterator[tuple[int, bytes | None]]:
        content = bytes(self._received.pop(stream, b""))
        yield stream, content if self._statuses.pop(stream, b"") == b"200" else None


class Connection:
    """One client: its connection, which is made anew when it has ended."""

    def __init__(self, load: QuicLoad, number: int) -> None:
        self._load = load
        self.number = number
        self._book = load.book
        self._ticket: Any = None
        self._quic: Any = None
        self._asker: Any = None
        self._made = 0
        self._heard = 0
        self.asked = 0
        self.socket: socket.socket | None = None
        self.ready = False
        self.retry_s = 0.0
        self.why = ""
        # Places by streams, and the other way round: a place may have another query by now.
        self._places: dict[int, int] = {}
        self._streams: dict[int, int] = {}

    def open(self, now: float) -> None:
        """Begin a handshake. Raises OSError."""
        self.socket = self._load.make_socket(self.number)
        self._quic = QuicConnection(
            configuration=self._load.configuration(self._ticket),
            session_ticket_handler=self._keep if self._load.tls.resumes else None,
        )
        self._opened_ns = time.monotonic_ns()
        self.asked = self._heard = 0
        self.why = ""
        self._quic.connect(self._load.peer, now=now)
        self.send(now)

    def _keep(self, ticket: Any) -> None:
        self._ticket = ticket

    @property
    def room(self) -> bool:
        """Whether a query can be sent: the server allows so many streams, and the command line so many queries."""
        limit = self._load.queries_per_connection
        return (
            self.ready
            and (not limit or self.asked < limit)
            and self._quic.open_outbound_streams < self._quic.max_concurrent_bidi_streams
        )

    @property
    def is_used_up(self) -> bool:
        """Whether this connection has had its number of queries, and their answers."""
        limit = self._load.queries_per_connection
        return bool(limit and self.ready and self.asked >= limit and not self._book.waits(self.number))

    def ask(self, place: int, message: bytes) -> bool:
        """Put a query on a stream. False if the connection has ended meanwhile; the query is lost then."""
        try:
            stream = self._asker.ask(message)
        except QuicConnectionError as error:
            self.why = str(error)
            self.close(failed=True)
            return False
        self._places[stream] = place
        self._streams[place] = stream
        self.asked += 1
        return True

    def read(self, now: float) -> None:
        """Take what has come."""
        assert self.socket is not None
        datagrams: list[bytes] = []
        try:
            while len(datagrams) < DATAGRAMS:
                datagrams.append(self.socket.recv(DATAGRAM_BYTES))
        except BlockingIOError:
            pass
        except OSError as error:
            # Of an earlier datagram: nobody listens.
            self.why = error.strerror or str(error)
        if datagrams:
            self._quic.receive_many_datagrams(datagrams, self._load.peer, now)
            self._follow(now)

    def on_time(self, now: float) -> None:
        """Let time pass."""
        if self.why and not self.ready:
            self.close(failed=True)
            return
        at = self._quic.get_timer()
        if at is not None and at <= now:
            self._quic.handle_timer(now)
            self._follow(now)

    def _follow(self, now: float) -> None:
        """Act on what QUIC tells."""
        while (event := self._quic.next_event()) is not None:
            if isinstance(event, events.HandshakeCompleted):
                self.ready = True
                self._made += 1
                self._asker = self._load.asker(self._quic)
                took_ns = time.monotonic_ns() - self._opened_ns
                self._book.is_ready(took_ns, event.session_resumed, self._made > 1)
            elif isinstance(event, events.ConnectionTerminated):
                self.why = event.reason_phrase or f"the server has closed the connection: {event.error_code:#x}"
                self.close(failed=event.error_code not in (0, self._load.no_error))
                return
            elif self._asker is not None:
                for stream, answer in self._asker.take(event):
                    self._ended(stream, answer)
        self.send(now)

    def _ended(self, stream: int, answer: bytes | None) -> None:
        """A stream has ended."""
        place = self._places.pop(stream, None)
        if place is None:
            return
        self._heard += 1
        if self._streams.get(place) != stream:
            self._book.is_late()
        elif answer is None:
            self._book.is_refused(self.number, place)
        else:
            self._book.has_answer(self.number, place, answer)

    def send(self, now: float) -> None:
        """Send what there is. A datagram that the kernel does not take is lost, as on a network."""
        if self.socket is None:
            return
        for data, _ in self._quic.datagrams_to_send(now):
            try:
                self.socket.send(data)
            except BlockingIOError:
                pass
            except OSError as error:
                self.why = error.strerror or str(error)

    def close(self, *, failed: bool = False) -> None:
        """End the connection; its queries are lost."""
        if self.socket is None:
            return
        if not failed:
            with suppress(Exception):
                self._quic.close(error_code=self._load.no_error)
                self.send(time.monotonic())
        self._load.forget(self.socket)
        self.socket.close()
        self.socket = None
        self.ready = False
        self._asker = None
        self._places.clear()
        self._streams.clear()
        # A server that closes each connection before an answer is not asked as fast as connections can be made.
        self.retry_s = 0.0 if self._heard else time.monotonic() + RETRY_S
        self._book.is_closed(self.number, failed)

    @property
    def timer(self) -> float | None:
        """When time has to pass for it."""
        at: float | None = self._quic.get_timer()
        return at


class QuicLoad:
    """As ``Load``, with the same arguments: transport is ``doq`` or ``doh3``. Raises BenchError and OSError."""

    def __init__(
        self,
        host: str,
        port: int,
        queries: Questions,
        *,
        transport: str,
        outstanding: int = 256,
        sockets: int = 16,
        timeout_s: float = 1.0,
        rate: float = 0.0,
        first: int = 0,
        step: int = 1,
        family: int = 0,
        local_address: str | None = None,
        first_port: int = 0,
        buffer_bytes: int = 0,
        queries_per_connection: int = 0,
        tls: TlsOptions = PLAIN_TLS,
        http: HttpOptions = PLAIN_HTTP,
        tsig: TsigKey | None = None,
        verbose: bool = False,
        counters: mmap | bytearray | None = None,
    ) -> None:
        self.book = Book(
            queries, lanes=sockets, outstanding=outstanding, timeout_s=timeout_s, rate=rate, first=first, step=step,
            tsig=tsig, verbose=verbose, counters=counters,
        )  # fmt: skip
        self.tls = tls
        self.queries_per_connection = queries_per_connection
        self.no_error = NO_ERRORS[transport]
        self._transport = transport
        self._http = http
        self._timeout_s = timeout_s
        self._family, _, address = packed_address(host, port, family)
        self.peer = (address, port)
        self._local_address = local_address or ("::" if self._family == socket.AF_INET6 else "0.0.0.0")
        self._first_port = first_port
        self._bound = local_address is not None or first_port > 0
        self._buffer_bytes = buffer_bytes or BUFFER_BYTES
        for path in (tls.authorities, tls.certificate, tls.key):
            if path is not None and not os.access(path, os.R_OK):
                raise BenchError(f"{path}: no file that can be read")
        self.configuration(None)
        self._poll = select.epoll()
        self._by_fd: dict[int, Connection] = {}
        self._connections = [Connection(self, number) for number in range(sockets)]
        self._turn = 0
        self._connect_all()

    def configuration(self, ticket: Any) -> Any:
        """What a connection is made with; of its own, as qh3 writes into it. Raises BenchError."""
        made = QuicConfiguration(
            is_client=True,
            alpn_protocols=[ALPN[self._transport]],
            server_name=self.tls.name or None,
            session_ticket=ticket,
            idle_timeout=max(30.0, 2 * self._timeout_s),
            # qh3 says over HTTP/3 that it takes datagrams: a server may insist that QUIC says it too (RFC 9297).
            max_datagram_frame_size=DATAGRAM_BYTES if self._transport == "doh3" else None,
        )
        made.verify_mode = ssl.CERT_NONE
        try:
            if self.tls.authorities is not None:
                made.verify_mode = ssl.CERT_REQUIRED
                made.load_verify_locations(cafile=str(self.tls.authorities))
            if self.tls.certificate is not None:
                made.load_cert_chain(str(self.tls.certificate), str(self.tls.key))
        except Exception as error:
            raise BenchError(f"TLS: {error}") from None
        return made

    def asker(self, quic: Any) -> Any:
        """What asks on a connection that is ready."""
        return HttpAsker(quic, self._http) if self._transport == "doh3" else Asker(quic)

    def make_socket(self, number: int) -> socket.socket:
        """A connected socket of a client. Raises OSError."""
        made = socket.socket(self._family, socket.SOCK_DGRAM)
        made.setblocking(False)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._buffer_bytes)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._buffer_bytes)
        if self._bound:
            made.bind((self._local_address, self._first_port + number if self._first_port else 0))
        made.connect(self.peer)
        self._by_fd[made.fileno()] = self._connections[number]
        self._poll.register(made, select.EPOLLIN)
        return made

    def forget(self, one: socket.socket) -> None:
        """A socket is about to be closed."""
        self._poll.unregister(one)
        del self._by_fd[one.fileno()]

    def _connect_all(self) -> None:
        """Wait until each connection is ready or has failed, a timeout at most. Raises OSError if none is ready."""
        begun_s = now = time.monotonic()
        for one in self._connections:
            one.open(now)
        while any(one.socket is not None and not one.ready for one in self._connections):
            if now > begun_s + self._timeout_s:
                break
            self._step(0.01)
            now = time.monotonic()
        if not any(one.ready for one in self._connections):
            why = next((one.why for one in self._connections if one.why), os.strerror(errno.ETIMEDOUT))
            raise OSError(errno.ECONNABORTED, why)

    def _step(self, wait_s: float) -> bool:
        """Wait, and take what has come. Returns whether anything has."""
        timers = [at for one in self._by_fd.values() if (at := one.timer) is not None]
        before_ns = time.monotonic_ns()
        if timers:
            wait_s = min(wait_s, max(0.0, min(timers) - before_ns / 1e9))
        ready = self._poll.poll(wait_s)
        after_ns = time.monotonic_ns()
        self.book.waited(after_ns - before_ns)
        now = after_ns / 1e9
        for fd, _ in ready:
            if (one := self._by_fd.get(fd)) is not None:
                one.read(now)
        for one in list(self._by_fd.values()):
            one.on_time(now)
        return bool(ready)

    def _ask(self) -> None:
        """Send what is due, on each connection in turn."""
        now = time.monotonic()
        count = len(self._connections)
        for i in range(count):
            one = self._connections[(self._turn + i) % count]
            if one.is_used_up:
                one.close()
            if one.socket is None and now >= one.retry_s:
                with suppress(OSError):
                    one.open(now)
            asked = False
            while one.room and (query := self.book.take(one.number)) is not None:
                if not one.ask(*query):
                    break
                asked = True
            if asked:
                one.send(now)
        self._turn = (self._turn + 1) % count

    def run(self, *, seconds: float = 0.0, count: int = 0, start_ns: int = 0) -> Result:
        """As Load.run."""
        begin_ns = max(start_ns, time.monotonic_ns())
        while (now_ns := time.monotonic_ns()) < begin_ns:
            time.sleep((begin_ns - now_ns) / 1e9)
        self.book.begin(seconds, count, begin_ns)
        accepted_s = time.monotonic()
        while not self.book.stopped:
            if self.book.asks:
                self._ask()
            self.book.look()
            if not self.book.asks and not self.book.under_way:
                break
            wait_s = self.book.wait_ns() / 1e9
            # epoll waits for whole milliseconds.
            self._step(wait_s if wait_s >= 0.001 else 0.0)
            now = time.monotonic()
            if any(one.ready for one in self._connections):
                accepted_s = now
            elif not seconds and now > accepted_s + self._timeout_s:
                return self.book.end(gone=True)
        return self.book.end()

    def close(self) -> None:
        """Close the connections; the object cannot run any more."""
        for one in self._connections:
            one.close()
        self._poll.close()
