"""The erratic step and its delays without a server process."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import dns.flags
import dns.message
import dns.rcode
import pytest

from fastdns.plugins.erratic._delays import NAME, DelayService
from fastdns.plugins.erratic._step import ErraticStep
from fastdns.serve._worker import Worker
from fastdns.serve._zones import ServerTable
from fastdns.transports._udp import HotLoop
from tests.serve._service import WAITS, PlayedService
from tests.serve.support import FLAG_TC, parse, query, shown, trial

pytestmark = pytest.mark.native

MS = 1_000_000


def number(counter: bytearray) -> int:
    return int.from_bytes(counter, "little")


def test_a_query_that_waits_keeps_its_number() -> None:
    """It is served twice, and counted once; others that come meanwhile have numbers of their own."""
    counter, service = bytearray(8), PlayedService(NAME)
    served = trial(ErraticStep(counter, 0, 2, 2, 100 * MS, False), services=(service,))
    assert served.ask(query("a.example.")) is WAITS
    assert parse(served.ask(query("b.example."))).header.bitmap & FLAG_TC == 0
    assert served.ask(query("c.example.", "MX")) is WAITS
    assert number(counter) == 3
    reply = parse(served.say(service, None))
    assert reply.header.bitmap & FLAG_TC
    assert shown(reply) == ["an a.example. A 192.0.2.53"]
    assert parse(served.say(service, None)).header.rcode == dns.rcode.SERVFAIL
    assert number(counter) == 3


def test_where_nobody_may_wait_the_client_is_told() -> None:
    service = PlayedService(NAME)
    service.refuse()
    served = trial(ErraticStep(bytearray(8), 0, 0, 1, 100 * MS, False), services=(service,))
    assert parse(served.ask(query("a.example."))).header.rcode == dns.rcode.SERVFAIL


def test_a_name_that_is_too_long_has_a_shorter_zone() -> None:
    name = ".".join(["x" * 63] * 3 + ["y" * 61]) + "."
    reply = parse(trial(ErraticStep(bytearray(8), 0, 0, 0, 0, False)).ask(query(name, "AXFR"), tcp=True))
    assert [line.split()[2] for line in shown(reply)] == ["SOA", "SOA"]


@pytest.fixture
def loop() -> Iterator[tuple[HotLoop, DelayService, socket.socket]]:
    """A UDP thread that delays every query by 100 ms, three at a time, and a client's socket."""
    service = DelayService(3)
    table = ServerTable([(".", 0, None)], [[ErraticStep(bytearray(8), 0, 0, 1, 100 * MS, False)]])
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
    ):
        listening.bind(("127.0.0.1", 0))
        client.connect(listening.getsockname())
        client.settimeout(10)
        hot = HotLoop(Worker(table), [(listening.fileno(), table, False)], [service])
        thread = threading.Thread(target=hot.run)
        thread.start()
        yield hot, service, client
        hot.stop()
        thread.join()


def replies(client: socket.socket, count: int) -> list[dns.message.Message]:
    return [dns.message.from_wire(client.recv(4096)) for _ in range(count)]


def test_delays(loop: tuple[HotLoop, DelayService, socket.socket]) -> None:
    """Each place is used again."""
    _, service, client = loop
    for _ in range(3):
        for number in range(3):
            client.send(dns.message.make_query(f"a{number}.example.", "A").to_wire())
        assert [len(reply.answer) for reply in replies(client, 3)] == [1, 1, 1]
    assert service.waiting == 0


def test_a_query_without_a_place(loop: tuple[HotLoop, DelayService, socket.socket]) -> None:
    _, _, client = loop
    for number in range(4):
        client.send(dns.message.make_query(f"a{number}.example.", "A").to_wire())
    codes = [reply.rcode() for reply in replies(client, 4)]
    assert sorted(codes) == [dns.rcode.NOERROR] * 3 + [dns.rcode.SERVFAIL]


def test_all_are_answered_at_the_end(loop: tuple[HotLoop, DelayService, socket.socket]) -> None:
    hot, _, client = loop
    for number in range(3):
        client.send(dns.message.make_query(f"a{number}.example.", "A").to_wire())
    hot.stop()
    assert [len(reply.answer) for reply in replies(client, 3)] == [1, 1, 1]


@pytest.mark.parametrize("room", [0, (1 << 20) + 1])
def test_room_is_bounded(room: int) -> None:
    with pytest.raises(ValueError, match="places expected"):
        DelayService(room)
