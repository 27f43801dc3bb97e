"""One query that asks upstreams several things, or another one than the client's."""

from __future__ import annotations

import dns.message
import dns.rcode
import pytest

from tests.plugins.forward.engine.support import (
    Forwarder,
    Upstream,
    addresses,
    forward,
    good,
    saying,
    with_rcode,
)
from tests.serve._steps import Ask, Rewrite
from tests.serve.support import wire
from tests.support import free_port

pytestmark = pytest.mark.native

NAMES = [f"n{number}.test." for number in range(6)]


def asking() -> Ask:
    return Ask(wire("ask.test."), [wire(name) for name in NAMES])


def asked_names(reply: dns.message.Message) -> list[str]:
    """The names whose addresses came back, in order."""
    return [str(rrset.name) for rrset in reply.answer if rrset.rdtype == 1]


@pytest.mark.parametrize("cache", ["", "cache 30"], ids=["without cache", "with cache"])
@pytest.mark.parametrize("tcp", [False, True], ids=["UDP", "TCP"])
def test_each_is_asked_once_and_all_come_back(cache: str, tcp: bool) -> None:
    """Two questions in turn ran into the bound of replays and SERVFAIL where no cache kept the first answer."""
    with Upstream(tcp=good) as up, Forwarder(f"{forward(up.to)}\n{cache}", above=[asking()]) as server:
        for _ in range(3):
            reply = server.ask_over_tcp("ask.test.") if tcp else server.ask("ask.test.")
            assert reply.rcode() == dns.rcode.NOERROR
            assert asked_names(reply) == NAMES
        assert len(up.over(tcp=tcp)) == (len(NAMES) if cache else 3 * len(NAMES))
        assert server.worker.kept_bytes == 0


def test_a_question_that_passes_through_stanzas_inside_a_query() -> None:
    """What both stanzas were told is kept: the first one was asked again after the second one had answered."""
    with Upstream(with_rcode(dns.rcode.NXDOMAIN)) as first, Upstream(saying("192.0.2.9")) as second:
        stanzas = forward(first.to, next="NXDOMAIN") + "\n" + forward(second.to)
        with Forwarder(stanzas, above=[asking()]) as server:
            assert asked_names(server.ask("ask.test.")) == NAMES
        assert (len(first.questions), len(second.questions)) == (len(NAMES), len(NAMES))


def test_a_failure_inside_a_query_is_kept() -> None:
    """Nobody listens at the upstream's port."""
    asks = Ask(wire("ask.test."), [wire("a.test."), wire("b.test.")])
    with Forwarder(forward(f"127.0.0.1:{free_port()}", max_fails=0), above=[asks]) as server:
        reply = server.ask("ask.test.", limit_s=20.0)
        assert {str(data) for rrset in reply.answer for data in rrset} == {'"2--"'}
        assert (asks.begun, asks.served) == (1, 1)


def test_a_changed_question_goes_upstream() -> None:
    rewrite = Rewrite(wire("outside.test."), wire("inside.test."))
    with Upstream() as up, Forwarder(f"{forward(up.to)}\ncache 30", above=[rewrite]) as server:
        for name in ("a.outside.test.", "A.Outside.test.", "a.inside.test."):
            reply = server.ask(name)
            assert str(reply.question[0].name) == name
            assert addresses(reply) == ["192.0.2.1"]
            assert str(reply.answer[0].name) == name
        assert [asked.name.lower() for asked in up.questions] == ["a.inside.test."]
