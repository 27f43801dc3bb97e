"""Fairness between clients, in turns of the event loop."""

from __future__ import annotations

import pytest

from fastdns.transports.tcp import TcpConnection
from fastdns.transports.turns import QUERIES
from tests.transports.support import World, frame, peers

pytestmark = pytest.mark.native


def test_a_connection_with_much_to_ask_takes_turns_with_the_others() -> None:
    """A few dozen pipelining clients held up a worker for so long that it was taken for dead."""
    world = World()
    one, first = world.connect(peer=peers(1))
    two, second = world.connect(peer=peers(2))
    one.data_received(frame(b"x") * (3 * QUERIES + 1))
    two.data_received(frame(b"y") * (QUERIES + 1) + b"\0")
    assert (one.asked, two.asked) == (QUERIES, QUERIES)
    assert not first.reading and not second.reading
    assert world.loop.turn() == 1
    assert (one.asked, two.asked) == (2 * QUERIES, QUERIES + 1)
    assert not first.reading and second.reading
    two.data_received(b"\1y")
    assert two.asked == QUERIES + 2
    while world.loop.turn():
        pass
    assert first.written == frame(b"re:x") * (3 * QUERIES + 1)
    assert first.reading


@pytest.mark.parametrize("how", ["gone", "drained", "cut off"])
def test_what_becomes_of_a_turn(how: str) -> None:
    """Between two turns the peer goes, the server drains, or the connection makes room."""
    world = World()
    connection, transport = world.connect()
    connection.data_received(frame(b"x") * (QUERIES + 5))
    if how == "gone":
        connection.connection_lost(None)
    elif how == "drained":
        world.clients.drain()
    else:
        connection.end("room")
    while world.loop.turn():
        pass
    asked = QUERIES + 5 if how == "drained" else QUERIES
    assert transport.written == frame(b"re:x") * asked
    assert not world.clients.busy
    assert transport.ended == ("" if how == "gone" else "closed")


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
    assert len(order) == QUERIES + 10
    assert order[-1] == b"\xc0\0\2\3"
    assert [transport.reading for _, transport in flood] == [False] * 3
    turns = 0
    while world.loop.soon:
        world.loop.turn()
        turns += 1
        other.data_received(frame(b"q"))
        assert order[-1] == b"\xc0\0\2\3", "its turn comes at once"
    assert len(order) - turns == 310
    assert turns == -(-300 // QUERIES) - 1
    assert [transport.written for _, transport in flood] == [frame(b"re:q") * 100] * 3
    assert [transport.reading for _, transport in flood] == [True] * 3


def test_what_was_served_ahead_is_missing_in_the_next_turn() -> None:
    world = World()
    client = world.clients.client(b"\xc0\0\2\1")
    turns = world.clients.turns
    assert turns.allowance(client) == QUERIES
    client.left -= QUERIES + 5
    assert turns.allowance(client) == -5
    turns.turn += 1
    assert turns.allowance(client) == QUERIES - 5
    turns.turn += 1
    assert turns.allowance(client) == QUERIES


def test_a_turn_costs_what_it_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many connections of one client: each turn asked all of them, to put all but a few off again."""
    world = World(max_connections=100)
    asked = 0
    real = TcpConnection.catch_up

    def counting(connection: TcpConnection) -> None:
        nonlocal asked
        asked += 1
        real(connection)

    monkeypatch.setattr(TcpConnection, "catch_up", counting)
    flood = [world.connect(peer=peers(2)) for _ in range(100)]
    for connection, _ in flood:
        connection.data_received(frame(b"q") * 4)
    turns = 0
    while world.loop.soon:
        world.loop.turn()
        turns += 1
    assert [transport.written for _, transport in flood] == [frame(b"re:q") * 4] * 100
    assert turns == -(-400 // QUERIES) - 1
    assert asked <= 100 + turns
