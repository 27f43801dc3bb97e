"""What TCP connections hold together is bounded in bytes, and who holds most loses first."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastdns.transports._slow import PARKED
from fastdns.transports.held import FREED_PART
from fastdns.transports.tcp import TcpConnection
from tests.transports.support import FakeTransport, World, cut, frame, peers

pytestmark = pytest.mark.native

KIB = 1024
HALF = b"\xff\xff" + b"x" * 65_500


def held(world: World) -> int:
    """What all connections hold in truth."""
    return sum(connection.held_bytes() for connection in list(world.clients.held.holders))


def live(opened: list[tuple[TcpConnection, FakeTransport]]) -> int:
    return sum(not transport.ended for _, transport in opened)


def test_half_messages_of_one_client() -> None:
    """800 connections that each send all of a query but its last bytes cost 66 KiB each, 264 MiB a worker at the
    default number of connections."""
    world = World(max_connections=4096, max_held_bytes=4096 * KIB)
    other, other_transport = world.connect(peer=peers(1))
    other.data_received(frame(b"half")[:4])
    flood = []
    for _ in range(800):
        flood.append(world.connect(peer=peers(2)))
        for at in range(0, len(HALF), 16 * KIB):
            if not flood[-1][1].ended:
                flood[-1][0].data_received(HALF[at : at + 16 * KIB])
        assert world.clients.held.total <= 4096 * KIB
    assert sum(len(connection.pending) for connection, transport in flood if not transport.ended) <= 4096 * KIB
    assert 40 < live(flood) < 70
    assert world.stats.closed(0)["held_bytes"] == 800 - live(flood)
    other.data_received(frame(b"half")[4:])
    assert (other_transport.written, other_transport.ended) == (frame(b"re:half"), "")


def test_half_messages_of_many_clients() -> None:
    """One connection each: those that hold most lose, not who has just begun."""
    world = World(max_connections=4096, max_held_bytes=1024 * KIB)
    small = [world.connect(peer=peers(number)) for number in range(50)]
    for connection, _ in small:
        connection.data_received(b"\0\xff" + b"x" * 100)
    for number in range(50, 250):
        connection, _ = world.connect(peer=peers(number))
        connection.data_received(HALF)
        assert world.clients.held.total <= 1024 * KIB
    assert live(small) == 50


def test_replies_that_are_not_read_in_small_parts() -> None:
    """Below what pauses reading (64 KiB) nothing was looked at, and each reply took a few objects of its own."""
    world = World(max_connections=4096, max_held_bytes=1024 * KIB)
    flood = [world.connect(cut, peer=peers(2), room=0) for _ in range(100)]
    other, other_transport = world.connect(cut, peer=peers(3), room=0)
    other.data_received(frame(b"q"))
    for _ in range(40):
        for connection, transport in flood:
            if not transport.ended:
                connection.data_received(frame(b"q" * 500))
            world.loop.turn()
        assert world.clients.held.total <= 1024 * KIB
    waiting = sum(transport.waiting for connection, transport in flood if connection.transport is not None)
    assert waiting <= 1024 * KIB
    assert 0 < live(flood) < 100
    assert not other_transport.ended
    assert world.stats.closed(0)["held_bytes"] == 100 - live(flood)
    assert world.stats.failed(0)["unread", "none"] >= 100 - live(flood)


def test_replies_from_upstreams_that_are_not_read() -> None:
    """They come after the peer has stopped to read."""
    delivers: list[Any] = []

    def serve(message: bytes, client: bytes, port: int, deliver: object) -> object:
        delivers.append(deliver)
        return PARKED

    world = World(max_connections=4096, max_held_bytes=1024 * KIB)
    flood = [world.connect(serve, peer=peers(2), room=0) for _ in range(50)]
    for connection, _ in flood:
        connection.data_received(frame(b"q"))
    world.loop.turn()
    assert len(delivers) == 50
    for deliver in delivers:
        deliver(b"r" * 60_000)
        assert world.clients.held.total <= 1024 * KIB
    assert 10 < live(flood) < 20


def test_queries_that_wait_for_their_turn_are_counted() -> None:
    world = World(max_connections=4096, max_held_bytes=512 * KIB)
    flood = [world.connect(peer=peers(2)) for _ in range(100)]
    for connection, _ in flood:
        connection.data_received(frame(b"q" * 300) * 50)
        assert held(world) <= 512 * KIB
    assert live(flood) < 60
    survivors = [transport for _, transport in flood if not transport.ended]
    while world.loop.soon:
        world.loop.turn()
    assert all(transport.written == frame(b"re:" + b"q" * 300) * 50 for transport in survivors)


def test_what_peers_have_read_is_not_held() -> None:
    """Nobody says so: it is looked at again before anything is closed."""
    world = World(max_connections=4096, max_held_bytes=256 * KIB)
    connection, transport = world.connect(cut, room=0)
    for _ in range(100):
        connection.data_received(frame(b"q" * 10_000))
        transport.waiting = 0
        world.loop.turn()
    assert not transport.ended
    world.loop.go_on(0.5)
    assert world.stats.thread(0)["connections_bytes"] == 0
    connection.data_received(frame(b"q" * 10_000))
    world.loop.go_on(0.5)
    assert 10_000 < world.stats.thread(0)["connections_bytes"] < 12_000


def test_a_pass_over_all_is_paid_for(monkeypatch: Any) -> None:
    """At the bound each query of anybody made one."""
    world = World(max_connections=4096, max_held_bytes=1024 * KIB)
    passes = itertools.count()
    real = world.clients.held.refresh
    monkeypatch.setattr(world.clients.held, "refresh", lambda: (next(passes), real()))
    for _ in range(1000):
        world.connect(peer=peers(2))[0].data_received(HALF[: 16 * KIB])
    assert next(passes) <= 1000 * 20 * KIB // (1024 * KIB // FREED_PART) + 1


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4), st.integers(1, 70_000)), max_size=60))
@settings(max_examples=100, deadline=None)
def test_the_sum_is_what_connections_hold(steps: list[tuple[int, int, int]]) -> None:
    """Whatever happens, nothing is counted for ever, and never less than there is."""
    world = World(max_connections=6, max_held_bytes=256 * KIB, write_s=5, idle_s=5, read_s=5)
    opened: list[tuple[TcpConnection, FakeTransport]] = []
    for number, what, size in steps:
        if what == 0 or not opened:
            opened.append(world.connect(cut, peer=peers(number), room=[float("inf"), 10][number % 2]))
            continue
        connection, transport = opened[number % len(opened)]
        if what == 1 and not transport.ended:
            connection.data_received((frame(b"q" * 65_535) + frame(b"q" * 100) * 100)[-size:])
        elif what == 2 and not transport.ended:
            transport.drained()
        elif what == 3 and not transport.ended:
            transport.close()
        else:
            world.loop.go_on(2.0)
        bytes_held = world.clients.held
        assert held(world) <= bytes_held.total <= 256 * KIB
        owners = {id(one.owner): one.owner for one in bytes_held.holders}
        assert sum(owner.held for owner in owners.values()) == bytes_held.total
        assert bytes_held.holders.keys() <= {*world.clients.open, *world.clients.closing}
    while world.loop.soon:
        world.loop.turn()
    for _ in range(20):
        world.loop.go_on(3.0)
    assert not world.clients.busy
    assert not world.clients.held.holders and not world.clients.held.total
