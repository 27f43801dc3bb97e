"""What the server says of itself in the class CH, beside CoreDNS."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.plugins.beside import Both, Case, ask, ids

HOST = socket.gethostname()
# The first of two occurrences counts.
COREFILE = """
version.bind:DNS_PORT version.server:DNS_PORT authors.bind:DNS_PORT hostname.bind:DNS_PORT id.server:DNS_PORT {
    chaos "one two" me@example.org "the others" me@example.org
    chaos second
}
example.org:DNS_PORT {
    whoami
}
"""


def case(qname: str, *texts: str, **more: object) -> Case:
    """A question of class CH, and the texts of its answer."""
    answer = [f'{qname} 0 CH TXT "{text}"' for text in texts]
    return Case(qname, **{"qtype": "TXT", "qclass": "CH", "answer": answer, "flags": "", **more})  # type: ignore[arg-type]


CASES = [
    case("version.bind.", "one two", why="a version with a space"),
    case("version.server.", "one two", why="its other name"),
    case("VERSION.Bind.", "one two", why="the case of a name is the client's"),
    case("version.bind.", "one two", tcp=True, why="over TCP"),
    case("version.bind.", "one two", dnssec=True, why="with EDNS"),
    case("version.bind.", "one two", recursion=False, why="nobody needs to want recursion"),
    case("authors.bind.", "me@example.org", "the others", why="each author once"),
    case("hostname.bind.", HOST, why="the host"),
    case("id.server.", HOST, why="RFC 4892's name of the host"),
    case("version.bind.", qtype="A", rcode="SERVFAIL", why="another type is the next plugin's; there is none"),
    case("version.bind.", qtype="ANY", rcode="SERVFAIL", why="and so is ANY"),
    case("a.version.bind.", rcode="SERVFAIL", why="a name below is the next plugin's"),
    case("version.bind.", qclass="IN", rcode="SERVFAIL", why="and so is the class IN"),
    case("version.bind.", qclass="ANY", rcode="SERVFAIL", why="and the class ANY"),
    case("version.bind.", qclass="NONE", rcode="REFUSED", coredns="it takes the class", why="RFC 6895"),
    case("a.example.org.", qclass="HS", additional=None, flags="AA", why="as do other blocks of the listener"),
    case("bind.", rcode="REFUSED", why="no zone holds it"),
]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    with Both(tmp_path_factory.mktemp("chaos"), COREFILE) as both:
        yield both


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_answers(both: Both, case: Case) -> None:
    both.check(case)


def test_no_author_is_always_the_first(both: Both) -> None:
    firsts = set()
    for _ in range(100):
        reply = ask(Case("authors.bind.", "TXT", qclass="CH"), both.fastdns.port)
        assert reply is not None
        firsts.add(reply.answer[0].to_text())
    assert len(firsts) == 2
