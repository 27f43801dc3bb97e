"""Which sections of a reply leave with minimal, beside CoreDNS; an upstream says what there is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fastdns.corefile import load
from fastdns.errors import CorefileError
from tests.plugins.beside import Both, Case, ids
from tests.plugins.scripted import Upstream

COREFILE = """
.:DNS_PORT {
    minimal
    forward . 127.0.0.1:UPSTREAM
}
who.example:DNS_PORT {
    minimal
    whoami
}
kept.example:DNS_PORT {
    minimal
    cache
    forward . 127.0.0.1:UPSTREAM
}
"""
A = "{0} 60 IN A 192.0.2.1"
NS = "{0} 60 IN NS ns.{0}"
GLUE = "ns.{0} 60 IN A 192.0.2.53"
SOA = "example. 60 IN SOA ns.example. root.example. 1 2 3 4 5"
NSEC = "a.{0} 60 IN NSEC c.{0} A"
SIGNATURE = "{0} 60 IN RRSIG {1} 8 1 60 20360101000000 20260101000000 1 example. AAAA"
# Which records there are: of the answer, of the authority section, of the additional section.
NAMES = {
    "full.example.": ([A], [NS], [GLUE]),
    "full.kept.example.": ([A], [NS], [GLUE]),
    "plain.example.": ([A], [], []),
    "delegated.example.": ([], [NS], [GLUE]),
    "nodata.example.": ([], [SOA], []),
    "empty.example.": ([], [], [GLUE]),
    "alias.example.": (["{0} 60 IN CNAME nodata.example."], [SOA], [GLUE]),
    "referred.example.": (["{0} 60 IN CNAME www.delegated.example."], [NS], [GLUE]),
    "signed.example.": (
        [A, SIGNATURE.replace("{1}", "A")],
        [NS, SIGNATURE.replace("{1}", "NS"), NSEC, SIGNATURE.replace("{1}", "NSEC")],
        [GLUE],
    ),
}


def of(qname: str, section: int) -> list[str]:
    return [record.format(qname) for record in NAMES[qname][section]]


def zone_of(qname: str) -> str:
    return (
        "\n-- authority\n".join(["\n".join(of(qname, 0)), "\n".join(of(qname, 1))])
        + "\n-- additional\n"
        + "\n".join(of(qname, 2))
    )


def case(qname: str, sections: int, **more: object) -> Case:
    """A name, and how many of its sections are sent."""
    sent = [of(qname, section) if section < sections else [] for section in range(3)]
    return Case(qname, answer=sent[0], authority=sent[1], additional=sent[2], **more)  # type: ignore[arg-type]


CASES = [
    case("full.example.", 1, why="an answer and nothing else"),
    case("plain.example.", 1, why="nothing is left out"),
    case("full.example.", 1, dnssec=True, why="nothing of it is a proof"),
    case("delegated.example.", 3, why="a delegation, with its glue"),
    case("nodata.example.", 2, why="a negative answer"),
    case("empty.example.", 1, why="neither answer nor SOA: it counts as positive"),
    case("referred.example.", 1, why="an alias is an answer"),
    case(
        "alias.example.", 3, why="an alias of no data is negative", coredns="RFC 2308 section 3: it leaves SOA out"
    ),
    case("signed.example.", 1, why="the client does not want DNSSEC"),
    Case(
        "signed.example.",
        answer=of("signed.example.", 0),
        authority=of("signed.example.", 1)[2:],
        dnssec=True,
        why="what proves the wildcard stays",
        coredns="RFC 4035 section 3.1.3.3: it leaves the proof out",
    ),
    Case("who.example.", flags="AA", why="all that whoami says is additional"),
    case("full.kept.example.", 1, why="before it is kept"),
    case("full.kept.example.", 1, why="from the cache"),
]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    with Upstream({qname: zone_of(qname) for qname in NAMES}) as upstream:
        corefile = COREFILE.replace("UPSTREAM", str(upstream.port))
        with Both(tmp_path_factory.mktemp("minimal"), corefile) as both:
            yield both


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_sections(both: Both, case: Case) -> None:
    both.check(case)


@pytest.mark.parametrize("text", ["minimal yes", "minimal {\nanswers\n}"])
def test_it_has_no_options(text: str) -> None:
    with pytest.raises(CorefileError, match=r"Corefile:[23] - Error during parsing"):
        load(f". {{\n{text}\n}}", environ={})
