"""TCP connections: however bytes arrive the replies are the same, and no connection stays longer than allowed."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from fastdns.metrics._stats import Stats
from fastdns.transports import clients, stream
from fastdns.transports._slow import PARKED
from fastdns.transports.clients import Clients
from fastdns.transports.limits import Limits
from fastdns.transports.stream import WRITE_HIGH_BYTES
from fastdns.transports.tcp import TcpConnection
from tests.transports.support import Accepted, World, cut, echo, frame

pytestmark = pytest.mark.native

# ------------------------------------------------------------------------------------------------- framing


MESSAGES = [b"a", b"", b"bc" * 300, b"", b"d", b"e" * 65535, b"f"]
REPLIES = b"".join(frame((echo(message, b"", 0) or b"")[:65535]) for message in MESSAGES if message)


@pytest.mark.parametrize("size", [1, 2, 3, 511, 65536, 1 << 20], ids=lambda size: f"{size} bytes a segment")
def test_pipelined_queries_in_any_segments(size: int) -> None:
    connection, transport = World().connect(cut)
    stream = b"".join(map(frame, MESSAGES))
    for at in range(0, len(stream), size):
        connection.data_received(stream[at : at + size])
    assert transport.written == REPLIES
    assert not transport.ended


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=12), st.data())
def test_any_chunking_gives_the_same_replies(messages: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(map(frame, messages))
    at = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=20)))
    connection, transport = World().connect()
    for begin, end in zip([0, *at], [*at, len(stream)], strict=True):
        connection.data_received(stream[begin:end])
    assert transport.written == b"".join(frame(b"re:" + message) for message in messages if message)
    assert not connection.pending
    assert connection.asked == len(messages)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=12), st.data())
def test_a_peer_that_reads_slowly_gets_every_reply(messages: list[bytes], data: st.DataObject) -> None:
    """Writing pauses and resumes anywhere; order and count of the replies stay."""
    big = [message * 2000 for message in messages]
    connection, transport = World().connect(cut, room=data.draw(st.integers(0, 400_000)))
    for message in big:
        connection.data_received(frame(message[:65535]))
        if transport.waiting and data.draw(st.booleans()):
            transport.drained()
    while transport.waiting:
        transport.drained()
    assert transport.written == b"".join(frame(cut(message[:65535], b"", 0) or b"") for message in big)


@pytest.mark.parametrize(
    ("peer", "client"),
    [
        (("192.0.2.7", 53), bytes([192, 0, 2, 7])),
        (("2001:db8::1", 53, 0, 0), bytes.fromhex("20010db8000000000000000000000001")),
        (("fe80::1%eth0", 53, 0, 2), bytes.fromhex("fe800000000000000000000000000001")),
    ],
)
def test_the_client_that_the_chain_sees(peer: Any, client: bytes) -> None:
    seen = []
    connection, _ = World().connect(lambda *what: seen.append(what[:3]), peer=peer)
    connection.data_received(frame(b"q"))
    assert seen == [(b"q", client, 53)]


# ---------------------------------------------------------------------------------------------------- time


def test_a_connection_that_never_asks_has_the_read_timeout() -> None:
    world = World(read_s=3, idle_s=10)
    _, transport = world.connect()
    world.loop.go_on(2.9)
    assert not transport.ended
    world.loop.go_on(0.2)
    assert transport.ended == "closed"
    assert not world.clients.busy


def test_half_a_message_has_no_longer_than_none() -> None:
    world = World(read_s=3, idle_s=10)
    connection, transport = world.connect()
    for _ in range(6):
        connection.data_received(b"\1")
        world.loop.go_on(0.51)
    assert transport.ended == "closed"


def test_an_idle_connection_has_the_idle_timeout_since_its_last_query() -> None:
    world = World(read_s=3, idle_s=10)
    connection, transport = world.connect()
    for _ in range(3):
        connection.data_received(frame(b"q"))
        world.loop.go_on(9.5)
    assert not transport.ended
    connection.data_received(frame(b"q")[:2])
    world.loop.go_on(1)
    assert transport.ended == "closed"


def test_a_peer_that_does_not_read_is_cut_off_after_the_write_timeout() -> None:
    world = World(write_s=5, idle_s=60)
    connection, transport = world.connect(cut, room=1000)
    for _ in range(10):
        connection.data_received(frame(b"q" * 60000))
        if not transport.reading:
            break
    assert len(transport.written) < WRITE_HIGH_BYTES + 70000
    world.loop.go_on(4.9)
    assert not transport.ended
    world.loop.go_on(0.2)
    assert transport.ended == "aborted"
    assert not world.clients.busy


def test_closing_towards_a_peer_that_does_not_read_ends_after_the_write_timeout() -> None:
    """Less than what pauses writing waits to be sent: that, too, may not be held for ever."""
    world = World(write_s=5, idle_s=1, read_s=1)
    connection, transport = world.connect(cut, room=1000)
    connection.data_received(frame(b"q" * 60000))
    world.loop.go_on(1.1)
    assert transport.ended == "closed"
    assert world.clients.busy
    world.loop.go_on(5.1)
    assert transport.ended == "aborted"
    assert not world.clients.busy


# -------------------------------------------------------------------------------------------------- bounds


def test_max_queries_answers_so_many_and_closes() -> None:
    connection, transport = World(max_queries=3).connect()
    connection.data_received(frame(b"q") * 5)
    assert transport.written == frame(b"re:q") * 3
    assert transport.ended == "closed"
    connection.data_received(frame(b"q"))
    assert transport.written == frame(b"re:q") * 3


def test_who_has_said_all_and_waits_for_a_turn_is_served() -> None:
    """The peer has shut down its side while queries wait for their turn: they are answered first."""
    world = World()
    connection, transport = world.connect()
    connection.data_received(frame(b"q") * 150)
    assert connection.eof_received() is True
    while world.loop.soon:
        world.loop.turn()
    assert transport.written == frame(b"re:q") * 150
    assert transport.ended == "closed"
    assert world.stats.failed(0) == {}


# ---------------------------------------------------------------------------------- what gets no reply is counted


def test_a_reply_whose_client_has_gone() -> None:
    delivers: list[Any] = []
    world = World()

    def serve(message: bytes, client: bytes, port: int, deliver: object) -> object:
        delivers.append(deliver)
        return PARKED

    connection, transport = world.connect(serve)
    connection.data_received(frame(b"q") * 3)
    delivers[0](b"answer")
    transport.close()
    assert [deliver(b"answer") for deliver in delivers[1:]] == [False, False]
    assert transport.written == frame(b"answer")
    assert world.stats.closed(0)["peer"] == 1


def test_queries_that_a_connection_held_at_its_end() -> None:
    """More than it may ask; and more that wait for upstreams than are read."""
    world = World(max_queries=3)
    connection, transport = world.connect()
    connection.data_received(frame(b"q") * 5 + frame(b"half")[:3])
    assert transport.ended == "closed"
    assert world.stats.failed(0) == {("unserved", "none"): 2}
    assert world.stats.closed(0)["max_queries"] == 1


def test_replies_that_are_not_read() -> None:
    world = World(write_s=5.0)
    connection, transport = world.connect(cut, room=25)
    connection.data_received(frame(b"q" * 10) * 3)
    # Each reply has 15 bytes: the second one is half sent. What was written with it counts as not read, too.
    connection.data_received(frame(b"q" * 10))
    world.clients.leaves_unread(connection)
    connection.paused = True
    world.loop.go_on(30.0)
    assert transport.ended == "aborted"
    assert world.stats.failed(0) == {("unread", "none"): 4}
    assert world.stats.closed(0)["unread"] == 1


def test_what_was_asked_before_is_not_kept_without_bound_for_who_does_not_read() -> None:
    """Replies from upstreams come after the peer has stopped to read."""
    delivers: list[Any] = []

    def serve(message: bytes, client: bytes, port: int, deliver: object) -> object:
        delivers.append(deliver)
        return PARKED

    world = World()
    connection, transport = world.connect(serve, room=0)
    connection.data_received(frame(b"q") * 30)
    gone = [deliver(b"r" * 60000) for deliver in delivers].count(False)
    assert transport.ended == "aborted"
    assert transport.waiting <= stream.WRITE_MOST_BYTES + 2 * 60002
    assert gone > 10
    assert world.stats.failed(0) == {("unread", "none"): 30 - gone}


# --------------------------------------------------------------------------------------------- real sockets


class Listening:
    """A server on a free port, on uvloop. own_sockets: see Accepted."""

    own_sockets = True

    def __init__(self, serve: Any = cut, max_connections: int = 10, **limits: Any) -> None:
        self.serve = serve
        self.limits = Limits(**limits)
        self.max_connections = max_connections

    async def __aenter__(self) -> Listening:
        self.stats = Stats(1)
        self.clients = Clients(asyncio.get_running_loop(), self.max_connections, self.stats, 0)
        connect = partial(TcpConnection, self.serve, self.limits, self.clients)
        self.accepted = Accepted(connect, self.clients, own_sockets=self.own_sockets)
        self.address = self.accepted.address
        await self.accepted.begin()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.accepted.end()

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(*self.address)


@pytest.fixture(autouse=True)
def quick_checks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(clients, "CHECK_S", 0.05)
    yield


@pytest.fixture(params=[True, False], ids=["own sockets", "the loop's"])
def both(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever transport a connection has."""
    monkeypatch.setattr(Listening, "own_sockets", request.param)


def on_uvloop(main: Any) -> None:
    uvloop.run(asyncio.wait_for(main(), 20))


@pytest.mark.usefixtures("both")
def test_pipelined_and_half_closed_on_real_sockets() -> None:
    async def main() -> None:
        async with Listening() as listening:
            reader, writer = await listening.connect()
            writer.write(b"".join(frame(b"%d" % n) for n in range(500)))
            writer.write_eof()
            assert await reader.read(-1) == b"".join(frame(b"re:%d" % n) for n in range(500))

    on_uvloop(main)


@pytest.mark.usefixtures("both")
@pytest.mark.parametrize(
    ("limits", "sends"),
    [
        pytest.param({"read_s": 0.2}, b"", id="silence"),
        pytest.param({"read_s": 0.2}, b"\0\5hal", id="half a message"),
        pytest.param({"read_s": 60, "idle_s": 0.2}, frame(b"q"), id="idle"),
        pytest.param({"max_queries": 1}, frame(b"q"), id="asked as often as allowed"),
    ],
)
def test_closed_by_us_on_real_sockets(limits: dict[str, Any], sends: bytes) -> None:
    async def main() -> None:
        async with Listening(**limits) as listening:
            reader, writer = await listening.connect()
            writer.write(sends)
            wanted = frame(b"re:q") if sends == frame(b"q") else b""
            assert await reader.read(-1) == wanted
            writer.close()

    on_uvloop(main)


@pytest.mark.usefixtures("both")
def test_a_peer_that_does_not_read_on_real_sockets() -> None:
    """Nothing more is read from it, memory stays bounded, and it is cut off."""

    async def main() -> None:
        async with Listening(write_s=0.3, idle_s=60) as listening:
            asked = 0
            loop = asyncio.get_running_loop()
            with socket.socket() as peer:
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                peer.setblocking(False)
                await loop.sock_connect(peer, listening.address)
                with pytest.raises((ConnectionResetError, BrokenPipeError)):
                    while asked < 10_000:
                        await loop.sock_sendall(peer, frame(b"q" * 60000))
                        asked += 1
            assert asked < 500
            while listening.clients.busy:
                await asyncio.sleep(0.01)

    on_uvloop(main)


@pytest.mark.usefixtures("both")
def test_a_peer_that_reads_late_on_real_sockets() -> None:
    async def main() -> None:
        async with Listening(write_s=10) as listening:
            reader, writer = await listening.connect()
            message = b"q" * 50000
            async def send() -> None:
                for _ in range(100):
                    writer.write(frame(message))
                    await writer.drain()

            sending = asyncio.create_task(send())
            await asyncio.sleep(0.3)
            for _ in range(100):
                assert await reader.readexactly(50005) == frame(b"re:" + message)
            await sending
            writer.close()

    on_uvloop(main)


@pytest.mark.usefixtures("both")
def test_eviction_on_real_sockets() -> None:
    async def main() -> None:
        async with Listening(max_connections=2) as listening:
            opened = []
            for _ in range(4):
                reader, writer = await listening.connect()
                writer.write(frame(b"q"))
                assert await reader.readexactly(6) == frame(b"re:q")
                opened.append((reader, writer))
            for reader, _ in opened[:2]:
                assert await reader.read(-1) == b""
            for reader, writer in opened[2:]:
                writer.write(frame(b"x"))
                assert await reader.readexactly(6) == frame(b"re:x")
                writer.close()

    on_uvloop(main)
