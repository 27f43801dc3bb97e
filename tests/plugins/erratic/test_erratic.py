"""Answers that are dropped, truncated or late, beside CoreDNS; over both transports, from several workers."""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import dns.flags
import dns.message
import pytest

from fastdns.corefile import load
from fastdns.errors import CorefileError
from fastdns.plugins.erratic.config import Config
from tests.plugins.beside import Both, Case, ask, ids
from tests.support import Server, wait_until

COREFILE = """
all.example:DNS_PORT {
    erratic {
        drop 0
    }
}
large.example:DNS_PORT {
    erratic {
        truncate 0
        drop 0
        large
    }
}
cut.example:DNS_PORT {
    erratic {
        truncate 1
    }
}
drop3.example:DNS_PORT {
    erratic {
        drop 3
    }
}
default.example:DNS_PORT {
    erratic
}
truncate2.example:DNS_PORT {
    erratic {
        truncate
    }
}
truncate3.example:DNS_PORT {
    erratic {
        truncate 3
    }
}
both.example:DNS_PORT {
    erratic {
        drop
        delay 2 1ms
    }
}
late.example:DNS_PORT {
    erratic {
        delay 2 80ms
        truncate 4
    }
}
"""


def of_type_a(zone: str) -> str:
    return f"a.{zone}. 0 IN A 192.0.2.53"


def transfer(zone: str, soas: int) -> list[str]:
    """The records of a small zone."""
    soa = f"{zone}. 0 IN SOA sns.dns.icann.org. noc.dns.icann.org. 2018050825 7200 3600 1209600 3600"
    return [
        *[soa] * soas,
        f"{zone}. 0 IN NS a.{zone}.",
        f"{zone}. 0 IN NS b.{zone}.",
        f"a.{zone}. 0 IN AAAA 2001:bd8::53",
        f"b.{zone}. 0 IN AAAA 2001:500::54",
    ]


CASES = [
    Case("a.all.example.", answer=[of_type_a("all.example")], flags="AA", why="an address"),
    Case("A.all.example.", "AAAA", answer=["A.all.example. 0 IN AAAA 2001:db8::53"], flags="AA", why="an address"),
    Case("a.all.example.", answer=[of_type_a("all.example")], flags="AA", tcp=True, why="over TCP"),
    Case("a.all.example.", "MX", rcode="SERVFAIL", flags="", why="it has no other type"),
    Case("all.example.", "ANY", rcode="SERVFAIL", flags="", why="it has no other type"),
    Case("a.large.example.", answer=[of_type_a("large.example")] * 30, flags="AA", why="30 records", dnssec=True),
    Case("a.large.example.", answer=[of_type_a("large.example")] * 30, flags="AA", tcp=True, why="30 records"),
    Case(
        "a.large.example.", "AAAA", answer=["a.large.example. 0 IN AAAA 2001:db8::53"], flags="AA", why="one record"
    ),
]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    with Both(tmp_path_factory.mktemp("erratic"), COREFILE) as both:
        yield both


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_answers(both: Both, case: Case) -> None:
    both.check(case)


def course(port: int, zone: str, count: int) -> str:
    """What becomes of so many queries, one after the other: answered, truncated (t) or dropped (x)."""
    said = ""
    for _ in range(count):
        reply = ask(Case(f"a.{zone}.example."), port, 0.15)
        said += "x" if reply is None else "t" if reply.flags & dns.flags.TC else "."
    return said


@pytest.mark.parametrize(
    ("zone", "expected", "theirs"),
    [
        ("drop3", "x..x..x", "x..x..x"),
        ("default", "x.x.", "x.x."),
        ("cut", "tttt", "t.t."),
        ("truncate2", "t.t.t.", "tt..tt"),
        ("truncate3", "t..t..", "t...t."),
        ("both", "x.x.", "...."),
    ],
)
def test_which_queries(both: Both, zone: str, expected: str, theirs: str) -> None:
    assert course(both.fastdns.port, zone, len(expected)) == expected
    if both.coredns is not None:
        assert course(both.coredns.port, zone, len(expected)) == theirs


@pytest.mark.parametrize("tcp", [False, True], ids=["UDP", "TCP"])
def test_a_late_answer_is_truncated_as_its_number_says(both: Both, tcp: bool) -> None:
    times, cut = [], ""
    for _ in range(4):
        began = time.monotonic()
        reply = ask(Case("a.late.example.", tcp=tcp), both.fastdns.port)
        times.append(time.monotonic() - began)
        assert reply is not None
        assert len(reply.answer) == 1
        cut += "t" if reply.flags & dns.flags.TC else "."
    assert min(times[0], times[2]) >= 0.08
    assert cut == "t..."


def transferred(port: int, zone: str) -> list[str]:
    """The records of the one message of a transfer, in their order."""
    query = dns.message.make_query(zone, "AXFR").to_wire()
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.sendall(len(query).to_bytes(2, "big") + query)
        stream = connection.makefile("rb")
        reply = stream.read(int.from_bytes(stream.read(2), "big"))
    message = dns.message.from_wire(reply, xfr=True, one_rr_per_rrset=True)
    assert message.flags & dns.flags.AA
    return [f"{rrset.name} {rrset.ttl} IN {rrset.to_text().split()[3]} {rrset[0]}" for rrset in message.answer]


@pytest.mark.parametrize(("zone", "soas"), [("all.example", 2), ("cut.example", 1)], ids=["whole", "truncated"])
def test_a_transfer(both: Both, zone: str, soas: int) -> None:
    records = transferred(both.fastdns.port, zone)
    assert sorted(records) == sorted(transfer(zone, soas))
    assert " SOA " in records[0]
    if both.coredns is not None and soas == 2:
        assert transferred(both.coredns.port, zone) == records


def all_ask(port: int, count: int, answers: int) -> None:
    """So many clients ask at once. Wait until as many as expected have an answer; no other one gets any."""
    query = dns.message.make_query("a.example.", "A").to_wire()
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(count)]
        for client in clients:
            client.sendto(query, ("127.0.0.1", port))

        def answered() -> int:
            return len(select.select(clients, [], [], 0)[0])

        wait_until(lambda: answered() >= answers)
        assert answered() == answers


def test_all_workers_count_together_and_ready_flips(tmp_path: Path) -> None:
    corefile = """
    .:DNS_PORT {
        erratic {
            drop 3
        }
        ready 127.0.0.1:READY_PORT {
            monitor continuously
        }
    }
    """
    with Server(tmp_path, corefile, workers=2) as server:
        states = []
        for _ in range(7):
            states.append(server.http("/ready"))
            ask(Case("a.example."), server.port, 0.15)
        assert states == [(503, "erratic")] * 3 + [(200, "OK")] * 2 + [(503, "erratic")] * 2
        # From many ports, so that both workers have their share: of three queries one gets nothing.
        all_ask(server.port, 60, 40)
        server.reload()
        assert server.http("/ready") == (503, "erratic")
        ask(Case("a.example."), server.port, 0.15)
        assert ask(Case("a.example."), server.port) is not None


def options(text: str) -> Config:
    return load(f". {{\n{text}\n}}", environ={}).blocks[0].plugins["erratic"]


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ("", Config(drop=2)),
        ("drop", Config(drop=2)),
        ("drop 0", Config(drop=0)),
        ("truncate", Config(drop=0, truncate=2)),
        ("truncate 0", Config(drop=2)),
        ("delay", Config(drop=0, delay=2, delay_s=0.1)),
        ("delay 3", Config(drop=0, delay=3, delay_s=0.1)),
        ("delay 3 1m", Config(drop=0, delay=3, delay_s=60.0)),
        ("delay 0 1s", Config(drop=2, delay_s=1.0)),
        ("drop 5\ndelay 3 5ms\ntruncate 7\nlarge", Config(5, 7, 3, 0.005, True)),
        ("drop\ndelay", Config(drop=2, delay=2)),
    ],
)
def test_options(rules: str, expected: Config) -> None:
    assert options(f"erratic {{\n{rules}\n}}") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("erratic 3", "Corefile:2 - .*no argument"),
        ("erratic {\ndrop -1\n}", "Corefile:3 - .*the amount of drop must be a whole number from 0"),
        ("erratic {\ndrop 1 2\n}", "at most one argument"),
        ("erratic {\ntruncate x\n}", "the amount of truncate must be"),
        ("erratic {\ndrop 2147483648\n}", "from 0 to 2147483647"),
        ("erratic {\ndelay 1 2\n}", "the delay: '2' is no duration"),
        ("erratic {\ndelay 1 61s\n}", "the delay must be from 0s to 60s"),
        ("erratic {\ndelay 1 -1s\n}", "the delay must be from 0s to 60s"),
        ("erratic {\ndelay 1 1s 1\n}", "at most an amount and a duration"),
        ("erratic {\nlarge 1\n}", "no argument"),
        ("erratic {\nslow\n}", "unknown option 'slow'"),
    ],
)
def test_errors(text: str, expected: str) -> None:
    with pytest.raises(CorefileError, match=expected):
        options(text)
