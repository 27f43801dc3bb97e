"""How long a query may take, beside CoreDNS: an upstream is silent, or late."""

from __future__ import annotations

from collections.abc import Iterator

import dns.message
import pytest

from fastdns.corefile import load
from fastdns.errors import CorefileError
from fastdns.plugins.cancel.config import Config
from tests.plugins.beside import Both, Case, ask, ids
from tests.plugins.scripted import Upstream

# A stub that waits is below the last block: the deadline is of all waiting together.
COREFILE = """
short.example:DNS_PORT {
    cancel 100ms
    errors
    prometheus 127.0.0.1:METRICS_PORT
    forward . 127.0.0.1:UPSTREAM
}
kept.example:DNS_PORT {
    cancel 100ms
    cache {
        serve_stale 1h verify
    }
    forward . 127.0.0.1:UPSTREAM
}
erratic.example:DNS_PORT {
    cancel 50ms
    erratic {
        delay 1 60s
    }
}
late.example:DNS_PORT {
    cancel 5s
    erratic {
        delay 1 30ms
    }
}
whoami.example:DNS_PORT {
    cancel
    whoami
}
"""
ANSWERS = {name: f"{name} 0 IN A 192.0.2.1" for name in ("there.short.example.", "stale.kept.example.")}


def unless_silent(reply: dns.message.Message) -> dns.message.Message | None:
    """It knows no other names."""
    return reply if reply.answer else None


CASES = [
    Case("silent.short.example.", rcode="SERVFAIL", why="no upstream answers"),
    Case("silent.short.example.", rcode="SERVFAIL", tcp=True, why="over TCP"),
    Case("there.short.example.", answer=[ANSWERS["there.short.example."]], why="in time"),
    Case("a.late.example.", answer=["a.late.example. 0 IN A 192.0.2.53"], why="in time, though late"),
    Case("a.whoami.example.", additional=None, why="nothing is waited for"),
]


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream(ANSWERS, unless_silent) as upstream:
        yield upstream


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Both]:
    corefile = COREFILE.replace("UPSTREAM", str(upstream.port))
    theirs = corefile.replace("    prometheus 127.0.0.1:METRICS_PORT\n", "")
    with Both(tmp_path_factory.mktemp("cancel"), corefile, coredns=theirs) as both:
        yield both


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_answers(both: Both, case: Case) -> None:
    both.check(case)


@pytest.mark.parametrize("tcp", [False, True], ids=["UDP", "TCP"])
def test_a_delay_of_a_minute_is_cut_short(both: Both, tcp: bool) -> None:
    reply = ask(Case("a.erratic.example.", tcp=tcp), both.fastdns.port, 10)
    assert reply is not None
    assert reply.rcode() == 2


def test_it_is_logged_and_counted(both: Both) -> None:
    before = both.fastdns.total("fastdns_queries_failed_total", reason="deadline")
    ask(Case("counted.short.example."), both.fastdns.port)
    both.fastdns.wait_for_log("[ERROR] plugin/errors: 2 counted.short.example. A: context deadline exceeded")
    assert both.fastdns.total("fastdns_queries_failed_total", reason="deadline") == before + 1


def options(text: str) -> Config:
    return load(f". {{\n{text}\n}}", environ={}).blocks[0].plugins["cancel"]


@pytest.mark.parametrize(
    ("text", "timeout_s"),
    [
        ("cancel", 5.001),
        ("cancel 1s", 1.0),
        ("cancel 5m", 300.0),
        ("cancel 1ns", 1e-9),
        ("cancel 1s\ncancel 2s", 2.0),
    ],
)
def test_options(text: str, timeout_s: float) -> None:
    assert options(text) == Config(timeout_s)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cancel 0s", "Corefile:2 - .*more than 0s, got 0s"),
        ("cancel -1s", "the timeout must be at least 0s"),
        ("cancel 5", "'5' is no duration"),
        ("cancel 1s 2s", "at most one argument"),
        ("cancel {\ntimeout 1s\n}", "Corefile:3 - .*unknown option 'timeout'"),
    ],
)
def test_errors(text: str, expected: str) -> None:
    with pytest.raises(CorefileError, match=expected):
        options(text)
