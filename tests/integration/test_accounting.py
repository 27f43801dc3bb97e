"""No query vanishes: what was sent is what was answered, and what has failed for a reason that is counted."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dns.edns
import dns.message
import dns.opcode
import dns.query
import dns.rdataclass
import dns.rdatatype
import pytest

from fastdns.metrics.reasons import REASONS
from fastdns.plugins.order import load
from tests.plugins.forward.engine.bursts import send_batch
from tests.plugins.forward.engine.support import (
    Client,
    Upstream,
    big_buffer,
    closed_port,
    good,
    question,
    response,
    silent,
)
from tests.support import WEB, Server, wait_until

COREFILE = """\
cluster.local:DNS_PORT test:DNS_PORT {
    bind 127.0.0.1
    errors
    prometheus 127.0.0.1:METRICS_PORT
    timeouts {
        maxtcpqueries 40
    }
    kubernetes cluster.local {
        manifests "MANIFESTS"
    }
    forward good.test GOOD {
        max_fails 0
    }
    forward refused.test REFUSED {
        max_fails 0
    }
    forward silent.test SILENT {
        max_fails 0
        read_timeout 300ms
        max_connect_attempts 1
    }
    forward waits.test SILENT {
        max_fails 0
        read_timeout 4s
    }
    forward few.test SILENT {
        max_fails 0
        read_timeout 4s
        max_concurrent 2
    }
    forward later.test LATER {
        max_fails 0
        read_timeout 4s
        prefer_udp
    }
    forward garbage.test GARBAGE {
        max_fails 0
        max_connect_attempts 1
    }
}
"""
# Its reasons are known once it is loaded.
load("forward")
# Of all tables; a quarter of it over TCP.
IN_FLIGHT = 64


def asks(name: str, kind: str = "A", **options: object) -> bytes:
    """A query."""
    return dns.message.make_query(name, kind, **options).to_wire()  # type: ignore[arg-type]


def of_opcode(name: str, opcode: dns.opcode.Opcode) -> bytes:
    """A query with another opcode."""
    message = dns.message.make_query(name, "SOA")
    message.set_opcode(opcode)
    return message.to_wire()


def of_edns_version_1() -> bytes:
    message = dns.message.make_query(WEB, "A", use_edns=0)
    return message.to_wire().replace(b"\0\0\x29\x04\xd0\0\0", b"\0\0\x29\x04\xd0\0\1")


def padded(name: str, size: int) -> bytes:
    """A query of so many bytes (RFC 7830)."""
    wire = asks(name)
    room = size - len(wire) - 15
    wire += b"\0\0\x29\x04\xd0\0\0\0\0" + struct.pack(">HHH", room + 4, 12, room) + bytes(room)
    return wire[:11] + b"\1" + wire[12:]


@dataclass(frozen=True)
class Case:
    """One kind of query. rcode: of its reply, None where there is none. reason: None where it is served."""

    why: str
    wire: bytes
    rcode: str | None
    reason: str | None = None


NOTIFY, UPDATE = dns.opcode.NOTIFY, dns.opcode.UPDATE
CASES = [
    Case("a name of the cluster", asks(WEB), "NOERROR"),
    Case("a denial", asks("no.shop.svc.cluster.local."), "NXDOMAIN"),
    Case("an upstream's name", asks("www.good.test."), "NOERROR"),
    Case("an upstream's own error", asks("failing.good.test."), "SERVFAIL"),
    Case("half a header", b"\0\1\0", None, "short"),
    Case("a response", response(dns.message.make_query(WEB, "A")).to_wire(), None, "response"),
    Case("two questions", asks(WEB)[:4] + b"\0\2" + asks(WEB)[6:], "FORMERR", "malformed"),
    Case("a name that does not end", asks(WEB)[:20], "FORMERR", "malformed"),
    Case("UPDATE", of_opcode(WEB, UPDATE), "NOTIMP", "not_implemented"),
    Case("NOTIFY", of_opcode("www.good.test.", NOTIFY), "NOTIMP", "plugin"),
    Case("EDNS version 1", of_edns_version_1(), "BADVERS", "edns_version"),
    Case("no block's name", asks("www.example.org."), "REFUSED", "no_zone"),
    Case("a class of no data", asks(WEB, rdclass=dns.rdataclass.NONE), "REFUSED", "no_zone"),
    Case("no plugin's name", asks("www.nobody.test."), "SERVFAIL", "no_next_plugin"),
    Case("a transfer", asks("cluster.local.", "AXFR"), "REFUSED", "plugin"),
    Case("nobody listens", asks("www.refused.test."), "SERVFAIL", "upstream_refused"),
    Case("nobody answers", asks("www.silent.test."), "SERVFAIL", "upstream_timeout"),
    Case("garbage comes back", asks("www.garbage.test."), "SERVFAIL", "upstream_malformed"),
    Case("too long for an upstream", padded("www.good.test.", 4090), "SERVFAIL", "too_long"),
]
# Over TCP the attempt ends a query, or the query's own time, whichever is looked at first.
OVER_TCP = {"upstream_refused": {"upstream_stream"}, "upstream_timeout": {"upstream_stream", "upstream_timeout"}}


@pytest.fixture(scope="module")
def up() -> Iterator[Upstream]:
    """An upstream that answers when it is told to."""
    with Upstream(silent) as later:
        yield later


@pytest.fixture(scope="module")
def fastdns(tmp_path_factory: pytest.TempPathFactory, up: Upstream) -> Iterator[Server]:
    """One worker, as what waits where is a part of what is looked at."""

    def says(asked: object) -> object:
        message = asked.message  # type: ignore[attr-defined]
        failing = message.question[0].name.to_text().lower().startswith("failing")
        return response(message, 2) if failing else good(asked)  # type: ignore[arg-type]

    def garbage(asked: object) -> bytes:
        wire: bytes = asked.wire  # type: ignore[attr-defined]
        end = wire.index(b"\0", 12) + 5
        return wire[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + wire[12:end] + b"\xc0"

    with (
        Upstream(says, tcp=says) as well,  # type: ignore[arg-type]
        Upstream(silent, tcp=silent) as deaf,
        Upstream(garbage, tcp=garbage) as mad,
        closed_port() as nobody,
    ):
        text = COREFILE
        found = {"GOOD": well.to, "LATER": up.to, "REFUSED": nobody, "SILENT": deaf.to, "GARBAGE": mad.to}
        for word, to in found.items():
            text = text.replace(word, to)
        environ = {"FASTDNS_MAX_IN_FLIGHT": str(IN_FLIGHT)}
        with Server(tmp_path_factory.mktemp("counted"), text, workers=1, environ=environ) as server:
            yield server


class Books:
    """``with Books(fastdns) as books``: what its counters have grown by in the block, and that it adds up.

    sent: whole messages that have been sent. replies: their codes.
    """

    def __init__(self, fastdns: Server) -> None:
        self.fastdns = fastdns
        self.sent = 0
        self.replies: Counter[str] = Counter()

    def read(self) -> tuple[int, Counter[tuple[str, str]]]:
        failed: Counter[tuple[str, str]] = Counter()
        queries = 0
        for (name, pairs), value in self.fastdns.samples().items():
            labels = dict(pairs)
            if name == "fastdns_queries_failed_total":
                failed[labels["reason"], labels["reply"]] = int(value)
            elif name == "fastdns_queries_total":
                queries = int(value)
        return queries, failed

    def __enter__(self) -> Books:
        self.before, self.failed_before = self.read()
        return self

    def grown(self) -> Counter[tuple[str, str]]:
        """What has failed since, by reason and reply."""
        return self.read()[1] - self.failed_before

    def silent(self) -> int:
        """How many queries got no reply."""
        return sum(count for (_, reply), count in self.grown().items() if reply == "none")

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is not None:
            return
        wait_until(lambda: sum(self.replies.values()) + self.silent() == self.sent, 10, str(vars(self)))
        queries, _ = self.read()
        unseen = self.grown()["socket_full", "none"] + self.grown()["unserved", "none"]
        assert queries - self.before + unseen == self.sent
        # What the server itself has said as an error, it has counted as one.
        for code in ("FORMERR", "NOTIMP", "REFUSED", "BADVERS"):
            counted = sum(count for (_, reply), count in self.grown().items() if reply == code)
            assert counted == self.replies[code], code


def rcode(wire: bytes) -> str:
    """The code of a reply, the EDNS part included."""
    return dns.rcode.to_text(dns.message.from_wire(wire, ignore_trailing=True).rcode())


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.why)
def test_each_query_is_answered_or_counted(fastdns: Server, case: Case, tcp: bool) -> None:
    """Three of a kind: each is counted once."""
    with Books(fastdns) as books:
        for number in range(3):
            wire = bytes((0, number)) + case.wire[2:]
            books.sent += 1
            if tcp:
                with socket.create_connection(("127.0.0.1", fastdns.port), 5) as stream:
                    stream.sendall(struct.pack(">H", len(wire)) + wire)
                    stream.shutdown(socket.SHUT_WR)
                    reply = stream.makefile("rb").read()[2:]
            else:
                client = Client(fastdns.port)
                client.send(wire)
                reply = b""
                with contextlib.suppress(TimeoutError):
                    reply = client.receive_wire(0.1 if case.rcode is None else 8.0)
                client.sock.close()
            if reply:
                books.replies[rcode(reply)] += 1
    assert books.replies == Counter({case.rcode: 3} if case.rcode else {})
    if case.reason is None:
        assert not books.grown()
    else:
        reasons = OVER_TCP.get(case.reason, {case.reason}) if tcp else {case.reason}
        assert books.grown().keys() <= {(reason, case.rcode or "none") for reason in reasons}
        assert sum(books.grown().values()) == 3


def extended(reply: dns.message.Message) -> list[tuple[int, str | None]]:
    """The extended errors of a reply: codes and texts (RFC 8914)."""
    return [(int(one.code), one.text) for one in reply.options if isinstance(one, dns.edns.EDEOption)]


# What is read as a whole message of EDNS version 0.
EXPLAINED = [
    case for case in CASES
    if case.reason not in (None, "short", "response", "malformed", "not_implemented", "edns_version")
]  # fmt: skip


@pytest.mark.parametrize("case", EXPLAINED, ids=lambda case: case.why)
def test_a_client_with_edns_learns_why(fastdns: Server, case: Case) -> None:
    """By the code of the reason; without EDNS, there is no OPT record for it."""
    reason = REASONS[first_of(case.reason or "", case.rcode or "")]
    asked = dns.message.from_wire(case.wire)
    if asked.edns < 0:
        assert dns.query.udp(asked, "127.0.0.1", 8, port=fastdns.port).edns < 0
        asked.use_edns(0)
    assert reason.ede is not None
    assert extended(dns.query.udp(asked, "127.0.0.1", 8, port=fastdns.port)) == [(reason.ede, reason.name)]


def first_of(name: str, reply: str) -> int:
    """The number of the first reason with a name, of the server's own or a plugin's."""
    return next(number for number, one in enumerate(REASONS) if (one.name, one.reply) == (name, reply))


def test_more_than_fits(fastdns: Server) -> None:
    """A table of 64 places, of which one stanza of many has 56: one client has 50 of them, then come others."""
    clients = [Client(fastdns.port, source=f"127.0.0.{number}") for number in range(11, 21)]
    with Books(fastdns) as books:
        for number, client in enumerate([clients[0]] * 90 + clients[1:] * 5):
            client.send(question(number).replace(b"\7example", b"\5waits\4test"))
            books.sent += 1
            if number == 89:
                wait_until(lambda: books.grown()["client_share", "SERVFAIL"] == 40)
        for client, count in zip(clients, [90] + [5] * 9, strict=True):
            for _ in range(count):
                books.replies[rcode(client.receive_wire())] += 1
            client.sock.close()
    assert books.replies == {"SERVFAIL": 135}
    assert books.grown() == {
        ("client_share", "SERVFAIL"): 40, ("in_flight", "SERVFAIL"): 39, ("upstream_timeout", "SERVFAIL"): 56,
    }  # fmt: skip


def test_max_concurrent(fastdns: Server) -> None:
    client = Client(fastdns.port)
    with Books(fastdns) as books:
        for number in range(5):
            client.send(question(number).replace(b"\7example", b"\3few\4test"))
            books.sent += 1
        for _ in range(5):
            books.replies[rcode(client.receive_wire())] += 1
        client.sock.close()
    assert books.grown()["max_concurrent", "REFUSED"] == books.replies["REFUSED"] == 3


def test_clients_that_leave(fastdns: Server, up: Upstream) -> None:
    """Over TCP, while their queries wait; and with more queries than a connection may ask."""
    waits = [question(number).replace(b"\7example", b"\5later\4test") for number in range(4)]
    with Books(fastdns) as books:
        stream = socket.create_connection(("127.0.0.1", fastdns.port), 5)
        for wire in waits:
            stream.sendall(struct.pack(">H", len(wire)) + wire)
            books.sent += 1
        wait_until(lambda: fastdns.total("fastdns_forward_waiting") == 4)
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        stream.close()
        wait_until(lambda: up.arrived.qsize() >= 4)
        # What is written before the kernel tells of the end would count as taken.
        wait_until(lambda: fastdns.total("fastdns_tcp_connections_open") == 0)
        while not up.arrived.empty():
            asked = up.next()
            up.say(asked, good(asked))
        wait_until(lambda: books.grown()["disconnected", "none"] == 4)
        wire = asks(WEB)
        with socket.create_connection(("127.0.0.1", fastdns.port), 5) as stream:
            stream.sendall((struct.pack(">H", len(wire)) + wire) * 50)
            stream.shutdown(socket.SHUT_WR)
            books.sent += 50
            got = stream.makefile("rb").read()
        size = 2 + struct.unpack_from(">H", got)[0]
        books.replies["NOERROR"] += len(got) // size
    assert books.replies["NOERROR"] == 40
    assert books.grown()["unserved", "none"] == 10
    assert fastdns.total("fastdns_tcp_connections_closed_total", reason="max_queries") >= 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root sends from port 0")
def test_a_reply_that_the_kernel_does_not_take(fastdns: Server) -> None:
    wire = asks(WEB)
    with Books(fastdns) as books, socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP) as raw:
        for _ in range(3):
            raw.sendto(struct.pack(">4H", 0, fastdns.port, 8 + len(wire), 0) + wire, ("127.0.0.1", 0))
            books.sent += 1
    assert books.grown() == {("send", "none"): 3}


def test_what_a_socket_has_no_room_for(fastdns: Server) -> None:
    """The worker stands still for a moment, and more comes than its socket holds."""
    (pid,) = fastdns.pids().workers.values()
    wires = [bytes((number >> 8, number & 255)) + asks(WEB)[2:] for number in range(200)]
    client = Client(fastdns.port)
    big_buffer(client.sock)
    with Books(fastdns) as books:
        os.kill(pid, signal.SIGSTOP)
        begun_s = time.monotonic()
        while time.monotonic() - begun_s < 1.5 and not books.grown()["socket_full", "none"]:
            for _ in range(50):
                send_batch(client.sock, wires)
                books.sent += len(wires)
        os.kill(pid, signal.SIGCONT)
        with contextlib.suppress(TimeoutError):
            while True:
                books.replies[rcode(client.receive_wire(1.0))] += 1
        client.sock.close()
    assert books.grown()["socket_full", "none"] > 0
    assert books.replies.keys() == {"NOERROR"}


def test_a_worker_that_dies(fastdns: Server) -> None:
    """Those who waited in it. The last test, as it is."""
    client = Client(fastdns.port)
    (pid,) = fastdns.pids().workers.values()
    with Books(fastdns) as books:
        for number in range(10):
            client.send(question(number).replace(b"\7example", b"\5waits\4test"))
            books.sent += 1
        wait_until(lambda: fastdns.total("fastdns_forward_waiting") == 10)
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: fastdns.pids().workers.get("worker 1", pid) != pid)
    client.sock.close()
    assert books.grown() == {("worker_died", "none"): 10}


def test_the_families_have_every_reason(fastdns: Server) -> None:
    """From the start, so that the first one shows as a change; and each of them stands in the README's table."""
    readme = (Path(__file__).parents[2] / "src/fastdns/plugins/prometheus/README.md").read_text()
    rows = {
        line.split("`")[1]: {reply.strip() for reply in line.split("|")[2].split(",")}
        for line in readme.splitlines()
        if line.startswith("| `") and line.count("|") == 5 and "_total" not in line.split("|")[1]
    }
    shown: dict[str, set[str]] = {}
    for name, pairs in fastdns.samples():
        if name == "fastdns_queries_failed_total":
            labels = dict(pairs)
            shown.setdefault(labels["reason"], set()).add(labels["reply"])
    assert shown == {reason: rows.get(reason) for reason in shown}
