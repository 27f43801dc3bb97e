"""Replies of several messages: who gets the next one, and when."""

from __future__ import annotations

from typing import Any

import pytest

from fastdns.dns._framing import count_messages, message_at
from fastdns.transports.tcp import TcpConnection
from tests.authoritative.asking import axfr
from tests.authoritative.served import zone_of
from tests.authoritative.transferring import CLIENT, Primary
from tests.plugins.kubernetes.support import Cluster, Options
from tests.plugins.kubernetes.test_transfer import Giving, numbered
from tests.transports.support import FakeTransport, World, frame

pytestmark = pytest.mark.native

LINES = "@ 300 IN SOA ns host 1 7200 1800 86400 60\n" + "".join(
    f"host{number} 60 IN TXT {'x' * 200}\n" for number in range(2000)
)


class Transferring(World):
    """Connections whose messages are questions for a zone of half a megabyte; short ones are echoed."""

    def __init__(self) -> None:
        super().__init__()
        self.primary = Primary()
        self.primary.publish(zone_of(LINES, "z.test."))

    def serve(self, message: bytes, client: bytes, port: int, deliver: Any) -> object:
        if len(message) < 12:
            return b"re:" + message
        return self.primary.slow.serve(0, message, CLIENT, port, deliver)

    def transfer(self, **options: Any) -> tuple[TcpConnection, FakeTransport]:
        connection, transport = self.connect(self.serve, **options)
        connection.data_received(frame(axfr("z.test.").to_wire()))
        return connection, transport

    def finish(self) -> int:
        """Turns of the loop until nothing is due."""
        turns = 0
        while self.loop.turn():
            turns += 1
        return turns


def test_one_message_in_each_turn() -> None:
    """Of all connections together, each in its turn; what the client asks meanwhile is answered behind them."""
    world = Transferring()
    one, first = world.transfer()
    _two, second = world.transfer()
    one.data_received(frame(b"x"))
    before = [0, 0]
    for _ in range(20):
        assert world.loop.turn() == 1
        now = [count_messages(bytearray(first.written)), count_messages(bytearray(second.written))]
        assert sum(now) - sum(before) == 1
        assert abs(now[0] - now[1]) <= 1
        before = now
    world.finish()
    assert first.written.endswith(frame(b"re:x"))
    assert len(first.written) - len(frame(b"re:x")) == len(second.written)
    assert first.reading
    assert world.clients.busy


@pytest.mark.parametrize("how", ["gone", "changed", "drained", "ended"])
def test_what_becomes_of_it(how: str) -> None:
    """The client goes, or the zone changes, or the server drains, or the client sends no more."""
    world = Transferring()
    connection, transport = world.transfer()
    world.loop.turn()
    whole = how in ("drained", "ended")
    if how == "gone":
        connection.connection_lost(None)
    elif how == "changed":
        world.primary.publish(zone_of(LINES.replace(" 1 ", " 2 ", 1), "z.test."))
    elif how == "drained":
        world.clients.drain()
    else:
        assert connection.eof_received()
    world.finish()
    assert not connection.series
    assert not world.clients.busy
    assert (len(transport.written) > 400_000) == whole
    first = message_at(bytearray(transport.written), 0)
    assert first is not None
    assert 16000 < len(first) <= 16384


def test_a_reply_that_has_nothing_to_send_yet_goes_on_in_another_turn() -> None:
    """The store has many records of another cluster; a message looks at a part of them."""
    cluster = Cluster(Options(), numbered(3000), other=Options(zones=["other."]))
    cluster.block.list_all([])
    giving = Giving(cluster)

    class Sparse(World):
        def serve(self, message: bytes, client: bytes, port: int, deliver: Any) -> object:
            return giving.slow.serve(0, message, CLIENT, port, deliver)

    world = Sparse()
    connection, transport = world.connect(world.serve)
    connection.data_received(frame(axfr("cluster.local.").to_wire()))
    turns = 0
    while world.loop.turn():
        turns += 1
    assert turns > count_messages(bytearray(transport.written)) > 0
    assert transport.written.count(b"hostmaster") == 2, "both SOA records have come"
    assert connection.reading and not connection.series
