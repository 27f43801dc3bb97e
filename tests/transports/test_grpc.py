"""gRPC on a connection without a network: calls whole and in parts, statuses, and what else may come."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastdns.transports import _nghttp2
from fastdns.transports.grpc import GrpcConnection
from fastdns.transports.places import Places
from tests.transports.http_clients import Http2Client, Response, has_nghttp2
from tests.transports.support import FakeTransport, World

pytestmark = pytest.mark.native

PATH = "/coredns.dns.DnsService/Query"


@pytest.fixture(scope="module", autouse=True)
def library() -> None:
    if not has_nghttp2():
        pytest.skip("there is no libnghttp2")
    _nghttp2.load()


def varint(number: int) -> bytes:
    found = b""
    while number > 0x7F:
        found += bytes([number & 0x7F | 0x80])
        number >>= 7
    return found + bytes([number])


def packet(message: bytes) -> bytes:
    return b"\x0a" + varint(len(message)) + message


def framed(content: bytes, compressed: int = 0) -> bytes:
    return bytes([compressed]) + len(content).to_bytes(4, "big") + content


def fields(
    path: str = PATH, method: str = "POST", content_type: str = "application/grpc"
) -> list[tuple[str, str]]:
    return [
        (":method", method), (":scheme", "http"), (":authority", "dns.example"), (":path", path),
        ("te", "trailers"), ("content-type", content_type), ("user-agent", "grpc-test"),
    ]  # fmt: skip


def reply_to(message: bytes, client: bytes = b"", port: int = 0, deliver: object = None) -> bytes | None:
    return None if b"silence" in message else message


class Client:
    """A connection of gRPC in a world of its own."""

    def __init__(self, max_streams: int = 256) -> None:
        world = World()
        self.connection = GrpcConnection(
            reply_to, world.limits, world.clients, count=lambda _: None, places=Places(0), max_streams=max_streams
        )
        self.transport: FakeTransport = world.joined(self.connection)
        self.http = Http2Client()

    def call(self, content: bytes, asked: Iterable[tuple[str, str]] | None = None, size: int = 1 << 20) -> Response:
        """The response to one call, whose bytes come in parts of this size."""
        stream = self.http.h2.get_next_available_stream_id()
        self.http.responses[stream] = Response()
        self.http.h2.send_headers(stream, list(asked or fields()))
        for at in range(0, max(1, len(content)), 16000):
            part = content[at : at + 16000]
            self.http.h2.send_data(stream, part, end_stream=at + 16000 >= len(content))
            sent = self.http.sent()
            for begin in range(0, len(sent), size):
                self.connection.data_received(sent[begin : begin + size])
                self.taken()
        return self.http.responses[stream]

    def taken(self) -> None:
        data = bytes(self.transport.written)
        self.transport.written.clear()
        self.http.receive(data)


LENGTHS = [12, 117, 127, 128, 16383, 16384, 65535]


# A byte at a time only what is short: else it takes long.
@pytest.mark.parametrize(
    ("length", "size"),
    [(length, size) for length in LENGTHS for size in (1, 7, 1 << 20) if size > 1 or length < 1000],
)
def test_calls(length: int, size: int) -> None:
    """The length of a message takes one, two or three bytes."""
    client = Client()
    message = bytes(length)
    response = client.call(framed(packet(message)), size=size)
    assert response.fields == {
        ":status": "200", "content-type": "application/grpc", "grpc-status": "0"
    }  # fmt: skip
    assert response.content == framed(packet(message)) and response.ended
    assert client.connection.pending_bytes() == 0


QUESTION = bytes(17)
REFUSED = [
    ("another method", "12", fields(PATH + "s"), framed(packet(QUESTION))),
    ("compressed", "12", fields(), framed(packet(QUESTION), 1)),
    ("GET", "13", fields(method="GET"), framed(packet(QUESTION))),
    ("another content type", "13", fields(content_type="application/json"), framed(packet(QUESTION))),
    ("no content", "13", fields(), b""),
    ("half a prefix", "13", fields(), bytes(4)),
    ("half a message", "13", fields(), framed(packet(QUESTION))[:-1]),
    ("two messages", "13", fields(), framed(packet(QUESTION)) * 2),
    ("no protobuf", "13", fields(), framed(b"\x0f")),
    ("field 0", "13", fields(), framed(b"\x02\0")),
    ("a length behind the end", "13", fields(), framed(b"\x0a\x05abcd")),
    ("a number without an end", "13", fields(), framed(b"\x08" + b"\xff" * 11)),
    ("an empty packet", "2", fields(), framed(b"")),
    ("half a header", "2", fields(), framed(packet(bytes(11)))),
    ("a reply", "2", fields(), framed(packet(b"\0\0\x80" + bytes(9)))),
    ("too long", "8", fields(), framed(packet(bytes(65540)))),
    ("fields of 17 KB", "8", [*fields(), ("x", "y" * 17000)], framed(packet(QUESTION))),
    ("no reply", "13", fields(), framed(packet(QUESTION + b"silence"))),
]


@pytest.mark.parametrize(
    ("status", "asked", "content"), [one[1:] for one in REFUSED], ids=[one[0] for one in REFUSED]
)
def test_statuses(status: str, asked: list[tuple[str, str]], content: bytes) -> None:
    client = Client()
    response = client.call(content, asked)
    assert (response.fields["grpc-status"], response.content, response.ended) == (status, b"", True)
    assert response.fields["grpc-message"]
    assert response.fields[":status"] == {"GET": "405"}.get(dict(asked)[":method"], response.fields[":status"])
    assert client.connection.pending_bytes() == 0
    assert client.call(framed(packet(QUESTION))).fields["grpc-status"] == "0"


def test_fields_that_are_not_known_are_passed_over() -> None:
    client = Client()
    before = b"\x10\x96\x01" + b"\x19" + bytes(8) + b"\x25" + bytes(4) + b"\x2a\x02ab"
    assert client.call(framed(before + packet(b"x" * 12) + packet(QUESTION) + before)).content == framed(
        packet(QUESTION)
    )


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_have_a_status(content: bytes) -> None:
    response = Client().call(framed(content))
    assert response.ended and response.fields["grpc-status"] in ("0", "2", "13")


def test_other_protocols_are_closed() -> None:
    client = Client()
    client.connection.data_received(b"GET / HTTP/1.1\r\nhost: dns.example\r\n\r\n")
    assert client.transport.ended


def test_calls_of_a_connection_at_a_time() -> None:
    client = Client(max_streams=2)
    client.connection.data_received(client.http.sent())
    client.taken()
    assert client.http.h2.remote_settings.max_concurrent_streams == 2
    unlimited = Client(max_streams=0)
    unlimited.connection.data_received(unlimited.http.sent())
    unlimited.taken()
    assert unlimited.http.h2.remote_settings.max_concurrent_streams == 2**31 - 1
