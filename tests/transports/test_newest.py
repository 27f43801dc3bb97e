"""Under overload the newest queries are answered first: which ones, in which order, and what is counted."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from fastdns.metrics._stats import Stats, layout
from fastdns.plugins.whoami._step import WhoamiStep
from fastdns.serve._worker import Worker
from fastdns.serve._zones import ServerTable
from fastdns.transports._udp import HotLoop
from tests.serve.support import query

pytestmark = pytest.mark.native

SO_RCVBUFFORCE = 33
# Of the clients each one holds its own replies, so that none is lost.
CLIENTS = 20
DEPTH, READ_MOST, ANSWERED = 1024, 1024, 512
FIRST_COUNTER = 5
DROPPED_ZONE = 3


def expected(count: int) -> tuple[list[int], int]:
    """In which order so many queries are answered that were there at the beginning, and how many are not."""
    coming = list(range(count))
    stack: list[int] = []
    order: list[int] = []
    dropped = 0
    while coming or stack:
        stack += coming[:READ_MOST]
        del coming[:READ_MOST]
        dropped += max(0, len(stack) - DEPTH)
        stack = stack[-DEPTH:]
        order += reversed(stack[-ANSWERED:])
        stack = stack[:-ANSWERED]
    return order, dropped


class Flooded:
    """A UDP thread that begins when all queries are there, and its counters."""

    def __init__(self, udp: socket.socket, newest: bool) -> None:
        self.stats = Stats(1)
        self.stats.reserve_zones(DROPPED_ZONE + 1)
        self.table = ServerTable([(".", 0, None)], [[WhoamiStep()]], DROPPED_ZONE)
        worker = Worker(self.table, None, 0, self.stats, 0)
        sockets = [(udp.fileno(), self.table, False)]
        self.hot = HotLoop(worker, sockets, newest_first={udp.fileno(): FIRST_COUNTER} if newest else None)

    def run(self) -> None:
        """Until all have been answered."""
        self.hot.stop()
        thread = threading.Thread(target=self.hot.run)
        thread.start()
        thread.join()

    def counted(self) -> tuple[int, int, int, int]:
        """Queries, queries that were evicted, and the plugin's two counters."""
        values = self.stats.zone_values([0], DROPPED_ZONE)
        at = layout()["plugins"][0] + FIRST_COUNTER
        plugin = (0, 0) if values is None else (values[at], values[at + 1])
        return self.stats.thread(0)["queries"], self.stats.failed(0).get(("evicted", "none"), 0), *plugin


@pytest.fixture
def udp() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        try:
            udp.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
        except PermissionError:
            pytest.skip("a receive buffer for thousands of queries needs root")
        udp.bind(("127.0.0.1", 0))
        yield udp


def answered(udp: socket.socket, flooded: Flooded, count: int) -> list[list[int]]:
    """Of each client the numbers of its queries, in the order of the replies. Client i sends every 20th query."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(CLIENTS)]
        for client in clients:
            client.setblocking(False)
            client.connect(udp.getsockname())
        for number in range(count):
            clients[number % CLIENTS].send(query("a.example.", number=number))
        flooded.run()
        found: list[list[int]] = [[] for _ in clients]
        for numbers, client in zip(found, clients, strict=True):
            with contextlib.suppress(BlockingIOError):
                while reply := client.recv(4096):
                    numbers.append(int.from_bytes(reply[:2], "big"))
        return found


@pytest.mark.parametrize("count", [1, 64, 65, 1000, 1024, 1025, 1500, 2000, 3333])
def test_the_newest_first(udp: socket.socket, count: int) -> None:
    flooded = Flooded(udp, newest=True)
    order, dropped = expected(count)
    assert len(order) + dropped == count
    of_clients = [[number for number in order if number % CLIENTS == client] for client in range(CLIENTS)]
    assert answered(udp, flooded, count) == of_clients
    assert flooded.counted() == (count, dropped, dropped, 0)


def test_without_it_the_oldest_first(udp: socket.socket) -> None:
    flooded = Flooded(udp, newest=False)
    of_clients = [list(range(client, 2000, CLIENTS)) for client in range(CLIENTS)]
    assert answered(udp, flooded, 2000) == of_clients
    assert flooded.counted() == (2000, 0, 0, 0)


def test_replies_that_the_kernel_refuses_are_counted(udp: socket.socket) -> None:
    """The socket is shut for sending."""
    flooded = Flooded(udp, newest=True)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect(udp.getsockname())
        client.send(query("a.example."))
        # Of a socket without a peer the kernel says that it has none, and shuts it all the same.
        with contextlib.suppress(OSError):
            udp.shutdown(socket.SHUT_WR)
        flooded.run()
    assert flooded.counted() == (1, 0, 0, 1)


def test_a_counter_has_its_place() -> None:
    table = ServerTable([(".", 0, None)], [[WhoamiStep()]])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, pytest.raises(ValueError, match="counters"):
        HotLoop(Worker(table), [(udp.fileno(), table, False)], newest_first={udp.fileno(): 127})
