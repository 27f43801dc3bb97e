"""Names that mean the host itself, beside CoreDNS."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fastdns.corefile import load
from fastdns.errors import CorefileError
from fastdns.plugins.local.config import Config
from tests.plugins.beside import Both, Case, ids

# whoami answers names that are not local.
COREFILE = """
.:DNS_PORT {
    local
    whoami
    prometheus 127.0.0.1:METRICS_PORT
}
strict.example:DNS_PORT localhost:DNS_PORT {
    local {
        localhost_prefix off
    }
    whoami
}
chaos.example:DNS_PORT {
    chaos
    local
    whoami
}
"""
COREDNS = COREFILE.replace("    prometheus 127.0.0.1:METRICS_PORT\n", "")
SOA = "604800 IN SOA localhost. root.localhost. 1 0 0 0 604800"
WEEK = "604800 IN"


def positive(qname: str, qtype: str, *rdata: str, **more: object) -> Case:
    """A name with records."""
    answer = [f"{qname} {WEEK} {qtype} {one}" for one in rdata]
    return Case(qname, qtype, answer, flags="", **more)  # type: ignore[arg-type]


def denied(qname: str, qtype: str, zone: str, rcode: str = "NOERROR", **more: object) -> Case:
    """A name without records of the type, with the SOA record of a zone."""
    return Case(qname, qtype, authority=[f"{zone} {SOA}"], rcode=rcode, flags="", **more)  # type: ignore[arg-type]


def passed_on(qname: str, qtype: str = "A", **more: object) -> Case:
    """The next plugin's."""
    return Case(qname, qtype, additional=None, flags="AA", **more)  # type: ignore[arg-type]


NAME = "1.0.0.127.in-addr.arpa."
ENT = "RFC 8020: a name below exists"
CASES = [
    positive("localhost.", "A", "127.0.0.1", why="the host"),
    positive("localhost.", "AAAA", "::1", why="the host"),
    positive("LocalHost.", "A", "127.0.0.1", why="in the client's spelling"),
    positive("localhost.", "SOA", "localhost. root.localhost. 1 0 0 0 604800", why="the zone"),
    positive("localhost.", "NS", "localhost.", why="the zone"),
    positive("localhost.", "A", "127.0.0.1", tcp=True, why="over TCP"),
    denied("localhost.", "MX", "localhost.", why="no data"),
    denied("localhost.", "ANY", "localhost.", why="no type of its own"),
    positive("a.localhost.", "A", "127.0.0.1", why="below it"),
    positive("b.a.localhost.", "AAAA", "::1", why="at any depth"),
    denied("a.localhost.", "MX", "a.localhost.", why="a zone of its own"),
    denied("a.localhost.", "SOA", "a.localhost.", why="without SOA in the answer"),
    denied("a.localhost.", "NS", "a.localhost.", why="and without NS"),
    positive("localhost.example.org.", "A", "127.0.0.1", why="what a search domain makes"),
    positive("Localhost.Example.org.", "AAAA", "::1", why="in the client's spelling"),
    denied("localhost.example.org.", "TXT", "localhost.example.org.", why="no data"),
    passed_on("xlocalhost.", why="another label"),
    passed_on("localhostx.example.org.", why="another label"),
    passed_on("a.localhost.example.org.", why="neither first nor last"),
    passed_on(".", why="shorter than any"),
    positive("0.in-addr.arpa.", "SOA", "localhost. root.localhost. 1 0 0 0 604800", why="a reverse zone"),
    positive("127.in-addr.arpa.", "NS", "localhost.", why="a reverse zone"),
    positive("255.in-addr.arpa.", "NS", "localhost.", why="a reverse zone"),
    denied("0.in-addr.arpa.", "A", "0.in-addr.arpa.", why="no data"),
    denied("127.IN-addr.arpa.", "PTR", "127.IN-addr.arpa.", why="no data"),
    denied("255.in-addr.arpa.", "AAAA", "255.in-addr.arpa.", why="no data"),
    positive(NAME, "PTR", "localhost.", why="127.0.0.1"),
    denied(NAME, "A", "127.in-addr.arpa.", why="no data"),
    denied(NAME, "ANY", "127.in-addr.arpa.", why="no data"),
    denied("2.0.0.127.in-addr.arpa.", "PTR", "127.in-addr.arpa.", "NXDOMAIN", why="another address"),
    denied("x." + NAME, "PTR", "127.in-addr.arpa.", "NXDOMAIN", why="below a name"),
    denied("1.0.0.0.in-addr.arpa.", "PTR", "0.in-addr.arpa.", "NXDOMAIN", why="another zone"),
    denied("255.255.255.255.in-addr.arpa.", "PTR", "255.in-addr.arpa.", "NXDOMAIN", why="another zone"),
    denied("0.127.in-addr.arpa.", "A", "127.in-addr.arpa.", why="between", coredns=ENT),
    denied("0.0.127.in-addr.arpa.", "PTR", "127.in-addr.arpa.", why="between", coredns=ENT),
    denied("1.127.in-addr.arpa.", "A", "127.in-addr.arpa.", "NXDOMAIN", why="not between"),
    passed_on("126.in-addr.arpa.", "PTR", why="no zone of it"),
    passed_on("27.in-addr.arpa.", "PTR", why="no zone of it"),
    passed_on("1.0.0.0.ip6.arpa.", "PTR", why="IPv6"),
    passed_on("localhost.strict.example.", why="the prefix does not count"),
    positive("a.localhost.", "A", "127.0.0.1", why="names below do, whatever the prefix"),
    positive("localhost.chaos.example.", "A", "127.0.0.1", why="class IN"),
    passed_on("localhost.chaos.example.", qclass="HS", why="another class", coredns="it has records of class IN"),
]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    with Both(tmp_path_factory.mktemp("local"), COREFILE, coredns=COREDNS) as both:
        yield both


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_answers(both: Both, case: Case) -> None:
    both.check(case)


def test_names_that_have_localhost_in_them_are_counted(both: Both) -> None:
    def total() -> float:
        return both.fastdns.total("coredns_local_localhost_requests_total")

    before = total()
    for qname in (
        "localhost.example.org.",
        "localhost.b.",
        "localhost.example.org.",
        "localhost.",
        NAME,
        "example.org.",
    ):
        both.fastdns.query(qname)
    assert total() == before + 3


def options(text: str) -> Config:
    return load(f". {{\n{text}\n}}", environ={}).blocks[0].plugins["local"]


@pytest.mark.parametrize(
    ("text", "prefix"),
    [
        ("local", True),
        ("local {\n}", True),
        ("local {\nlocalhost_prefix on\n}", True),
        ("local {\nlocalhost_prefix off\n}", False),
        ("local {\nlocalhost_prefix off\nlocalhost_prefix on\n}", True),
        ("local {\nlocalhost_prefix off\n}\nlocal", False),
    ],
)
def test_options(text: str, prefix: bool) -> None:
    assert options(text) == Config(prefix)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("local host", "Corefile:2 - .*no argument"),
        ("local {\nlocalhost_prefix\n}", "Corefile:3 - .*one argument"),
        ("local {\nlocalhost_prefix on off\n}", "one argument"),
        ("local {\nlocalhost_prefix maybe\n}", "'maybe' is none of on, off"),
        ("local {\nprefix on\n}", "unknown option 'prefix'"),
    ],
)
def test_errors(text: str, expected: str) -> None:
    with pytest.raises(CorefileError, match=expected):
        options(text)
