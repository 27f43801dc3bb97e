"""Clients that ask in unusual ways, over each transport on TCP: one server for all of them."""

from __future__ import annotations

import contextlib
import random
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import dns.message
import pytest

from fastdns.transports.table import DEFAULT_SCHEME, Transport
from tests.plugins.forward.certificates import Authority
from tests.plugins.forward.engine.support import Asked, Upstream, echo
from tests.support import Server
from tests.transports.served import OVER_TCP, certificates, each, everywhere, port_of, ports, trusting
from tests.transports.speaking import CONNECT, Ended, OverTcp, StreamConnection

COREFILE = """\
held.test:DNS_PORT {
    bind 127.0.0.1
    forward . 127.0.0.1:UPSTREAM
}
.:DNS_PORT {
    bind 127.0.0.1
    template IN A {
        answer "{{ .Name }} 60 IN A 192.0.2.1"
    }
    template IN TXT {
        answer "{{ .Name }} 60 IN TXT LONG"
    }
}
"""
IMPATIENT = """\
.:OTHER_PORT {
    bind 127.0.0.1
    timeouts {
        read 1s
        idle 1s
    }
    whoami
}
"""
LONG = " ".join(["x" * 250] * 40)
# The timeouts, and what a busy machine adds.
PATIENCE_S = 8.0


@dataclass
class Holding:
    """An upstream that answers when it may."""

    held: list[Asked] = field(default_factory=list)
    released: bool = False
    upstream: Upstream | None = None

    def script(self, asked: Asked) -> bytes | None:
        if self.released:
            return echo(asked)
        self.held.append(asked)
        return None

    def release(self) -> None:
        assert self.upstream is not None
        self.released = True
        for asked in self.held:
            self.upstream.say(asked, echo(asked))
        self.held.clear()


@dataclass
class World:
    """The server; at: ports of schemes; impatient: of the block with short timeouts."""

    server: Server
    at: dict[str, int]
    impatient: dict[str, int]
    authority: Authority
    holding: Holding

    def connect(self, row: Transport, *, impatient: bool = False, shaken: bool = True) -> StreamConnection:
        at, plain = (self.impatient, "OTHER_PORT") if impatient else (self.at, "DNS_PORT")
        connect = CONNECT[row.name]
        assert isinstance(connect, OverTcp)
        return connect(port_of(row, at, self.server.ports[plain]), trusting(self.authority), shaken=shaken)

    def answers(self, row: Transport) -> bool:
        with self.connect(row) as connection:
            connection.ask([query(1)])
            return connection.replies(1)[0][3] & 15 == 0


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder: Path = tmp_path_factory.mktemp("rude")
    authority = certificates(folder)
    at, impatient = ports(), ports()
    holding = Holding()
    with Upstream(holding.script) as holding.upstream:
        text = everywhere(COREFILE.replace("UPSTREAM", str(holding.upstream.port)).replace("LONG", LONG), at)
        with Server(folder, text + everywhere(IMPATIENT, impatient, "OTHER_PORT"), workers=1) as server:
            workers = server.pids().workers
            yield World(server, at, impatient, authority, holding)
            assert server.pids().workers == workers and "Traceback" not in server.log


def query(number: int, name: str = "www.example.", kind: str = "A") -> bytes:
    return dns.message.make_query(name, kind, id=number).to_wire()


def numbers(replies: list[bytes]) -> list[int]:
    return [int.from_bytes(reply[:2], "big") for reply in replies]


@each(OVER_TCP)
def test_replies_come_as_they_are_ready(world: World, row: Transport) -> None:
    """RFC 7766 section 6.2.1.1: a query that waits holds up none behind it. And a client that closes its side still
    gets all replies (RFC 7766 section 6.2.4)."""
    world.holding.released = False
    with world.connect(row) as connection:
        connection.ask([query(1, f"{row.name}.held.test"), query(2), query(3)])
        assert sorted(numbers(connection.replies(2))) == [2, 3]
        connection.ask([query(4)])
        connection.end_sending()
        assert numbers(connection.replies(1)) == [4]
        world.holding.release()
        assert numbers(connection.replies(1)) == [1]
        assert connection.ended_within(PATIENCE_S)


@each(OVER_TCP)
def test_byte_by_byte(world: World, row: Transport) -> None:
    """The handshake as well; and replies that are larger than a record."""
    with world.connect(row, shaken=False) as connection:
        connection.piece = 1
        if connection.tls is not None:
            connection.shake_hands()
        for number in range(3):
            connection.ask([query(number, kind="TXT")])
            [reply] = connection.replies(1)
            assert numbers([reply]) == [number] and len(reply) > 10_000


@each(OVER_TCP)
def test_many_at_once(world: World, row: Transport) -> None:
    """In one write, also with replies that do not fit into the socket."""
    with world.connect(row) as connection:
        connection.ask([query(number, kind="TXT" if number % 2 else "A") for number in range(60)])
        assert sorted(numbers(connection.replies(60))) == [*range(60)]


def begun(connection: StreamConnection) -> bytes:
    """How a handshake, or a query in clear, begins."""
    if connection.tls is None:
        connection.session.ask(query(1))
        return connection.session.outgoing()
    with contextlib.suppress(ssl.SSLWantReadError):
        connection.tls.do_handshake()
    return connection.made.read()


def dawdlers(world: World) -> Iterator[tuple[str, StreamConnection, bytes]]:
    """Connections that stop somewhere on the way to a query; and what each says next, a byte at a time."""
    for row in OVER_TCP:
        yield f"{row.name}: nothing", world.connect(row, impatient=True, shaken=False), b""
        connection = world.connect(row, impatient=True, shaken=False)
        first = begun(connection)
        yield f"{row.name}: the first byte", connection, b""
        connection.socket.sendall(first[:1])
        connection = world.connect(row, impatient=True, shaken=False)
        yield f"{row.name}: byte for byte", connection, begun(connection)
        if row.scheme == DEFAULT_SCHEME:
            continue
        yield f"{row.name}: after the handshake", world.connect(row, impatient=True), b""
        connection = world.connect(row, impatient=True)
        connection.session.ask(query(1))
        record = connection.encrypted(connection.session.outgoing())
        connection.socket.sendall(record[: len(record) // 2])
        yield f"{row.name}: half a record", connection, record[len(record) // 2 :][:-1]
        connection = world.connect(row, impatient=True)
        connection.session.ask(query(1))
        said = connection.session.outgoing()
        connection.socket.sendall(connection.encrypted(said[: len(said) - 1]))
        yield f"{row.name}: half a query", connection, b""


def test_slow_loris(world: World) -> None:
    """Whoever does not get to a query in time is cut off, though it goes on little by little; others are served."""
    late: list[str] = []

    def dawdle(what: str, connection: StreamConnection, rest: bytes) -> None:
        ends = time.monotonic() + PATIENCE_S
        for byte in rest:
            try:
                connection.socket.sendall(bytes([byte]))
            except OSError:
                break
            with contextlib.suppress(TimeoutError):
                if not connection.receive(0.1):
                    break
            if time.monotonic() > ends:
                break
        if not connection.ended_within(ends - time.monotonic()):
            late.append(what)

    with contextlib.ExitStack() as stack:
        threads = []
        for what, connection, rest in dawdlers(world):
            stack.enter_context(connection)
            threads.append(threading.Thread(target=dawdle, args=(what, connection, rest), daemon=True))
            threads[-1].start()
        while any(thread.is_alive() for thread in threads):
            assert all(world.answers(row) for row in OVER_TCP)
        assert not late


@each(OVER_TCP)
def test_what_is_no_query(world: World, row: Transport) -> None:
    """Random bytes before and after a handshake: that connection ends or is silent, and no other."""
    rng = random.Random(7)
    with world.connect(row) as other:
        for number in range(20):
            junk = rng.randbytes(rng.randrange(1, 3000))
            with socket.create_connection(("127.0.0.1", other.socket.getpeername()[1])) as raw:
                raw.sendall(junk)
            with world.connect(row) as connection, contextlib.suppress(Ended):
                connection.write(connection.encrypted(junk))
                connection.end_sending()
                assert connection.ended_within(PATIENCE_S)
            other.ask([query(number)])
            assert numbers(other.replies(1)) == [number]
