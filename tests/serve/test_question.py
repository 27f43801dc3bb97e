"""A step changes the question on the way down and the reply on the way up."""

from __future__ import annotations

import pytest

from fastdns.plugins.cache._step import CacheStep
from fastdns.plugins.cache.shared import new_cache
from tests.plugins.cache.support import block_of
from tests.serve._service import WAITS, PlayedService, Wait
from tests.serve._steps import Answer, Rewrite
from tests.serve.support import parse, query, reply_to, shown, trial, wire

pytestmark = pytest.mark.native

ADDRESS = bytes([192, 0, 2, 1])


def test_the_steps_below_are_asked_the_other_question_and_the_client_sees_its_own() -> None:
    below = Answer(wire("inside.test."), ADDRESS)
    server = trial(Rewrite(wire("outside.test."), wire("inside.test.")), below)
    reply = parse(server.ask(query("WwW.outside.test.")))
    assert str(reply.q.qname) == "WwW.outside.test."
    assert shown(reply) == ["an WwW.outside.test. A 192.0.2.1"]
    assert below.asked == 1


def test_pointers_into_the_question_are_written_out_where_another_one_was_asked() -> None:
    rewrite = Rewrite(wire("o.test."), wire("a.much.longer.name.test."))
    server = trial(rewrite, Answer(wire("longer.name.test."), ADDRESS))
    reply = parse(server.ask(query("x.o.test.", "TXT")))
    assert reply.header.rcode == 3
    assert shown(reply) == ["ns longer.name.test. SOA ns.longer.name.test. root.longer.name.test. 1 2 3 4 5"]
    # A name that is shorter than what the pointers would have led to.
    assert len(reply.q.qname.label) == 3


def test_a_question_may_be_changed_twice_and_is_put_back_step_by_step() -> None:
    first = Rewrite(wire("one.test."), wire("two.test."))
    second = Rewrite(wire("two.test."), wire("three.test."))
    server = trial(first, second, Answer(wire("three.test."), ADDRESS))
    reply = parse(server.ask(query("a.one.test.")))
    assert shown(reply) == ["an a.one.test. A 192.0.2.1"]
    assert (first.rewritten, second.rewritten) == (1, 1)
    # What the second one alone changes, it alone puts back.
    assert shown(parse(server.ask(query("a.two.test.")))) == ["an a.two.test. A 192.0.2.1"]
    assert (first.rewritten, second.rewritten) == (1, 2)


def test_another_type_may_be_asked() -> None:
    server = trial(Rewrite(wire("o.test."), wire("i.test."), 1), Answer(wire("i.test."), ADDRESS))
    reply = parse(server.ask(query("a.o.test.", "AAAA")))
    assert reply.q.qtype == 28
    assert shown(reply) == ["an a.o.test. A 192.0.2.1"]


def test_a_name_that_would_be_too_long_is_let_pass() -> None:
    labels = "a." * 110
    server = trial(Rewrite(wire("o.test."), wire("b" * 60 + ".test.")), Answer(wire("o.test."), ADDRESS))
    assert len(shown(parse(server.ask(query(f"{labels}o.test."))))) == 1


@pytest.mark.parametrize("rewrites", [0, 1, 2])
def test_a_changed_question_waits_and_is_resumed(rewrites: int) -> None:
    service = PlayedService("played")
    steps = [Rewrite(wire(f"{one}.test."), wire(f"{one + 1}.test.")) for one in range(rewrites)]
    server = trial(*steps, Wait("played"), services=(service,))
    assert server.ask(query("a.0.test.", number=99)) is WAITS
    assert server.asked(service) == [(wire(f"a.{rewrites}.test."), 1)]
    reply = parse(server.say(service, reply_to(server.asked(service)[0], f"a.{rewrites}.test. 60 A 192.0.2.7")))
    assert (reply.header.id, str(reply.q.qname)) == (99, "a.0.test.")
    assert shown(reply) == ["an a.0.test. A 192.0.2.7"]


def test_the_next_query_is_not_touched_by_one_that_waits() -> None:
    service = PlayedService("played")
    server = trial(Rewrite(wire("o.test."), wire("i.test.")), Wait("played"), services=(service,))
    assert server.ask(query("a.o.test.")) is WAITS
    assert server.ask(query("b.other.")) is WAITS
    assert server.asked(service) == [(wire("a.i.test."), 1), (wire("b.other."), 1)]
    assert shown(parse(server.say(service, reply_to(query("b.other."), "b.other. 1 A 192.0.2.2"), number=1))) == [
        "an b.other. A 192.0.2.2"
    ]
    assert shown(parse(server.say(service, reply_to(query("a.i.test."), "a.i.test. 1 A 192.0.2.1")))) == [
        "an a.o.test. A 192.0.2.1"
    ]


def test_serve_stale_verify_below_a_changed_question_goes_on_with_that_question() -> None:
    """A refresh that the client does not wait for any more is of what the cache was asked, not of what the client
    asked: it had been stored under the client's name, and the stale answer stayed for ever."""
    service = PlayedService("played")
    config = block_of("cache {;serve_stale 1h verify 100ms;}").plugins["cache"]
    cache = CacheStep(new_cache(config), config)
    server = trial(Rewrite(wire("o.test."), wire("i.test.")), cache, Wait("played"), services=(service,))
    assert server.ask(query("a.o.test.")) is WAITS
    first = reply_to(query("a.i.test."), "a.i.test. 1 A 192.0.2.1")
    assert shown(parse(server.say(service, first))) == ["an a.o.test. A 192.0.2.1"]
    server.sleep(400)
    assert server.ask(query("a.o.test.")) is WAITS
    assert server.asked(service) == [(wire("a.i.test."), 1)]
    assert shown(parse(server.say(service, None, stale=True))) == ["an a.o.test. A 192.0.2.1"]
    assert server.say(service, reply_to(query("a.i.test."), "a.i.test. 300 A 192.0.2.2")) is None
    assert shown(parse(server.ask(query("a.o.test.")))) == ["an a.o.test. A 192.0.2.2"]
    assert server.asked(service) == []
