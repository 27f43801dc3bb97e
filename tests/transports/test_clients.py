"""What clients may take of a worker: places, turns of the event loop, and time to end."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastdns.transports import clients
from fastdns.transports.tcp import TcpConnection
from tests.transports.support import FakeTransport, World, cut, frame, peers

pytestmark = pytest.mark.native

# -------------------------------------------------------------------------------------------------- places


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
    assert len(world.clients.open) == 1 and not world.clients.closing


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
        assert len(world.clients.open) == 5, turn
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
    assert world.clients.most == 50
    for _, transport in opened:
        transport.close()
    assert not world.clients.by_address and not world.clients.by_count and not world.clients.most


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 3)), max_size=60))
@settings(max_examples=100, deadline=None)
def test_places_are_counted_whatever_happens(steps: list[tuple[int, int]]) -> None:
    """Clients come, ask, go, and do not read: the counts by client are what there is."""
    world = World(max_connections=6)
    opened: list[tuple[TcpConnection, FakeTransport]] = []
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
        all_clients = world.clients
        assert len(all_clients.open) + len(all_clients.closing) <= 6
        counts = {client.address: client.count for client in all_clients.by_address.values()}
        assert sum(counts.values()) == len(all_clients.open) + len(all_clients.closing)
        assert all_clients.most == max(counts.values(), default=0)
        by_count = {client.address: n for n, some in all_clients.by_count.items() for client in some}
        assert by_count == counts
    closed = sum(world.stats.closed(0).values())
    gone = sum(connection.transport is None for connection, _ in opened)
    assert closed == gone
    assert world.stats.thread(0)["connections_open"] == len(opened) - gone


def test_peers_that_do_not_read_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "MAX_UNREAD", 3)
    world = World()
    opened = [world.connect(cut, room=0) for _ in range(4)]
    for connection, _ in opened:
        connection.data_received(frame(b"q" * 60000) * 2)
    assert [transport.ended for _, transport in opened] == ["aborted", "", "", ""]
    opened[1][1].drained()
    connection, _ = world.connect(cut, room=0)
    connection.data_received(frame(b"q" * 60000) * 2)
    assert [transport.ended for _, transport in opened] == ["aborted", "", "", ""]


# --------------------------------------------------------------------------------------------------- drain


def test_drain_closes_what_is_quiet_and_lets_the_rest_finish() -> None:
    world = World()
    quiet, quiet_transport = world.connect()
    quiet.data_received(frame(b"q"))
    new, new_transport = world.connect()
    half, half_transport = world.connect()
    half.data_received(frame(b"q") + frame(b"rest")[:3])
    world.clients.drain()
    assert (quiet_transport.ended, new_transport.ended, half_transport.ended) == ("closed", "", "")
    half.data_received(frame(b"rest")[3:])
    assert half_transport.written == frame(b"re:q") + frame(b"re:rest")
    assert half_transport.ended == "closed"
    new.data_received(frame(b"first"))
    assert (new_transport.written, new_transport.ended) == (frame(b"re:first"), "closed")
    assert not world.clients.busy


def test_drain_waits_until_replies_are_sent() -> None:
    world = World()
    connection, transport = world.connect(cut, room=10)
    connection.data_received(frame(b"q" * 60000))
    world.clients.drain()
    assert transport.ended == "closed" and world.clients.busy
    transport.waiting = 0
    connection.connection_lost(None)
    assert not world.clients.busy


def test_drain_ends_whatever_its_peers_do() -> None:
    world = World(read_s=60, idle_s=60, write_s=60)
    half, half_transport = world.connect()
    half.data_received(frame(b"rest")[:3])
    full, full_transport = world.connect(cut, room=10)
    for _ in range(10):
        if full_transport.reading:
            full.data_received(frame(b"q" * 60000))
    world.clients.drain()
    world.loop.go_on(clients.DRAIN_S + 0.1)
    assert (half_transport.ended, full_transport.ended) == ("closed", "aborted")
    assert not world.clients.busy


# --------------------------------------------------------------------------------------- whatever the transport is


class Exotic:
    """A connection of a transport that is not there yet."""

    def __init__(self, world: World, number: int) -> None:
        self.owner = world.clients.client(bytes([192, 0, 2, number]))
        self.deadline = world.loop.now + 3
        self.holds = 0
        self.heard: list[str] = []
        self.world = world
        world.clients.add(self)

    def held_bytes(self) -> int:
        return self.holds

    def catch_up(self) -> None:
        self.heard.append("catch up")

    def close_when_quiet(self) -> None:
        self.heard.append("close when quiet")

    def time_out(self, why: str) -> None:
        self.end(why)

    def end(self, why: str) -> None:
        self.heard.append(why)
        self.world.clients.gone(self, why)


def test_connections_of_any_transport_are_bounded_alike() -> None:
    """Places, bytes, turns, deadlines and drain ask for nothing that only TCP has."""
    world = World(max_connections=3, max_held_bytes=1000)
    quiet, busy = Exotic(world, 1), Exotic(world, 1)
    other, tcp = Exotic(world, 2), world.connect(peer=peers(3))
    assert (quiet.heard, tcp[1].ended) == (["client_share"], "")
    busy.holds = 1001
    world.clients.held.count(busy)
    assert busy.heard == ["held_bytes"]
    world.clients.turns.defer(other)
    world.loop.turn()
    world.clients.drain()
    world.loop.go_on(4.1)
    assert other.heard == ["catch up", "close when quiet", "drained"]
    assert tcp[1].ended == "closed" and not world.clients.busy
    counted = world.stats.closed(0)
    assert (counted["client_share"], counted["held_bytes"], counted["drained"]) == (1, 1, 2)
