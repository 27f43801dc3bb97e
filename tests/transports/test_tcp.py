"""TCP connections: however bytes arrive the replies are the same, and nobody stays longer than allowed."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Iterator
from functools import partial
from typing import Any, cast

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from fastdns._slow import PARKED
from fastdns._stats import Stats
from fastdns.transports import tcp
from fastdns.transports.tcp import TURN_QUERIES, WRITE_HIGH_BYTES, Connection, Connections, Limits


def frame(message: bytes) -> bytes:
    return struct.pack(">H", len(message)) + message


def echo(message: bytes, client: bytes, port: int, deliver: object = None) -> bytes | None:
    """Silence for what is no message, as the chain has it; else the same again."""
    return b"re:" + message if message else None


class FakeLoop:
    """A clock that stands until it is told to go on."""

    def __init__(self) -> None:
        self.now = 100.0
        self.calls: list[Any] = []
        self.soon: list[Any] = []

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Any) -> Any:
        self.calls.append(callback)
        return None

    def call_soon(self, callback: Any) -> None:
        self.soon.append(callback)

    def turn(self) -> int:
        """What is due at once, and not what comes of it. Returns how much that was."""
        due, self.soon = self.soon, []
        for callback in due:
            callback()
        return len(due)

    def go_on(self, seconds: float) -> None:
        """Time passes, and deadlines are looked at."""
        self.now += seconds
        self.calls.pop()()


class FakeTransport:
    """Notes what a connection does. A peer that does not read is one with room for so many bytes."""

    def __init__(self, protocol: Connection, room: float = float("inf"), peer: Any = ("192.0.2.7", 5353)) -> None:
        self.protocol = protocol
        self.peer = peer
        self.room = room
        self.written = bytearray()
        self.waiting = 0
        self.reading = True
        self.ended = ""
        self.high = 0

    def get_extra_info(self, name: str) -> Any:
        return self.peer if name == "peername" else None

    def set_write_buffer_limits(self, high: int) -> None:
        self.high = high

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def write(self, data: bytes) -> None:
        assert not self.ended
        self.written += data
        sent = min(len(data), self.room)
        self.room -= sent
        self.waiting += len(data) - int(sent)
        if self.waiting > self.high and not self.protocol.paused:
            self.protocol.pause_writing()

    def drained(self) -> None:
        """The peer has read everything."""
        self.waiting = 0
        self.room = float("inf")
        self.protocol.resume_writing()

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def close(self) -> None:
        self.ended = self.ended or "closed"
        if not self.waiting:
            self.protocol.connection_lost(None)

    def abort(self) -> None:
        self.ended = "aborted"
        self.protocol.connection_lost(None)


class World:
    """A worker's connections on a fake loop."""

    def __init__(
        self, max_connections: int = 10, max_held_bytes: int = tcp.MAX_HELD_BYTES, **limits: Any
    ) -> None:
        self.loop = FakeLoop()
        self.stats = Stats(1)
        self.connections = Connections(
            cast(asyncio.AbstractEventLoop, self.loop), max_connections, self.stats, 0, max_held_bytes
        )
        self.limits = Limits(**limits)

    def connect(self, serve: Any = echo, **options: Any) -> tuple[Connection, FakeTransport]:
        connection = Connection(serve, self.limits, self.connections)
        transport = FakeTransport(connection, **options)
        connection.connection_made(cast(asyncio.Transport, transport))
        return connection, transport


# ------------------------------------------------------------------------------------------------- framing


MESSAGES = [b"a", b"", b"bc" * 300, b"", b"d", b"e" * 65535, b"f"]
REPLIES = b"".join(frame((echo(message, b"", 0) or b"")[:65535]) for message in MESSAGES if message)


def cut(message: bytes, client: bytes, port: int, deliver: object = None) -> bytes | None:
    reply = echo(message, client, port)
    return reply and reply[:65535]


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
    assert not world.connections.busy


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
    assert not world.connections.busy


def test_closing_towards_a_peer_that_does_not_read_ends_after_the_write_timeout() -> None:
    """Less than what pauses writing waits to be sent: that, too, may not be held for ever."""
    world = World(write_s=5, idle_s=1, read_s=1)
    connection, transport = world.connect(cut, room=1000)
    connection.data_received(frame(b"q" * 60000))
    world.loop.go_on(1.1)
    assert transport.ended == "closed"
    assert world.connections.busy
    world.loop.go_on(5.1)
    assert transport.ended == "aborted"
    assert not world.connections.busy


# -------------------------------------------------------------------------------------------------- bounds


def test_max_queries_answers_so_many_and_closes() -> None:
    connection, transport = World(max_queries=3).connect()
    connection.data_received(frame(b"q") * 5)
    assert transport.written == frame(b"re:q") * 3
    assert transport.ended == "closed"
    connection.data_received(frame(b"q"))
    assert transport.written == frame(b"re:q") * 3


def test_a_connection_with_much_to_ask_takes_turns_with_the_others() -> None:
    """A few dozen pipelining clients held up a worker for so long that it was taken for dead."""
    world = World()
    one, first = world.connect(peer=peers(1))
    two, second = world.connect(peer=peers(2))
    one.data_received(frame(b"x") * (3 * TURN_QUERIES + 1))
    two.data_received(frame(b"y") * (TURN_QUERIES + 1) + b"\0")
    assert (one.asked, two.asked) == (TURN_QUERIES, TURN_QUERIES)
    assert not first.reading and not second.reading
    assert world.loop.turn() == 1
    assert (one.asked, two.asked) == (2 * TURN_QUERIES, TURN_QUERIES + 1)
    assert not first.reading and second.reading
    two.data_received(b"\1y")
    assert two.asked == TURN_QUERIES + 2
    while world.loop.turn():
        pass
    assert first.written == frame(b"re:x") * (3 * TURN_QUERIES + 1)
    assert first.reading


@pytest.mark.parametrize("how", ["gone", "drained", "cut off"])
def test_what_becomes_of_a_turn(how: str) -> None:
    """Between two turns the peer goes, the server drains, or the connection makes room."""
    world = World()
    connection, transport = world.connect()
    connection.data_received(frame(b"x") * (TURN_QUERIES + 5))
    if how == "gone":
        connection.connection_lost(None)
    elif how == "drained":
        world.connections.drain()
    else:
        connection.end("room")
    while world.loop.turn():
        pass
    asked = TURN_QUERIES + 5 if how == "drained" else TURN_QUERIES
    assert transport.written == frame(b"re:x") * asked
    assert not world.connections.busy
    assert transport.ended == ("" if how == "gone" else "closed")


def test_the_longest_quiet_connection_makes_room() -> None:
    world = World(max_connections=3)
    opened = [world.connect() for _ in range(3)]
    opened[0][0].data_received(frame(b"q"))
    opened += [world.connect()]
    assert [transport.ended for _, transport in opened] == ["", "closed", "", ""]
    opened[2][0].data_received(frame(b"q"))
    opened += [world.connect()]
    assert [transport.ended for _, transport in opened] == ["closed", "closed", "", "", ""]
    assert world.stats.closed(0)["client_share"] == 2


def test_what_makes_room_does_not_wait_for_its_peer() -> None:
    world = World(max_connections=1)
    connection, transport = world.connect(cut, room=10)
    connection.data_received(frame(b"q" * 1000))
    world.connect()
    assert transport.ended == "aborted"
    assert len(world.connections.open) == 1 and not world.connections.closing


# --------------------------------------------------------------------------------------- shares of clients


def peers(number: int) -> Any:
    """The address of a client."""
    return f"192.0.2.{number}", 5353


def test_who_has_most_connections_makes_room() -> None:
    """However busy they are: a client with one that is quiet keeps it."""
    world = World(max_connections=5)
    _, quiet_transport = world.connect(peer=peers(1))
    flood = [world.connect(peer=peers(2)) for _ in range(4)]
    for turn in range(20):
        for connection, _ in flood:
            if connection.transport is not None:
                connection.data_received(frame(b"q"))
        flood.append(world.connect(peer=peers(2)))
        assert len(world.connections.open) == 5, turn
    assert quiet_transport.ended == ""
    _, other_transport = world.connect(peer=peers(3))
    assert (quiet_transport.ended, other_transport.ended) == ("", "")
    assert world.stats.closed(0)["client_share"] == 21
    assert sum(transport.ended == "" for _, transport in flood) == 3


def test_where_nobody_has_more_than_one_the_longest_quiet_makes_room() -> None:
    world = World(max_connections=3)
    opened = [world.connect(peer=peers(number)) for number in range(3)]
    opened[0][0].data_received(frame(b"q"))
    world.connect(peer=peers(9))
    assert [transport.ended for _, transport in opened] == ["", "closed", ""]
    assert world.stats.closed(0)["room"] == 1


def test_a_client_may_have_all_while_there_is_room() -> None:
    world = World(max_connections=50)
    opened = [world.connect() for _ in range(50)]
    assert not any(transport.ended for _, transport in opened)
    assert world.connections.most == 50
    for _, transport in opened:
        transport.close()
    assert not world.connections.clients and not world.connections.by_count and not world.connections.most


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 3)), max_size=60))
@settings(max_examples=100, deadline=None)
def test_places_are_counted_whatever_happens(steps: list[tuple[int, int]]) -> None:
    """Connections come, ask, go, and do not read: the counts by client are what there is."""
    world = World(max_connections=6)
    opened: list[tuple[Connection, FakeTransport]] = []
    for number, what in steps:
        if what == 0 or not opened:
            opened.append(world.connect(cut, peer=peers(number), room=[float("inf"), 10][number % 2]))
        else:
            connection, transport = opened[number % len(opened)]
            if what == 1 and not transport.ended:
                connection.data_received(frame(b"q" * 50))
            elif what == 2 and not transport.ended:
                transport.close()
            else:
                world.loop.go_on(3.0)
        connections = world.connections
        assert len(connections.open) + len(connections.closing) <= 6
        counts = {client.address: client.count for client in connections.clients.values()}
        assert sum(counts.values()) == len(connections.open) + len(connections.closing)
        assert connections.most == max(counts.values(), default=0)
        by_count = {client.address: n for n, some in connections.by_count.items() for client in some}
        assert by_count == counts
    closed = sum(world.stats.closed(0).values())
    gone = sum(connection.transport is None for connection, _ in opened)
    assert closed == gone
    assert world.stats.thread(0)["connections_open"] == len(opened) - gone


def test_a_client_is_served_so_much_in_a_turn() -> None:
    """Over all its connections; what others ask meanwhile is answered before the rest."""
    world = World()
    order: list[bytes] = []

    def serve(message: bytes, client: bytes, port: int, deliver: object) -> bytes:
        order.append(client)
        return b"re:" + message

    flood = [world.connect(serve, peer=peers(2)) for _ in range(3)]
    other, _ = world.connect(serve, peer=peers(3))
    for connection, _ in flood:
        connection.data_received(frame(b"q") * 100)
    other.data_received(frame(b"q") * 10)
    assert len(order) == TURN_QUERIES + 10
    assert order[-1] == b"\xc0\0\2\3"
    assert [transport.reading for _, transport in flood] == [False] * 3
    turns = 0
    while world.loop.soon:
        world.loop.turn()
        turns += 1
        other.data_received(frame(b"q"))
        assert order[-1] == b"\xc0\0\2\3", "its turn comes at once"
    assert len(order) - turns == 310
    assert turns == -(-300 // TURN_QUERIES) - 1
    assert [transport.written for _, transport in flood] == [frame(b"re:q") * 100] * 3
    assert [transport.reading for _, transport in flood] == [True] * 3


def test_a_turn_costs_what_it_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many connections of one client: each turn asked all of them, to put all but a few off again."""
    world = World(max_connections=100)
    asked = 0
    real = Connection.catch_up

    def counting(connection: Connection) -> None:
        nonlocal asked
        asked += 1
        real(connection)

    monkeypatch.setattr(Connection, "catch_up", counting)
    flood = [world.connect(peer=peers(2)) for _ in range(100)]
    for connection, _ in flood:
        connection.data_received(frame(b"q") * 4)
    turns = 0
    while world.loop.soon:
        world.loop.turn()
        turns += 1
    assert [transport.written for _, transport in flood] == [frame(b"re:q") * 4] * 100
    assert turns == -(-400 // TURN_QUERIES) - 1
    assert asked <= 100 + turns


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
    world.connections.leaves_unread(connection)
    connection.paused = True
    world.loop.go_on(30.0)
    assert transport.ended == "aborted"
    assert world.stats.failed(0) == {("unread", "none"): 4}
    assert world.stats.closed(0)["unread"] == 1


def test_peers_that_do_not_read_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp, "MAX_UNREAD", 3)
    world = World()
    opened = [world.connect(cut, room=0) for _ in range(4)]
    for connection, _ in opened:
        connection.data_received(frame(b"q" * 60000) * 2)
    assert [transport.ended for _, transport in opened] == ["aborted", "", "", ""]
    opened[1][1].drained()
    connection, _ = world.connect(cut, room=0)
    connection.data_received(frame(b"q" * 60000) * 2)
    assert [transport.ended for _, transport in opened] == ["aborted", "", "", ""]


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
    assert transport.waiting <= tcp.WRITE_MOST_BYTES + 2 * 60002
    assert gone > 10
    assert world.stats.failed(0) == {("unread", "none"): 30 - gone}


# --------------------------------------------------------------------------------------------------- drain


def test_drain_closes_what_is_quiet_and_lets_the_rest_finish() -> None:
    world = World()
    quiet, quiet_transport = world.connect()
    quiet.data_received(frame(b"q"))
    new, new_transport = world.connect()
    half, half_transport = world.connect()
    half.data_received(frame(b"q") + frame(b"rest")[:3])
    world.connections.drain()
    assert (quiet_transport.ended, new_transport.ended, half_transport.ended) == ("closed", "", "")
    half.data_received(frame(b"rest")[3:])
    assert half_transport.written == frame(b"re:q") + frame(b"re:rest")
    assert half_transport.ended == "closed"
    new.data_received(frame(b"first"))
    assert (new_transport.written, new_transport.ended) == (frame(b"re:first"), "closed")
    assert not world.connections.busy


def test_drain_waits_until_replies_are_sent() -> None:
    world = World()
    connection, transport = world.connect(cut, room=10)
    connection.data_received(frame(b"q" * 60000))
    world.connections.drain()
    assert transport.ended == "closed" and world.connections.busy
    transport.waiting = 0
    connection.connection_lost(None)
    assert not world.connections.busy


def test_drain_ends_whatever_its_peers_do() -> None:
    world = World(read_s=60, idle_s=60, write_s=60)
    half, half_transport = world.connect()
    half.data_received(frame(b"rest")[:3])
    full, full_transport = world.connect(cut, room=10)
    for _ in range(10):
        if full_transport.reading:
            full.data_received(frame(b"q" * 60000))
    world.connections.drain()
    world.loop.go_on(tcp.DRAIN_S + 0.1)
    assert (half_transport.ended, full_transport.ended) == ("closed", "aborted")
    assert not world.connections.busy


# --------------------------------------------------------------------------------------------- real sockets


class Listening:
    """A uvloop server on a free port, as a worker has it."""

    def __init__(self, serve: Any = cut, max_connections: int = 10, **limits: Any) -> None:
        self.serve = serve
        self.limits = Limits(**limits)
        self.max_connections = max_connections

    async def __aenter__(self) -> Listening:
        loop = asyncio.get_running_loop()
        self.stats = Stats(1)
        self.connections = Connections(loop, self.max_connections, self.stats, 0)
        listening = socket.create_server(("127.0.0.1", 0))
        self.address = listening.getsockname()
        self.server = await loop.create_server(
            partial(Connection, self.serve, self.limits, self.connections), sock=listening
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server.close()
        self.connections.timer.cancel()

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(*self.address)


@pytest.fixture(autouse=True)
def quick_checks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(tcp, "CHECK_S", 0.05)
    yield


def on_uvloop(main: Any) -> None:
    uvloop.run(asyncio.wait_for(main(), 20))


def test_pipelined_and_half_closed_on_real_sockets() -> None:
    async def main() -> None:
        async with Listening() as listening:
            reader, writer = await listening.connect()
            writer.write(b"".join(frame(b"%d" % n) for n in range(500)))
            writer.write_eof()
            assert await reader.read(-1) == b"".join(frame(b"re:%d" % n) for n in range(500))

    on_uvloop(main)


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
            while listening.connections.busy:
                await asyncio.sleep(0.01)

    on_uvloop(main)


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
