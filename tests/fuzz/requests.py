"""Connections of HTTP/2 and HTTP/1.1 whose frames and lines are whole, out of order or damaged."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import hpack

from fastdns.transports import _nghttp2
from fastdns.transports._http2 import PREFACE
from fastdns.transports._slow import PARKED
from fastdns.transports.https import HttpsConnection
from fastdns.transports.kinds import KINDS
from fastdns.transports.places import Places
from tests.fuzz.findings import Finding
from tests.transports.http_clients import get_fields, http1_post, http1_request, post_fields
from tests.transports.support import FakeTransport, World

FRAMES = (0, 0, 1, 1, 1, 3, 4, 6, 8, 9)
# What one connection may hold: fields, messages, and replies of 2 KB.
MOST_HELD_BYTES = 1 << 20
LINES = (
    b"transfer-encoding: chunked\r\n", b"content-length: 5\r\n", b"expect: 100-continue\r\n",
    b"connection: close\r\n", b"host: again\r\n", b"x: " + b"y" * 9000 + b"\r\n", b" folded\r\n", b":\r\n", b"\r\n",
)  # fmt: skip


def message_of(rng: random.Random) -> bytes:
    return rng.randbytes(2) + bytes(10) + rng.randbytes(rng.choice((0, 5, 17, 300)))


def frame(rng: random.Random, kind: int, stream: int, payload: bytes, flags: int) -> bytes:
    """One, most often with the length that it has."""
    length = len(payload) if rng.random() < 0.98 else rng.randrange(1 << 24)
    return length.to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def frames(rng: random.Random) -> Iterator[bytes]:
    """A conversation of a client of HTTP/2."""
    encoder = hpack.Encoder()
    yield PREFACE + frame(rng, 4, 0, b"\0\4" + rng.randrange(1 << 17).to_bytes(4, "big"), 0)
    stream = 1
    for _ in range(rng.randrange(1, 40)):
        message = message_of(rng)
        choice = rng.random()
        if choice < 0.4:
            yield frame(rng, 1, stream, encoder.encode(get_fields(message, rng.choice(("GET", "HEAD", "PUT")))), 5)
            stream += 2
        elif choice < 0.85:
            fields = post_fields(message)
            if rng.random() < 0.3:
                fields.append(rng.choice((("te", "gzip"), ("X-Big", "a"), ("x", "y" * 9000), (":path", "/"))))
            yield frame(rng, 1, stream, encoder.encode(fields), rng.choice((4, 4, 4, 5, 0)))
            yield frame(rng, 0, stream, message, rng.choice((1, 1, 1, 0)))
            stream += 2
        elif choice < 0.92:
            yield frame(rng, 3, max(1, stream - 2), bytes(4), 0)
        else:
            kind = rng.choice(FRAMES)
            size = {3: 4, 4: 6, 6: 8, 8: 4}.get(kind, rng.choice((0, 1, 5, 40)))
            yield frame(rng, kind, rng.choice((0, 1, stream, stream + 1)), rng.randbytes(size), rng.randrange(64))


def lines(rng: random.Random) -> Iterator[bytes]:
    """A conversation of a client of HTTP/1.1."""
    for _ in range(rng.randrange(1, 8)):
        message = message_of(rng)
        request = http1_post(message) if rng.random() < 0.6 else http1_request("GET", f"/dns-query?dns={'A' * 16}")
        if rng.random() < 0.4:
            head, _, rest = request.partition(b"\r\n")
            request = head + b"\r\n" + rng.choice(LINES) + rest
        yield request


def damaged(rng: random.Random, data: bytearray) -> bytearray:
    for _ in range(rng.choice((0, 0, 0, 1, 3))):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return data


def receive(
    rng: random.Random, world: World, connection: HttpsConnection, transport: FakeTransport, data: bytearray,
    waiting: list[Any],
) -> None:  # fmt: skip
    """A connection gets its data in pieces; now and then who waits gets a reply. Raises Finding."""
    at = 0
    while at < len(data) and not transport.ended:
        size = rng.choice((1, 9, 100, 3000, 60000))
        connection.data_received(bytes(data[at : at + size]))
        at += size
        if connection.held_bytes() > MOST_HELD_BYTES:
            raise Finding(f"{connection.held_bytes()} bytes are held")
        while connection.deferred and not transport.ended:
            world.loop.turn()
        if rng.random() < 0.3 and waiting:
            waiting.pop(rng.randrange(len(waiting)))(rng.choice((None, b"late" * 500)))
        if rng.random() < 0.1 and transport.waiting and not transport.ended:
            transport.drained()


def fuzz_requests(count: int, seed: int) -> int:
    """Serve count connections; returns how many requests were answered with a message. Raises Finding."""
    _nghttp2.load()
    rng = random.Random(seed)
    world = World(max_connections=10)
    statuses = {int(status) for status in KINDS["https"].statuses}
    answered = 0
    for number in range(count):
        waiting = []

        def serve(message: bytes, address: bytes, port: int, deliver: object, waiting: list = waiting) -> object:
            if len(message) > 100 and len(waiting) < 20:
                waiting.append(deliver)
                return PARKED
            return message * (1 + len(message) % 40) if message[0] & 7 else None

        seen: list[int] = []
        connection = HttpsConnection(serve, world.limits, world.clients, count=seen.append, places=Places(5))
        transport: FakeTransport = world.joined(connection, room=rng.choice((float("inf"), 3000)))
        data = damaged(rng, bytearray(b"".join((frames if rng.random() < 0.8 else lines)(rng))))
        try:
            receive(rng, world, connection, transport, data, waiting)
        except Finding as finding:
            raise Finding(f"{finding}; connection {number} of seed {seed}") from None
        except Exception as error:
            raise Finding(f"{error!r}; connection {number} of seed {seed}") from error
        if not transport.ended:
            connection.end("peer")
        if not transport.ended or transport.waiting:
            transport.abort()
        for deliver in waiting:
            deliver(b"nobody is there")
        if world.clients.held.total or world.clients.busy:
            raise Finding(f"{world.clients.held.total} bytes of nobody are held; connection {number} of {seed}")
        if not set(seen) <= statuses:
            raise Finding(f"statuses {set(seen)}; connection {number} of seed {seed}")
        answered += seen.count(200)
    return answered
