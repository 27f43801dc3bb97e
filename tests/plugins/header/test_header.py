"""Header bits that upstreams are asked with, and that clients get, beside CoreDNS."""

from __future__ import annotations

from collections.abc import Iterator

import dns.flags
import pytest

from fastdns.corefile import load
from fastdns.corefile.mistakes import Mistakes
from fastdns.errors import CorefileError
from fastdns.plugins.header.config import Bits, Config
from tests.plugins.beside import Both, Case, ask, ids
from tests.plugins.scripted import Upstream

# The port of the upstream stands for UPSTREAM; each zone has other rules.
COREFILE = """
ra.example:DNS_PORT {
    header {
        response set ra
    }
    whoami
}
all.example:DNS_PORT {
    header {
        RESPONSE Set Ra AA
        response clear rd
    }
    forward . 127.0.0.1:UPSTREAM
}
last.example:DNS_PORT {
    header {
        response clear aa
        response set ra
        response clear ra
    }
    header {
        response set aa
    }
    whoami
}
down.example:DNS_PORT {
    header {
        query clear rd
    }
    forward . 127.0.0.1:UPSTREAM
}
up.example:DNS_PORT {
    header {
        query set rd aa ra
    }
    forward . 127.0.0.1:UPSTREAM
}
kept.example:DNS_PORT {
    header {
        query clear rd
        response clear ra
        response clear aa
        response set rd
    }
    cache
    forward . 127.0.0.1:UPSTREAM
}
fails.example:DNS_PORT {
    header {
        response set ra aa
    }
}
"""
NAMES = [f"www.{zone}.example." for zone in ("all", "down", "up", "kept")]
ANSWER = {name: f"{name} 60 IN A 192.0.2.1" for name in NAMES}


def case(zone: str, flags: str, **more: object) -> Case:
    """A name in a zone, and the flags of its reply."""
    name = f"www.{zone}.example."
    answer = [ANSWER[name]] if name in ANSWER else []
    return Case(name, answer=answer, additional=None, flags=flags, **more)  # type: ignore[arg-type]


CASES = [
    case("ra", "AA RA", why="one bit is set, the others stay"),
    case("ra", "AA RA", tcp=True, why="over TCP"),
    case("ra", "AA RA", dnssec=True, why="with EDNS"),
    case("all", "AA RA", why="words in any case"),
    case("last", "", why="the last rule of the first block counts"),
    case("down", "RA", why="the upstream's reply is as it is"),
    case("up", "RA", recursion=False, why="AA and RA of a query say nothing"),
    case("kept", "", why="of the upstream's reply"),
    case("kept", "AA", why="from the cache, which sets AA"),
    case("fails", "", rcode="SERVFAIL", why="no plugin wrote it"),
]


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream(ANSWER) as upstream:
        yield upstream


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Both]:
    corefile = COREFILE.replace("UPSTREAM", str(upstream.port))
    with Both(tmp_path_factory.mktemp("header"), corefile) as both:
        yield both


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_responses(both: Both, case: Case) -> None:
    both.check(case)


def recursion(port: int, zone: str, desired: bool) -> bool:
    """Whether RD is set in the reply."""
    reply = ask(Case(f"www.{zone}.example.", recursion=desired), port)
    assert reply is not None
    return bool(reply.flags & dns.flags.RD)


@pytest.mark.parametrize(
    ("zone", "desired", "expected", "theirs"),
    [
        ("ra", True, True, True),
        ("ra", False, False, False),
        ("all", True, False, False),
        # RFC 1035 section 4.1.1: RD is copied into the response. CoreDNS copies that of the changed query.
        ("down", True, True, False),
        ("up", False, False, True),
    ],
)
def test_rd_of_a_response(both: Both, zone: str, desired: bool, expected: bool, theirs: bool) -> None:
    assert recursion(both.fastdns.port, zone, desired) == expected
    if both.coredns is not None:
        assert recursion(both.coredns.port, zone, desired) == theirs


@pytest.mark.parametrize(
    ("zone", "desired", "expected"),
    [("down", True, ""), ("down", False, ""), ("up", False, "AA RD RA"), ("up", True, "AA RD RA")],
)
def test_what_upstreams_are_asked_with(
    both: Both, upstream: Upstream, zone: str, desired: bool, expected: str
) -> None:
    for server in filter(None, (both.fastdns, both.coredns)):
        ask(Case(f"www.{zone}.example.", recursion=desired), server.port)
        assert dns.flags.to_text(upstream.queries[-1].flags & ~dns.flags.AD) == expected


# Options


def options(text: str) -> Config:
    return load(f". {{\n{text}\n}}", environ={}).blocks[0].plugins["header"]


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ("response set aa", Config(response=Bits(set=0x400))),
        ("query set rd\nquery clear rd ra", Config(query=Bits(cleared=0x180))),
        ("response clear aa\nresponse set aa rd", Config(response=Bits(set=0x500))),
        ("QUERY SET RD\nResponse Clear RA", Config(Bits(set=0x100), Bits(cleared=0x80))),
    ],
)
def test_options(rules: str, expected: Config) -> None:
    assert options(f"header {{\n{rules}\n}}") == expected


def test_an_empty_block_is_passed_over() -> None:
    assert options("header {\n}\nheader {\nresponse set aa\n}") == Config(response=Bits(set=0x400))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("header", "Corefile:2 - .*expected a rule"),
        ("header {\n}", "expected a rule"),
        ("header response set aa", "expected a block of rules"),
        ("header {\nanswer set aa\n}", "Corefile:3 - .*unknown option 'answer'"),
        ("header {\nresponse\n}", "expected set or clear behind response"),
        ("header {\nquery toggle aa\n}", "expected set or clear behind query, got 'toggle'"),
        ("header {\nresponse set\n}", "expected at least one flag"),
        ("header {\nresponse set ad\n}", "'ad' is none of the flags aa, ra, rd"),
    ],
)
def test_errors(text: str, expected: str) -> None:
    with pytest.raises(CorefileError, match=expected):
        options(text)


def test_a_wrong_rule_is_one_mistake() -> None:
    """It was taken for no rule as well."""
    mistakes = Mistakes(keep=True)
    with pytest.raises(CorefileError):
        load(". {\nheader {\nresponse set ad\n}\n}\n", "Corefile", mistakes=mistakes)
    assert len(mistakes.found) == 1
