"""Queries, replies and streams that are wrong in every way, in numbers: the good ones do not notice."""

from __future__ import annotations

import contextlib
import os
import random
import select
import signal
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import dns.message
import dns.rdatatype
import pytest

from fastdns.process.sockets import drops
from tests.fuzz.copies import check_copy
from tests.fuzz.packets import packets
from tests.fuzz.replies import exchanges
from tests.integration.faults.load import KnownAnswers, address_of, name_of
from tests.integration.faults.support import CHAOS_S, NAMES, chance, memory_mib, server, tell
from tests.plugins.forward.engine.bursts import send_batch
from tests.plugins.forward.engine.support import Asked, Client, Upstream
from tests.support import COREFILE, Server, children, wait_until

pytestmark = pytest.mark.alone

# As many as the promise says, or as a test run has time for.
QUERIES = 1_000_000 if CHAOS_S else 20_000
REPLIES = 100_000 if CHAOS_S else 1_500
STREAMS = 10_000 if CHAOS_S else 400
RATE = 2000
# So many questions whose replies are mangled wait at a time: most of them until the upstream is given up.
WINDOW = 1000
# Tables and buffers that are used for the first time stay: 8 MiB in each of three processes.
GROWTH_MIB = 24.0
BATCH = 100
# Longer than any question waits for upstreams.
ANSWERED_S = 6.0


def descriptors(fastdns: Server) -> int:
    """How many file descriptors all its processes have."""
    pids = [fastdns.process.pid, *children(fastdns.process.pid)]
    return sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in pids)


def overflowed(fastdns: Server) -> float:
    """How many datagrams have found a socket's queue full."""
    return fastdns.total("fastdns_queries_failed_total", reason="socket_full")


@contextlib.contextmanager
def unharmed(fastdns: Server, what: str, fds: int = 8) -> Iterator[None]:
    """Whatever happens in the block: good queries are answered, nobody dies, and nothing leaks."""
    pids, memory, open_fds, full = fastdns.pids(), memory_mib(fastdns), descriptors(fastdns), overflowed(fastdns)
    with KnownAnswers(fastdns.port, RATE, NAMES) as load:
        yield
    time.sleep(0.5)
    # What only is idle is closed in time; what leaks stays.
    with contextlib.suppress(AssertionError):
        wait_until(lambda: descriptors(fastdns) - open_fds <= fds)
    grown_mib, more = memory_mib(fastdns) - memory, descriptors(fastdns) - open_fds
    tell(load.report, f"{what}; {grown_mib:+.1f} MiB, {more:+d} descriptors")
    assert load.report.wrong == 0
    # Sockets' queues overflow where a flood meets them, which is counted; all else is lost for no reason.
    assert load.report.lost <= overflowed(fastdns) - full
    assert fastdns.pids() == pids
    assert grown_mib < GROWTH_MIB
    assert more <= fds
    assert "Traceback" not in fastdns.log


def test_mangled_queries(tmp_path: Path) -> None:
    seed = chance("queries").randrange(1 << 32)
    with (
        server(tmp_path) as fastdns,
        unharmed(fastdns, f"{QUERIES} mangled queries"),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
    ):
        client.connect(("127.0.0.1", fastdns.port))
        batch: list[bytes] = []
        for packet in packets(seed, QUERIES):
            batch.append(packet)
            if len(batch) == BATCH:
                send_batch(client, batch)
                batch = []
                # No faster than they are read: a flood that overflows the queue of a socket is another matter.
                wait_for_turn(client)


def wait_for_turn(client: socket.socket) -> None:
    """Ask what has an answer, and take all that comes before it."""
    client.settimeout(2.0)
    address = socket.inet_aton(address_of(1))
    for _ in range(3):
        client.send(dns.message.make_query(name_of(1), "A").to_wire())
        with contextlib.suppress(TimeoutError):
            while not client.recv(65535).endswith(address):
                pass
            return
    raise AssertionError("no answer to three good queries between mangled ones")


def test_mangled_replies(tmp_path: Path) -> None:
    """Whatever an upstream says: the client has an answer to its question, or SERVFAIL."""
    seed = chance("replies").randrange(1 << 32)
    wanted = exchanges(seed, REPLIES)
    known: dict[tuple[bytes, int], bytes] = {}

    def script(asked: Asked) -> bytes:
        question = asked.message.question[0]
        reply = known.get((question.name.to_wire().lower(), question.rdtype), b"")
        return asked.wire[:2] + reply[2:]

    corefile = COREFILE.replace("cluster.local:DNS_PORT 10.in-addr.arpa:DNS_PORT {", ".:DNS_PORT {")
    with Upstream(script, tcp=script) as up:
        corefile = corefile.replace(
            "    errors\n",
            f"    errors\n    cache 30\n    forward . {up.to} {{\n max_fails 0\n expire 1s\n }}\n",
        )
        with server(tmp_path, corefile) as fastdns, unharmed(
            # Sixteen sockets to the upstream stay, of each of four threads. Of streams there may be 128 in each of
            # two workers meanwhile; they end with `expire`.
            fastdns, f"{REPLIES} mangled replies", fds=64 + 8
        ):
            full = overflowed(fastdns)
            # By ID.
            waiting: dict[int, bytes] = {}
            lost = 0
            client = Client(fastdns.port)
            with client.sock:
                for number, (query, reply, _) in enumerate(wanted):
                    question = dns.message.from_wire(query).question[0]
                    known[question.name.to_wire().lower(), question.rdtype] = reply
                    # Of 65,536 questions before: nothing is on its way for so long.
                    lost += (number & 0xFFFF) in waiting
                    waiting[number & 0xFFFF] = query = struct.pack(">H", number & 0xFFFF) + query[2:]
                    client.send(query)
                    take_answers(client, waiting, WINDOW)
                take_answers(client, waiting, 0)
                assert lost + len(waiting) <= overflowed(fastdns) - full + drops(client.sock)


def take_answers(client: Client, waiting: dict[int, bytes], leave: int) -> None:
    """Look at what has come, and cross it off. Waits while more than leave are out, but for no answer for ever."""
    while True:
        try:
            reply = client.receive_wire(ANSWERED_S if len(waiting) > leave else 0.0)
        except (TimeoutError, BlockingIOError):
            return
        query = waiting.pop(int.from_bytes(reply[:2], "big"), None)
        assert query is not None, f"an answer to no question, or a second one: {reply.hex()}"
        check_copy(query, reply, max(512, 1232 if query[11] else 0))


def test_broken_streams(tmp_path: Path) -> None:
    """Cut in every place, closed, reset, never finished, with lengths that lie."""
    choose = chance("streams")
    with server(tmp_path) as fastdns, unharmed(fastdns, f"{STREAMS} broken TCP streams"):
        messages = packets(choose.randrange(1 << 32), STREAMS * 4)
        unfinished: list[socket.socket] = []
        for _ in range(STREAMS):
            connection = socket.create_connection(("127.0.0.1", fastdns.port), 5)
            with contextlib.suppress(OSError):
                break_stream(choose, connection, messages)
            if choose.random() < 0.2:
                unfinished.append(connection)
                if len(unfinished) > 100:
                    unfinished.pop(choose.randrange(len(unfinished))).close()
            else:
                connection.close()
        for connection in unfinished:
            connection.close()


def break_stream(choose: random.Random, connection: socket.socket, messages: Iterator[bytes]) -> None:
    """Do one of many things to a connection."""
    for _ in range(choose.randrange(4)):
        message = next(messages, b"")
        length = len(message) if choose.random() < 0.7 else choose.randrange(65536)
        stream = struct.pack(">H", length & 0xFFFF) + message
        connection.sendall(stream[: choose.randrange(len(stream) + 1)] if choose.random() < 0.3 else stream)
    if choose.random() < 0.3:
        # RST instead of FIN.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    elif choose.random() < 0.3:
        connection.shutdown(choose.choice([socket.SHUT_RD, socket.SHUT_WR]))


def test_slow_readers_and_writers(tmp_path: Path) -> None:
    """Clients that send a byte at a time, and clients that ask on and on and never read."""
    wire = dns.message.make_query("s1.shop.svc.cluster.local.", "A").to_wire()
    framed = struct.pack(">H", len(wire)) + wire
    with server(tmp_path) as fastdns, unharmed(fastdns, "50 slow writers and 50 that do not read"):
        writers = [socket.create_connection(("127.0.0.1", fastdns.port), 5) for _ in range(50)]
        deaf = []
        for _ in range(50):
            one = socket.socket()
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            one.connect(("127.0.0.1", fastdns.port))
            one.setblocking(False)
            deaf.append(one)
        ends_s = time.monotonic() + 2.0
        at = 0
        while time.monotonic() < ends_s:
            for one in deaf:
                with contextlib.suppress(OSError):
                    one.send(framed * 100)
            for one in writers:
                with contextlib.suppress(OSError):
                    one.send(framed[at % len(framed) :][:1])
            at += 1
            time.sleep(0.02)
        # Those that only were slow are served.
        wait_until(lambda: len(select.select(writers, [], [], 0)[0]) == len(writers), 5.0)
        for one in [*writers, *deaf]:
            one.close()


def test_clients_that_ask_and_ask(tmp_path: Path) -> None:
    """A flood over TCP, read or not: the worker is not held up for as long as to be taken for dead."""
    wire = dns.message.make_query("s1.shop.svc.cluster.local.", "A").to_wire()
    framed = (struct.pack(">H", len(wire)) + wire) * 1000
    with server(tmp_path, workers=1) as fastdns, unharmed(fastdns, "100 clients that ask and ask over TCP"):
        asking = []
        for number in range(100):
            one = socket.socket()
            if number % 2:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            one.connect(("127.0.0.1", fastdns.port))
            one.setblocking(False)
            asking.append(one)
        ends_s = time.monotonic() + (30.0 if CHAOS_S else 5.0)
        while time.monotonic() < ends_s:
            for number, one in enumerate(asking):
                with contextlib.suppress(OSError):
                    one.send(framed)
                if number % 2 == 0:
                    with contextlib.suppress(OSError):
                        one.recv(1 << 20)
        assert fastdns.addresses(name_of(7), tcp=True) == [address_of(7)]
        for one in asking:
            one.close()


def test_many_connections_at_once(tmp_path: Path) -> None:
    """More than an event loop's own hundred wait their turn while a worker does something else."""
    with server(tmp_path, workers=1) as fastdns:
        (pid,) = fastdns.pids().workers.values()
        os.kill(pid, signal.SIGSTOP)
        try:
            waiting = [socket.create_connection(("127.0.0.1", fastdns.port), 0.5) for _ in range(500)]
        finally:
            os.kill(pid, signal.SIGCONT)
        for one in waiting:
            one.close()
        assert fastdns.pids().workers == {"worker 1": pid}
