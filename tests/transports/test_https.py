"""DNS over HTTPS on a connection without a network: HTTP/2 and HTTP/1.1, statuses, bounds, and what is lost."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import hpack
import pytest

from fastdns.transports import _nghttp2, https
from fastdns.transports._slow import PARKED
from fastdns.transports.https import HttpsConnection
from fastdns.transports.limits import DEFAULTS
from fastdns.transports.places import Places
from fastdns.transports.stream import WRITE_HIGH_BYTES, WRITE_MOST_BYTES
from fastdns.transports.turns import QUERIES
from tests.transports.http_clients import (
    Http2Client,
    Response,
    get_fields,
    get_target,
    has_nghttp2,
    http1_post,
    http1_request,
    http1_responses,
    post_fields,
)
from tests.transports.support import FakeTransport, World

pytestmark = pytest.mark.native

HEADER = bytes(12)


@pytest.fixture(scope="module", autouse=True)
def library() -> None:
    if not has_nghttp2():
        pytest.skip("there is no libnghttp2")
    _nghttp2.load()


def reply_to(message: bytes, client: bytes = b"", port: int = 0, deliver: object = None) -> bytes | None:
    """Says whose message it was; silence where that asks for it."""
    return None if b"silence" in message else b"re:" + message


def query(text: bytes = b"") -> bytes:
    return HEADER + text


class Client:
    """A connection of a world, with a client of HTTP/2 or of text on it."""

    def __init__(
        self,
        world: World,
        serve: Any = reply_to,
        window: int = 1 << 30,
        places: Places | None = None,
        **options: Any,
    ) -> None:
        self.statuses: Counter[int] = Counter()
        self.connection = HttpsConnection(
            serve, world.limits, world.clients, count=self.count, places=places or Places(0)
        )
        self.transport: FakeTransport = world.joined(self.connection, **options)
        self.http = Http2Client(window)

    def count(self, status: int) -> None:
        self.statuses[status] += 1

    def exchange(self, size: int = 1 << 20) -> None:
        """What the client has to say, in parts of this size; and what comes of it."""
        data = self.http.sent()
        for at in range(0, len(data), size):
            if not self.transport.ended:
                self.connection.data_received(data[at : at + size])
            self.http.receive(self.taken())
        if more := self.http.sent():
            self.send(more)

    def taken(self) -> bytes:
        data = bytes(self.transport.written)
        self.transport.written.clear()
        return data

    def send(self, data: bytes) -> None:
        if not self.transport.ended:
            self.connection.data_received(data)

    def settled(self) -> None:
        """As exchange, until neither has anything to say."""
        while (data := self.http.sent()) or self.transport.written:
            self.send(data)
            self.http.receive(self.taken())

    def text(self, data: bytes, size: int = 1 << 20) -> list[Response]:
        """The responses to requests of HTTP/1.1."""
        for at in range(0, len(data), size):
            self.send(data[at : at + size])
        return http1_responses(self.taken())


SIZES = [1, 7, 100, 1 << 20]


@pytest.mark.parametrize("size", SIZES)
def test_requests_of_version_2_in_any_segments(size: int) -> None:
    client = Client(World())
    asked = {}
    for number in range(12):
        message = query(b"%d" % number * (1 + 40 * number))
        asked[client.http.post(message) if number % 2 else client.http.get(message)] = message
    client.exchange(size)
    client.settled()
    for stream, message in asked.items():
        response = client.http.responses[stream]
        assert (response.status, response.content, response.ended) == (200, b"re:" + message, True)
        assert response.fields["content-type"] == "application/dns-message"
        assert response.fields["content-length"] == str(len(message) + 3)
        assert response.fields["cache-control"] == "max-age=5"
        assert response.fields["date"].endswith(" GMT")
    assert client.statuses == {200: 12}
    assert client.connection.pending_bytes() == 0


@pytest.mark.parametrize("size", SIZES)
def test_requests_of_version_1_in_any_segments(size: int) -> None:
    client = Client(World())
    messages = [query(b"%d" % number * 50) for number in range(5)]
    sent = b"".join(
        http1_post(message) if number % 2 else http1_request("GET", get_target(message))
        for number, message in enumerate(messages)
    )
    found = client.text(sent, size)
    assert [response.content for response in found] == [b"re:" + message for message in messages]
    assert {response.status for response in found} == {200}
    assert found[0].fields["content-type"] == "application/dns-message"
    assert client.statuses == {200: 5}
    assert not client.transport.ended and client.connection.pending_bytes() == 0


def fields_with(**changed: str) -> list[tuple[str, str]]:
    """Of POST, with others; an empty one is left out."""
    fields = dict(post_fields(query()))
    for name, value in changed.items():
        fields[f":{name}" if name in ("method", "path") else name.replace("_", "-")] = value
    return [(name, value) for name, value in fields.items() if value]


REFUSED = [
    (404, "another path", fields_with(path="/"), query()),
    (405, "another method", fields_with(method="PUT"), query()),
    (415, "another media type", fields_with(content_type="text/plain"), query()),
    (415, "no media type", fields_with(content_type=""), query()),
    (400, "half a header", fields_with(content_length="11"), bytes(11)),
    (400, "no content", fields_with(content_length="0"), b""),
    (400, "a reply", post_fields(query()), b"\0\0\x80" + bytes(9)),
    (400, "GET without a message", fields_with(method="GET", path="/dns-query", content_length="0"), b""),
    (400, "GET with padding", fields_with(method="GET", path="/dns-query?dns=AAAA=", content_length="0"), b""),
    (413, "a content of 65,536 bytes", fields_with(content_length="65536"), bytes(65536)),
    (431, "fields of 17 KB", [*post_fields(query()), ("x-long", "x" * 17000)], query()),
    (500, "a query that gets no reply", post_fields(query(b"silence")), query(b"silence")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("status", "fields", "content"), [(one[0], *one[2:]) for one in REFUSED], ids=[one[1] for one in REFUSED]
)
def test_statuses_of_both_versions(status: int, fields: list[tuple[str, str]], content: bytes) -> None:
    world = World()
    client = Client(world)
    stream = client.http.h2.get_next_available_stream_id()
    client.http.responses[stream] = Response()
    client.http.h2.send_headers(stream, fields)
    for at in range(0, max(1, len(content)), 16000):
        client.http.h2.send_data(stream, content[at : at + 16000], end_stream=at + 16000 >= len(content))
        client.exchange(5000)
    client.settled()
    response = client.http.responses[stream]
    assert (response.status, response.ended) == (status, True)
    assert response.fields["content-type"] == "text/plain; charset=utf-8"
    assert ("allow" in response.fields) == (status == 405)
    assert client.statuses == {status: 1}
    assert client.connection.pending_bytes() == 0
    # Other requests of the connection are none the worse for it.
    other = client.http.post(query(b"after"))
    client.settled()
    assert client.http.responses[other].status == 200

    plain = Client(world)
    heads = dict(fields)
    lines = [f"{name}: {value}" for name, value in fields if not name.startswith((":", "content-length"))]
    found = plain.text(http1_request(heads[":method"], heads[":path"], content, *lines), 5000)
    assert [one.status for one in found] == [status]
    assert found[0].content == response.content
    assert plain.statuses == {status: 1}


def test_head_has_the_fields_of_get_and_no_content() -> None:
    client = Client(World())
    stream = client.http.get(query(), get_fields(query(), "HEAD"))
    client.settled()
    response = client.http.responses[stream]
    assert (response.status, response.content, response.ended) == (200, b"", True)
    assert response.fields["content-length"] == "15"
    assert client.connection.pending_bytes() == 0
    plain = Client(World())
    plain.send(http1_request("HEAD", get_target(query())))
    head, _, content = plain.taken().partition(b"\r\n\r\n")
    assert b"content-length: 15" in head and content == b""


def test_a_refusal_comes_before_the_content() -> None:
    """The client need not send the rest: RST_STREAM says so (RFC 9113 section 8.1)."""
    client = Client(World())
    stream = client.http.post(query(), fields_with(path="/nothing", content_length="60000"), end=False)
    client.settled()
    response = client.http.responses[stream]
    assert (response.status, response.ended, response.reset) == (404, True, 0)
    assert client.connection.pending_bytes() == 0


class Parking:
    """Serves when it is told to."""

    def __init__(self) -> None:
        self.waiting: list[tuple[bytes, Any]] = []

    def __call__(self, message: bytes, client: bytes, port: int, deliver: Any) -> object:
        self.waiting.append((message, deliver))
        return PARKED


def test_answers_in_the_order_in_which_they_are_found() -> None:
    parking = Parking()
    client = Client(World(), parking)
    streams = [client.http.post(query(b"%d" % number)) for number in range(5)]
    client.settled()
    for message, deliver in reversed(parking.waiting):
        assert deliver(reply_to(message))
        client.settled()
    assert client.statuses == {200: 5}
    assert [client.http.responses[stream].content for stream in streams] == [
        b"re:" + query(b"%d" % number) for number in range(5)
    ]


def test_version_1_answers_one_after_the_other() -> None:
    parking = Parking()
    world = World()
    client = Client(world, parking)
    client.send(http1_post(query(b"one")) + http1_post(query(b"two")))
    assert len(parking.waiting) == 1 and not client.transport.reading
    assert parking.waiting[0][1](b"first")
    assert len(parking.waiting) == 2
    parking.waiting[1][1](None)
    assert [(one.status, one.content) for one in http1_responses(client.taken())] == [
        (200, b"first"), (500, b"No response\n"),
    ]  # fmt: skip
    assert client.transport.reading


def test_what_the_client_gives_up_is_answered_to_nobody() -> None:
    parking = Parking()
    client = Client(World(), parking)
    stream = client.http.post(query())
    client.settled()
    client.http.h2.reset_stream(stream)
    client.settled()
    assert parking.waiting[0][1](b"too late") is False
    assert client.connection.pending_bytes() == 0 and not client.statuses
    other = client.http.post(query())
    client.settled()
    assert parking.waiting[1][1](b"in time")
    client.settled()
    assert client.http.responses[other].content == b"in time"


def test_each_client_has_its_share_of_a_turn() -> None:
    world = World()
    client = Client(world)
    for _ in range(QUERIES + 8):
        client.http.post(query())
    client.send(client.http.sent())
    assert client.statuses == {200: QUERIES} and not client.transport.reading
    world.loop.turn()
    assert client.statuses == {200: QUERIES + 8} and client.transport.reading


def test_more_streams_than_the_client_was_told_are_refused() -> None:
    """REFUSED_STREAM: the client may ask again (RFC 9113 section 8.7)."""
    parking = Parking()
    client = Client(World(), parking)
    # It has not read yet what it is told.
    streams = [client.http.post(query()) for _ in range(DEFAULTS["https"].max_streams + 3)]
    client.settled()
    while client.connection.deferred:
        client.connection.clients.loop.turn()  # type: ignore[attr-defined]
    client.settled()
    assert len(parking.waiting) == DEFAULTS["https"].max_streams
    assert [client.http.responses[stream].reset for stream in streams[-3:]] == [7, 7, 7]
    for _, deliver in parking.waiting:
        assert deliver(b"reply")
    client.settled()
    assert client.statuses == {200: DEFAULTS["https"].max_streams}


def test_a_client_whose_windows_are_small_gets_it_bit_by_bit() -> None:
    client = Client(World(), lambda *_: bytes(5000), window=100)
    stream = client.http.post(query())
    client.send(client.http.sent())
    client.http.receive(client.taken())
    assert len(client.http.responses[stream].content) == 100
    assert client.connection.held_bytes() > 4900
    while not client.http.responses[stream].ended:
        client.http.h2.increment_flow_control_window(1000, stream)
        client.settled()
    assert client.http.responses[stream].content == bytes(5000)
    assert client.connection.pending_bytes() == 0


def test_replies_that_no_window_has_room_for_are_bounded() -> None:
    world = World()
    client = Client(world, lambda *_: bytes(60000), window=0)
    for _ in range(WRITE_MOST_BYTES // 60000 + 2):
        client.http.post(query())
    client.send(client.http.sent())
    assert client.transport.ended
    assert world.clients.held.total == 0


def test_who_reads_nothing_is_not_read() -> None:
    world = World()
    client = Client(world, lambda *_: bytes(30000), room=0)
    for _ in range(20):
        client.http.post(query())
    client.send(client.http.sent())
    assert not client.transport.reading
    assert client.transport.waiting <= WRITE_HIGH_BYTES + 2 * 31000
    client.transport.drained()
    assert client.transport.reading and client.statuses == {200: 20}


def test_idle_connections_and_requests_that_never_end_are_closed() -> None:
    world = World(idle_s=10, read_s=3)
    slow, silent = Client(world), Client(world)
    slow.http.post(query(), end=False)
    slow.send(slow.http.sent())
    world.loop.go_on(2)
    slow.http.h2.send_data(1, b"more")
    slow.send(slow.http.sent())
    assert not slow.transport.ended
    world.loop.go_on(2)
    assert slow.transport.ended and silent.transport.ended
    served = Client(world)
    served.http.post(query())
    served.settled()
    world.loop.go_on(9)
    assert not served.transport.ended
    world.loop.go_on(2)
    assert served.transport.ended
    served.http.receive(served.taken())
    assert served.http.gone == 0


def test_drained_when_it_is_quiet() -> None:
    world = World()
    parking = Parking()
    quiet, busy = Client(world), Client(world, parking)
    for client in (quiet, busy):
        client.http.post(query())
        client.settled()
    world.clients.drain()
    quiet.http.receive(quiet.taken())
    assert quiet.transport.ended == "closed" and quiet.http.gone == 0
    assert not busy.transport.ended
    assert parking.waiting[0][1](b"reply")
    busy.http.receive(busy.taken())
    assert busy.transport.ended == "closed" and busy.http.responses[1].content == b"reply"


@pytest.mark.parametrize("version", [1, 2])
def test_the_client_sends_no_more(version: int) -> None:
    """What it has asked is answered first."""
    parking = Parking()
    client = Client(World(), parking)
    client.http.post(query())
    client.send(client.http.sent() if version == 2 else http1_post(query()))
    assert client.connection.eof_received()
    assert parking.waiting[0][1](b"the reply")
    assert b"the reply" in client.taken() and client.transport.ended == "closed"


def test_as_many_queries_as_a_connection_may_ask() -> None:
    client = Client(World(max_queries=3))
    streams = [client.http.post(query()) for _ in range(5)]
    client.exchange()
    assert client.statuses == {200: 3} and client.transport.ended == "closed"
    assert client.http.gone == 0
    assert [client.http.responses[stream].ended for stream in streams] == [True] * 3 + [False] * 2


def test_places_of_a_listener() -> None:
    """The least recently active connection of the client with the most connections gives its place."""
    world, places = World(), Places(3)
    first, second, other = (
        Client(world, places=places, peer=(address, 1)) for address in ("192.0.2.1", "192.0.2.1", "192.0.2.2")
    )
    for client in (second, first):
        client.http.post(query())
        client.settled()
    last = Client(world, places=places, peer=("192.0.2.3", 1))
    assert [bool(client.transport.ended) for client in (first, second, other, last)] == [False, True, False, False]
    assert places.count == 3
    for client in (first, other, last):
        client.connection.end("peer")
    assert places.count == 0 and not places.taken


HOSTILE = [
    b"GET / HTTP/1.1\r\nhost: a\r\nhost : b\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    b"PRI * HTTP/1.1\r\n\r\n",
    b"POST /dns-query HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip\r\n\r\n",
    b"POST /dns-query HTTP/1.1\r\nhost: a\r\ncontent-length: 12\r\ncontent-length: 13\r\n\r\n" + bytes(13),
    b"GET " + b"/" * 20000,
    b"GET /dns-query HTTP/1.1\r\n" + b"a: b\r\n" * 5000,
]


@pytest.mark.parametrize("data", HOSTILE, ids=lambda data: repr(data[:20]))
def test_what_is_no_http_ends_the_connection(data: bytes) -> None:
    world = World()
    client = Client(world)
    client.send(data)
    assert client.transport.ended
    assert not client.statuses.keys() & {200}
    assert world.clients.held.total == 0 and not world.clients.busy


def test_chunks_and_100_continue() -> None:
    client = Client(World())
    head = (
        "POST http://dns.example/dns-query HTTP/1.1\r\nhost: dns.example\r\ntransfer-encoding: chunked\r\n"
        "content-type: application/dns-message\r\nexpect: 100-continue\r\n\r\n"
    )
    assert [one.status for one in client.text(head.encode())] == [100]
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (query()[:5], query()[5:])) + b"0\r\n\r\n"
    found = client.text(chunks, 3)
    assert [(one.status, one.content) for one in found] == [(200, b"re:" + query())]


def test_damaged_frames_end_only_their_connection() -> None:
    world = World(max_connections=1000)
    whole = Http2Client()
    for _ in range(8):
        whole.post(query(b"x" * 100))
        whole.get(query())
    data = whole.sent()
    rng = random.Random(4)
    for _ in range(300):
        damaged = bytearray(data)
        for _ in range(rng.choice((1, 1, 3, 20))):
            damaged[rng.randrange(24, len(damaged))] = rng.randrange(256)
        client = Client(world)
        at = 0
        while at < len(damaged):
            size = rng.choice((1, 9, 100, 4000))
            client.send(bytes(damaged[at : at + size]))
            at += size
        client.connection.end("peer")
        if not client.transport.ended:
            client.transport.abort()
    assert world.clients.held.total == 0 and not world.clients.busy


def test_the_version_is_known_by_the_first_bytes() -> None:
    client = Client(World())
    client.send(https.PREFACE[:3])
    assert client.connection.pending_bytes() == 3 and not client.transport.written
    client.send(https.PREFACE[3:])
    assert client.connection.pending_bytes() == 0 and client.transport.written


# ----------------------------------------------------------------------------------------------------- floods


def frame(kind: int, stream: int = 0, payload: bytes = b"", flags: int = 0) -> bytes:
    """RFC 9113 section 4.1."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, WINDOW_UPDATE, CONTINUATION = 0, 1, 2, 3, 4, 6, 8, 9
UNKNOWN = 0x1F
END_STREAM, END_HEADERS = 1, 4
ENHANCE_YOUR_CALM = 11


def encoded(fields: list[tuple[str, str]]) -> bytes:
    return hpack.Encoder().encode(fields)


def resets() -> Iterator[bytes]:
    block = encoded(get_fields(query()))
    for stream in itertools.count(1, 2):
        yield frame(HEADERS, stream, block, END_STREAM | END_HEADERS) + frame(RST_STREAM, stream, bytes(4))


def continuations() -> Iterator[bytes]:
    yield frame(HEADERS, 1, encoded(get_fields(query())), END_STREAM)
    while True:
        yield frame(CONTINUATION, 1, encoded([("x-more", "x")]))


def parts_of_content() -> Iterator[bytes]:
    yield frame(HEADERS, 1, encoded(post_fields(bytes(60000))), END_HEADERS)
    while True:
        yield frame(DATA, 1)


def bombs() -> Iterator[bytes]:
    """A field of 4,000 bytes that each byte repeats (RFC 7541 section 7.1.3)."""
    encoder = hpack.Encoder()
    first = encoder.encode([*get_fields(query()), ("x-bomb", "x" * 4000)])
    yield frame(HEADERS, 1, first, END_HEADERS | END_STREAM)
    again = encoder.encode([("x-bomb", "x" * 4000)])
    assert len(again) == 1
    for stream in itertools.count(3, 2):
        yield frame(HEADERS, stream, encoder.encode(get_fields(query())) + again * 16000, END_HEADERS | END_STREAM)


def refused_requests() -> Iterator[bytes]:
    block = encoded(fields_with(path="/", method="GET", content_length="", content_type=""))
    for stream in itertools.count(1, 2):
        yield frame(HEADERS, stream, block, END_STREAM | END_HEADERS)


FLOODS: dict[str, Callable[[], Iterator[bytes]]] = {
    "resets": resets,
    "continuations": continuations,
    "empty parts of a content": parts_of_content,
    "fields that unpack to much": bombs,
    "requests that are refused": refused_requests,
    "pings": lambda: itertools.repeat(frame(PING, 0, bytes(8))),
    "settings": lambda: itertools.repeat(frame(SETTINGS, 0, b"\0\4\0\0\xff\xff")),
    "sizes of the table of fields": lambda: itertools.cycle(
        [frame(SETTINGS, 0, b"\0\1\0\0\0\0"), frame(SETTINGS, 0, b"\0\1\0\0\xff\xff")]
    ),
    "windows": lambda: itertools.repeat(frame(WINDOW_UPDATE, 0, b"\0\0\0\1")),
    "priorities": lambda: (frame(PRIORITY, stream, bytes(5)) for stream in itertools.count(1, 2)),
}


@pytest.mark.parametrize("reads", [True, False], ids=["a client that reads", "one that reads nothing"])
@pytest.mark.parametrize("flood", FLOODS)
def test_floods_end_their_connection(flood: str, reads: bool) -> None:
    """Bounded in what is done, and in memory on the way. Who reads nothing is not read any more."""
    world = World()
    served = []

    def serve(message: bytes, *_: object) -> bytes:
        served.append(message)
        return message

    client = Client(world, serve, room=float("inf") if reads else 0)
    client.send(https.PREFACE + frame(SETTINGS))
    frames = FLOODS[flood]()
    sent = most = 0
    answer = b""
    while not client.transport.ended and client.transport.reading and sent < 8 << 20:
        data = b""
        while len(data) < 8192:
            data += next(frames)
        sent += len(data)
        client.send(data)
        while client.connection.deferred and not client.transport.ended:
            world.loop.turn()
        answer += client.taken()
        most = max(most, world.clients.held.total)
    assert sent < 8 << 20
    assert most < 400_000 and len(served) <= 100
    assert len(answer) < 600_000
    if client.transport.ended:
        # To send what is left, of a client that reads nothing.
        world.loop.go_on(world.limits.write_s + 1)
        assert world.clients.held.total == 0 and not world.clients.busy
        if flood not in ("continuations", "fields that unpack to much"):
            assert answer.endswith(ENHANCE_YOUR_CALM.to_bytes(4, "big"))
    else:
        assert not reads and client.transport.waiting < 300_000


def test_answers_give_credit_back() -> None:
    """However many requests a client makes on a connection, and with a ping for each."""
    world = World()
    client = Client(world)
    client.send(https.PREFACE + frame(SETTINGS))
    block = encoded(get_fields(query()))
    for number in range(3000):
        client.send(frame(PING, 0, bytes(8)) + frame(HEADERS, 2 * number + 1, block, END_STREAM | END_HEADERS))
        world.loop.turn()
    assert client.statuses[200] == 3000 and not client.transport.ended


def test_frames_that_are_ignored_keep_no_connection_open() -> None:
    """Of types that nobody knows (RFC 9113 section 4.1): the time for the first request is over."""
    world = World(read_s=3)
    client = Client(world)
    client.send(https.PREFACE + frame(SETTINGS))
    for _ in range(4):
        client.send(frame(UNKNOWN, 0, b"x") * 500)
        world.loop.go_on(1)
    assert client.transport.ended and world.clients.held.total == 0
