"""gRPC on connections of HTTP/2: calls that are damaged in each of their layers, and replies to its client."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from typing import Any

import hpack

from fastdns.plugins.grpc import packets
from fastdns.plugins.grpc.client import Connection, GrpcError
from fastdns.transports import _nghttp2
from fastdns.transports._http2 import PREFACE
from fastdns.transports._slow import PARKED
from fastdns.transports.grpc import GrpcConnection
from fastdns.transports.places import Places
from tests.fuzz.findings import Finding
from tests.fuzz.requests import damaged, frame, receive
from tests.transports.support import FakeTransport, World

PATH = "/coredns.dns.DnsService/Query"
MESSAGE = b"\x12\x34\1\0\0\1\0\0\0\0\0\0\1a\0\0\1\0\1"
MAX_STREAMS = 20
FIELD_KINDS = (0, 1, 2, 2, 3, 4, 5, 6, 7)


def varint(rng: random.Random, number: int) -> bytes:
    """A number, now and then in more bytes than it needs."""
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    if rng.random() < 0.05:
        return bytes([*found, number | 128]) + b"\x80" * rng.randrange(10) + b"\0"
    return bytes([*found, number])


def field(rng: random.Random, kind: int) -> bytes:
    """One that is not the message: of any kind and number."""
    size = rng.choice((0, 3, 200))
    content = {0: varint(rng, rng.getrandbits(rng.choice((3, 30, 64)))), 1: bytes(8), 5: bytes(4)}.get(kind)
    if content is None:
        lie = size if rng.random() < 0.9 else rng.getrandbits(rng.choice((8, 32, 64)))
        content = varint(rng, lie) + rng.randbytes(size)
    return varint(rng, rng.choice((1, 2, 15, 16, 1 << 28, 0)) << 3 | kind) + content


def packet(rng: random.Random, message: bytes) -> bytes:
    """A DnsPacket behind its prefix; most often one that is right."""
    body = b"\x0a" + varint(rng, len(message)) + message
    wrong = rng.random()
    if wrong < 0.15:
        extra = b"".join(field(rng, rng.choice(FIELD_KINDS)) for _ in range(rng.choice((1, 1, 50))))
        body = extra + body if rng.random() < 0.5 else body + extra
    elif wrong < 0.2:
        body *= rng.randrange(20)
    elif wrong < 0.25:
        body = bytes(damaged(rng, bytearray(body)))
    whole = bytes([rng.random() < 0.03]) + len(body).to_bytes(4) + body
    if wrong > 0.95:
        # Several messages, or a length that lies.
        return rng.choice((whole * 2, whole[:1] + rng.randbytes(4) + whole[5:], whole[: rng.randrange(len(whole))]))
    return whole


def calls(rng: random.Random) -> Iterator[bytes]:
    """What a client of gRPC says."""
    encoder = hpack.Encoder()
    yield PREFACE + frame(rng, 4, 0, b"", 0)
    for number in range(rng.choice((1, 10, 60))):
        stream = 2 * number + 1
        fields = [
            (":method", "POST"), (":scheme", "https"), (":path", PATH), (":authority", "a"),
            ("content-type", "application/grpc"), ("te", "trailers"),
        ]  # fmt: skip
        if rng.random() < 0.1:
            at = rng.randrange(len(fields))
            fields[at] = (fields[at][0], rng.choice(("", "GET", "/x", "application/grpc+proto", "text/html")))
        if rng.random() < 0.1:
            fields.append(rng.choice((("grpc-encoding", "gzip"), ("grpc-timeout", "1n"), ("x", "y" * 9000))))
        yield frame(rng, 1, stream, encoder.encode(fields, huffman=False), 4)
        body = packet(rng, MESSAGE + rng.randbytes(rng.choice((0, 0, 300, 3000))))
        at = rng.randrange(len(body) + 1)
        for part, last in ((body[:at], False), (body[at:], True)):
            yield frame(rng, 0, stream, part, int(last and rng.random() < 0.9))
        if rng.random() < 0.1:
            # Trailers, which a client has none of.
            yield frame(rng, 1, stream, encoder.encode([("grpc-status", "0")]), 5)
        if rng.random() < 0.1:
            yield frame(rng, 3, stream, bytes(4), 0)


def fuzz_grpc(count: int, seed: int) -> int:
    """Serve count connections, and be count servers of our client; returns how many calls were answered with a
    message. Raises Finding."""
    _nghttp2.load()
    rng = random.Random(seed)
    world = World(max_connections=10)
    answered = 0
    loop = asyncio.new_event_loop()
    try:
        for number in range(count):
            try:
                answered += serve(rng, world) + ask(rng, loop)
            except Finding as finding:
                raise Finding(f"{finding}; connection {number} of seed {seed}") from None
            except Exception as error:
                raise Finding(f"{error!r}; connection {number} of seed {seed}") from error
    finally:
        loop.close()
    return answered


def serve(rng: random.Random, world: World) -> int:
    """One connection to a server."""
    waiting: list[Any] = []

    def reply(message: bytes, address: bytes, port: int, deliver: object) -> object:
        if len(message) > 1000 and len(waiting) < 20:
            waiting.append(deliver)
            return PARKED
        return message if rng.random() < 0.9 else None

    seen: list[int] = []
    connection = GrpcConnection(
        reply, world.limits, world.clients, count=seen.append, places=Places(5), max_streams=MAX_STREAMS
    )
    transport: FakeTransport = world.joined(connection, room=rng.choice((float("inf"), 3000)))
    data = damaged(rng, bytearray(b"".join(calls(rng))))
    receive(rng, world, connection, transport, data, waiting)
    if not transport.ended:
        connection.end("peer")
    if not transport.ended or transport.waiting:
        transport.abort()
    for deliver in waiting:
        deliver(b"nobody is there")
    if world.clients.held.total or world.clients.busy:
        raise Finding(f"{world.clients.held.total} bytes of nobody are held")
    return seen.count(200)


class Upstream:
    """A server that hears nothing, and says what it should not; as the transport of a client's connection."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.encoder = hpack.Encoder()
        self.ended = False

    def write(self, data: bytes) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0

    def abort(self) -> None:
        self.ended = True

    def reply(self, stream: int) -> Iterator[bytes]:
        """Frames of a response."""
        rng = self.rng
        kind = rng.choice(("application/grpc", "application/grpc", "application/grpc", "text/html", ""))
        fields = [(":status", rng.choice(("200", "200", "200", "500", "abc"))), ("content-type", kind)]
        yield frame(rng, 1, stream, self.encoder.encode(fields, huffman=False), 4 | (rng.random() < 0.05))
        body = packet(rng, MESSAGE + rng.randbytes(rng.choice((0, 0, 3000, 70_000))))
        for at in range(0, len(body), 16_000):
            yield frame(rng, 0, stream, body[at : at + 16_000], int(rng.random() < 0.02))
        status = rng.choice(("0", "0", "0", "13", "", "x", "99999999", "-1"))
        trailers = [("grpc-status", status), ("grpc-message", rng.choice(("", "%zz", "%41", "é", "y" * 9000)))]
        yield frame(rng, 1, stream, self.encoder.encode(trailers, huffman=False), 5)
        if rng.random() < 0.2:
            other = rng.choice((0, 1, 3, 4, 5, 6, 7, 8, 9))
            size = {3: 4, 4: 6, 6: 8, 8: 4}.get(other, 9)
            yield frame(rng, other, rng.choice((0, stream, stream + 2)), rng.randbytes(size), rng.randrange(64))


def ask(rng: random.Random, loop: asyncio.AbstractEventLoop) -> int:
    """One connection of our client. Each of its queries gets a reply, or an error."""
    upstream = Upstream(rng)
    connection = Connection(loop, "a", "https", lambda: None)
    connection.connection_made(upstream)  # type: ignore[arg-type]
    replies: list[asyncio.Future[bytes]] = []
    said = frame(rng, 4, 0, b"", 0)
    for _ in range(rng.choice((1, 5, 20))):
        for _ in range(rng.choice((1, 1, 8))):
            if connection.has_room:
                replies.append(connection.ask(MESSAGE))
        connection.flush()
        streams = [2 * number + 1 for number in range(len(replies))]
        for stream in rng.sample(streams, min(len(streams), 4)):
            said += b"".join(upstream.reply(stream))
        data = damaged(rng, bytearray(said)) if rng.random() < 0.2 else said
        for at in range(0, len(data), 20_000):
            if not upstream.ended:
                connection.data_received(bytes(data[at : at + 20_000]))
        said = b""
        if rng.random() < 0.1 and replies:
            # The number of its stream stays.
            connection.abandon(given_up := rng.choice(replies))
            if not given_up.done():
                given_up.cancel()
    connection.connection_lost(None)
    return sum(settled(reply) for reply in replies)


def settled(reply: asyncio.Future[bytes]) -> bool:
    """Whether a query has its reply. Raises Finding, and what is no GrpcError."""
    if reply.cancelled():
        return False
    if not reply.done():
        raise Finding("a query has neither a reply nor an error")
    error = reply.exception()
    if error is not None and not isinstance(error, GrpcError):
        raise error
    if error is None and len(reply.result()) > packets.MAX_BYTES:
        raise Finding(f"a reply of {len(reply.result())} bytes")
    return error is None
