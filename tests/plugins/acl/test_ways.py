"""The final name is judged, whichever way a query has come to it, and each query is counted once."""

from __future__ import annotations

import pytest

from fastdns.plugins.acl._counters import Counters
from fastdns.plugins.acl._step import AclStep
from fastdns.plugins.acl.config import Policy, Rule
from fastdns.plugins.acl.places import Listening
from tests.serve._service import WAITS, PlayedService, Wait
from tests.serve._steps import Answer, Ask, Rewrite
from tests.serve.support import options_of, parse, query, reply_to, shown, trial, wire

pytestmark = pytest.mark.native

ADDRESS = bytes([192, 0, 2, 1])
BLOCK = Rule(("bad.",), (Policy("block"),))


def step(*rules: Rule) -> tuple[AclStep, Counters]:
    """A step that counts at place 0 what its zone stops, and at place 1 what is allowed."""
    counters = Counters()
    return AclStep(rules or (BLOCK,), counters, [Listening(b"", 0, (0, 1))]), counters


def total(counters: Counters) -> tuple[int, int, int, int]:
    """Allowed, blocked, filtered, dropped."""
    return counters.at(1)[0], *counters.at(0)[1:]


def test_the_name_as_asked() -> None:
    acl, counters = step()
    server = trial(acl, Answer(wire("."), ADDRESS))
    reply = parse(server.ask(query("x.bad.", udp_bytes=1232)))
    assert (reply.header.rcode, options_of(reply)) == (5, [(15, b"\0\x0f")])
    assert shown(parse(server.ask(query("x.good.")))) == ["an x.good. A 192.0.2.1"]
    assert total(counters) == (1, 1, 0, 0)


def test_the_name_as_a_step_below_has_changed_it() -> None:
    acl, counters = step()
    server = trial(acl, Rewrite(wire("good."), wire("bad.")), Answer(wire("."), ADDRESS))
    reply = parse(server.ask(query("x.good.", udp_bytes=1232)))
    assert (reply.header.rcode, str(reply.q.qname), options_of(reply)) == (5, "x.good.", [(15, b"\0\x0f")])
    assert total(counters) == (0, 1, 0, 0), "it is not counted as allowed as well"


def test_a_name_that_is_looked_up_inside_a_query() -> None:
    for below in (False, True):
        acl, counters = step()
        server = trial(acl, Ask(wire("ask."), [wire("x.bad.")], below=below), Answer(wire("."), ADDRESS))
        assert shown(parse(server.ask(query("ask.")))) == ['an ask. TXT "5-w"']
        assert total(counters) == (1, 1, 0, 0)


@pytest.mark.parametrize(("action", "place"), [("filter", 2), ("drop", 3)])
def test_filtered_and_dropped(action: str, place: int) -> None:
    acl, counters = step(Rule(("bad.",), (Policy(action),)))
    server = trial(acl, Answer(wire("."), ADDRESS))
    reply = server.ask(query("x.bad.", udp_bytes=1232))
    if action == "drop":
        assert reply is None
    else:
        parsed = parse(reply)
        assert (parsed.header.rcode, shown(parsed), options_of(parsed)) == (0, [], [(15, b"\0\x11")])
    assert total(counters)[place] == 1
    assert sum(total(counters)) == 1


def test_a_query_that_waits_is_counted_once() -> None:
    service = PlayedService("played")
    acl, counters = step()
    asking = Ask(wire("ask."), [wire("x.bad."), wire("a."), wire("b.")])
    server = trial(acl, asking, Wait("played"), services=(service,))
    assert server.ask(query("ask.")) is WAITS
    assert server.say(service, reply_to(query("a."), "a. 1 A 192.0.2.1")) is WAITS
    parse(server.say(service, reply_to(query("b."), "b. 1 A 192.0.2.1")))
    assert total(counters) == (1, 1, 0, 0)


def test_other_types_and_zones_are_not_stopped() -> None:
    acl, counters = step(Rule(("bad.",), (Policy("block", frozenset({28})),)))
    server = trial(acl, Answer(wire("."), ADDRESS))
    assert shown(parse(server.ask(query("x.bad.")))) == ["an x.bad. A 192.0.2.1"]
    assert parse(server.ask(query("x.bad.", "AAAA"))).header.rcode == 5
    assert shown(parse(server.ask(query("x.notbad.")))) == ["an x.notbad. A 192.0.2.1"]
    assert total(counters) == (2, 1, 0, 0)
