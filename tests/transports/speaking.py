"""How each transport is spoken by a client, as bytes: what a test of all transports needs of one.

``CONNECT`` has a function for each transport that is served, by the name of its row in transports/table.py. It
opens a Connection; tests that are about the bytes of a socket want a StreamConnection. A transport over TCP needs a
Session only: what is said before TLS encrypts it. Whoever serves a new transport adds a line.
"""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from tests.transports.support import frame

HOST = "127.0.0.1"
READ_BYTES = 65536
LIMIT_S = 10.0


class Ended(Exception):
    """The server has closed the connection, or a part of it."""


class Connection(Protocol):
    """``with CONNECT[name](port, context, name=...) as connection``: one connection.

    context: of a client, with its trust. name: of the server. Raises ssl.SSLCertVerificationError where the client
    refuses the server.
    """

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def ask(self, messages: Sequence[bytes]) -> None:
        """Send queries, all at once where the transport can."""

    def replies(self, count: int, limit_s: float = LIMIT_S) -> list[bytes]:
        """Whole replies, as they come. Raises Ended where fewer come before the end, and TimeoutError."""


class Session(Protocol):
    """What is said on a stream, without the stream."""

    def ask(self, message: bytes) -> None:
        """Raises Ended where the server takes no more."""

    def outgoing(self) -> bytes:
        """What is to be sent now."""

    def take(self, data: bytes) -> list[bytes]:
        """The replies that are whole with what has come. Raises Ended where the server ends the session."""


class Framed:
    """RFC 1035 section 4.2.2."""

    def __init__(self) -> None:
        self.sent, self.come = bytearray(), bytearray()

    def ask(self, message: bytes) -> None:
        self.sent += len(message).to_bytes(2, "big") + message

    def outgoing(self) -> bytes:
        data, self.sent = bytes(self.sent), bytearray()
        return data

    def take(self, data: bytes) -> list[bytes]:
        self.come += data
        found = []
        while len(self.come) >= 2 and len(self.come) >= (size := 2 + int.from_bytes(self.come[:2], "big")):
            found.append(bytes(self.come[2:size]))
            del self.come[:size]
        return found


class Http2:
    """RFC 8484 over HTTP/2: a POST for each query."""

    path = "/dns-query"
    kind = "application/dns-message"

    def __init__(self) -> None:
        import h2.config
        import h2.connection

        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.bodies: dict[int, bytearray] = {}
        self.closing = ""

    def body_of(self, message: bytes) -> bytes:
        return message

    def message_of(self, body: bytes) -> bytes:
        return body

    def ask(self, message: bytes) -> None:
        import h2.exceptions

        if self.closing:
            raise Ended(self.closing)
        body = self.body_of(message)
        stream = self.h2.get_next_available_stream_id()
        headers = [
            (":method", "POST"), (":scheme", "https"), (":authority", "dns.example"), (":path", self.path),
            ("content-type", self.kind), ("accept", self.kind), ("te", "trailers"),
        ]  # fmt: skip
        try:
            self.h2.send_headers(stream, headers)
        except h2.exceptions.ProtocolError as error:
            raise Ended(str(error)) from None
        self.h2.send_data(stream, body, end_stream=True)
        self.bodies[stream] = bytearray()

    def outgoing(self) -> bytes:
        return self.h2.data_to_send()

    def take(self, data: bytes) -> list[bytes]:
        import h2.events

        found = []
        for event in self.h2.receive_data(data):
            if isinstance(event, h2.events.DataReceived):
                self.bodies[event.stream_id] += event.data
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                found.append(self.message_of(bytes(self.bodies.pop(event.stream_id))))
            elif isinstance(event, h2.events.StreamReset):
                raise Ended(str(event))
            elif isinstance(event, h2.events.ConnectionTerminated):
                if event.error_code:
                    raise Ended(str(event))
                # The server takes no more requests; replies to those before come yet (RFC 9113 section 6.8).
                self.closing = str(event)
        return found


class Grpc(Http2):
    """CoreDNS's pb.DnsService: a message with the query as its first field, behind a prefix of five bytes."""

    path = "/coredns.dns.DnsService/Query"
    kind = "application/grpc"

    def body_of(self, message: bytes) -> bytes:
        packet = b"\x0a" + varint(len(message)) + message
        return b"\0" + len(packet).to_bytes(4, "big") + packet

    def message_of(self, body: bytes) -> bytes:
        assert body[:1] == b"\0" and int.from_bytes(body[1:5], "big") == len(body) - 5, body
        return body[-field_size(body[5:]) :]


def varint(number: int) -> bytes:
    """Protocol Buffers' form of a number."""
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])


def field_size(packet: bytes) -> int:
    """Of the one field of a packet."""
    assert packet[:1] == b"\x0a", packet
    size = shift = 0
    for byte in packet[1:]:
        size |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return size
    raise AssertionError(f"no size in {packet!r}")


class StreamConnection:
    """A session over TCP, with TLS between both where there is a context. shaken: its handshake is made first."""

    def __init__(
        self, session: Session, port: int, context: ssl.SSLContext | None, name: str = "dns.example",
        *, shaken: bool = True, tls_session: ssl.SSLSession | None = None,
    ) -> None:  # fmt: skip
        self.session = session
        self.socket = socket.create_connection((HOST, port), LIMIT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.found: list[bytes] = []
        self.tls: ssl.SSLObject | None = None
        # Bytes that are sent at a time; 0: all.
        self.piece = 0
        if context is not None:
            self.come, self.made = ssl.MemoryBIO(), ssl.MemoryBIO()
            self.tls = context.wrap_bio(self.come, self.made, server_hostname=name, session=tls_session)
            if shaken:
                try:
                    self.shake_hands()
                except BaseException:
                    self.socket.close()
                    raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    # Of the socket

    def write(self, data: bytes) -> None:
        """Send bytes, a piece at a time. Raises Ended."""
        size = self.piece or len(data) or 1
        try:
            for at in range(0, len(data), size):
                self.socket.sendall(data[at : at + size])
        except OSError as error:
            raise Ended(str(error)) from None

    def receive(self, limit_s: float = LIMIT_S) -> bytes:
        """Bytes that have come; b"" at the end. Raises TimeoutError."""
        self.socket.settimeout(limit_s)
        try:
            return self.socket.recv(READ_BYTES)
        except ConnectionError:
            return b""

    # With TLS

    def shake_hands(self) -> None:
        """Complete the handshake. Raises what ssl does, and Ended."""
        assert self.tls is not None
        while True:
            try:
                self.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self.flush()
                data = self.receive()
                if not data:
                    raise Ended("in the handshake") from None
                self.come.write(data)
            except ssl.SSLError:
                # The alert says why.
                with contextlib.suppress(Ended):
                    self.flush()
                raise
        self.flush()

    def flush(self) -> None:
        """Send what TLS has made."""
        self.write(self.made.read())

    def encrypted(self, data: bytes) -> bytes:
        """What goes to the socket for these bytes."""
        if self.tls is None:
            return data
        if data:
            self.tls.write(data)
        return self.made.read()

    def decrypted(self, data: bytes) -> bytes:
        """What has been said, with what has come."""
        if self.tls is None:
            return data
        self.come.write(data)
        found = bytearray()
        try:
            while True:
                part = self.tls.read(READ_BYTES)
                if not part:
                    break
                found += part
        except (ssl.SSLWantReadError, ssl.SSLZeroReturnError):
            pass
        except ssl.SSLError as error:
            raise Ended(str(error)) from None
        return bytes(found)

    # Of the session

    def ask(self, messages: Sequence[bytes]) -> None:
        for message in messages:
            self.session.ask(message)
        self.write(self.encrypted(self.session.outgoing()))

    def replies(self, count: int, limit_s: float = LIMIT_S) -> list[bytes]:
        ends = time.monotonic() + limit_s
        while len(self.found) < count:
            left_s = ends - time.monotonic()
            if left_s <= 0:
                raise TimeoutError(f"{len(self.found)} of {count} replies within {limit_s} s")
            data = self.receive(left_s)
            if not data:
                raise Ended(f"after {len(self.found)} of {count} replies")
            self.found += self.session.take(self.decrypted(data))
            if out := self.session.outgoing():
                with contextlib.suppress(Ended):
                    self.write(self.encrypted(out))
        taken, self.found = self.found[:count], self.found[count:]
        return taken

    def end_sending(self) -> None:
        """Close this side: nothing follows."""
        if self.tls is not None:
            with contextlib.suppress(ssl.SSLWantReadError):
                self.tls.unwrap()
            self.flush()
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            # The server has reset the connection meanwhile.
            raise Ended(str(error)) from None

    def ended_within(self, limit_s: float) -> bool:
        """Whether the server closes. What it still says is passed over."""
        ends = time.monotonic() + limit_s
        while (left_s := ends - time.monotonic()) > 0:
            try:
                if not self.receive(left_s):
                    return True
            except TimeoutError:
                break
        return False


@dataclass(frozen=True)
class OverTcp:
    """A way to speak over TCP: what is said, and what ALPN calls it. alpn "": without TLS."""

    session: Callable[[], Session]
    alpn: str = ""

    def __call__(
        self, port: int, context: ssl.SSLContext, *, name: str = "dns.example", shaken: bool = True
    ) -> StreamConnection:
        if self.alpn:
            context.set_alpn_protocols([self.alpn])
        return StreamConnection(self.session(), port, context if self.alpn else None, name, shaken=shaken)

    def in_clear(self) -> OverTcp:
        """The same without TLS."""
        return dataclasses.replace(self, alpn="")


class OverQuic:
    """DNS over QUIC (RFC 9250): a stream for each query. It trusts every server."""

    def __init__(self, port: int, context: ssl.SSLContext, *, name: str = "dns.example") -> None:
        from tests.transports.quic_client import QuicClient

        self.client = QuicClient(port, name=name).connect()
        # By stream, the IDs that were asked with: over QUIC all are 0.
        self.out: dict[int, bytes] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.close()

    def ask(self, messages: Sequence[bytes]) -> None:
        for message in messages:
            self.out[self.client.stream(frame(b"\0\0" + message[2:]))] = message[:2]
        self.client.step()

    def replies(self, count: int, limit_s: float = LIMIT_S) -> list[bytes]:
        client = self.client
        client.run(lambda: client.over or len(client.ended & self.out.keys()) >= count, limit_s)
        done = sorted(client.ended & self.out.keys())[:count]
        if len(done) < count:
            raise Ended(f"after {len(done)} of {count} replies")
        return [self.out.pop(stream) + client.data[stream][4:] for stream in done]


class OverHttp3:
    """DNS over HTTP/3 (RFC 8484): a request for each query. It trusts every server."""

    def __init__(self, port: int, context: ssl.SSLContext, *, name: str = "dns.example") -> None:
        from tests.transports.h3_client import H3Client

        self.client = H3Client(port, name=name)
        self.client.connect()
        # By stream, the IDs that were asked with.
        self.out: dict[int, bytes] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.close()

    def ask(self, messages: Sequence[bytes]) -> None:
        for message in messages:
            stream = self.client.request(b"POST", b"/dns-query", b"\0\0" + message[2:])
            self.out[stream] = message[:2]
        self.client.step()

    def replies(self, count: int, limit_s: float = LIMIT_S) -> list[bytes]:
        client = self.client
        client.run(lambda: client.over or len(client.ended & self.out.keys()) >= count, limit_s)
        done = sorted(client.ended & self.out.keys())[:count]
        if len(done) < count:
            raise Ended(f"after {len(done)} of {count} replies")
        return [self.out.pop(stream) + client.responses[stream][2][2:] for stream in done]


CONNECT: dict[str, Callable[..., Connection]] = {
    "tcp": OverTcp(Framed),
    "tls": OverTcp(Framed, "dot"),
    "https": OverTcp(Http2, "h2"),
    "https3": OverHttp3,
    "quic": OverQuic,
    "grpc": OverTcp(Grpc, "h2"),
}
