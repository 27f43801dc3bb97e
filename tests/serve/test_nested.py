"""A step asks several things for one query, and each may have to wait."""

from __future__ import annotations

import random
import re

import pytest

from fastdns.plugins.python import MAX_DEPTH
from tests.reading import ROOT
from tests.serve._service import WAITS, PlayedService, Wait
from tests.serve._steps import Answer, Ask, Rewrite
from tests.serve.support import parse, query, reply_to, shown, trial, wire

pytestmark = pytest.mark.native

ADDRESS = bytes([192, 0, 2, 1])


def test_all_three_sections_and_the_code_are_the_askers() -> None:
    server = trial(
        Ask(wire("ask.test."), [wire("yes.i.test."), wire("NO.i.test."), wire("nowhere.")], 1),
        Answer(wire("yes.i.test."), ADDRESS, records=2),
        Answer(wire("i.test."), ADDRESS, 28),
    )
    reply = parse(server.ask(query("x.ask.test.", "AAAA")))
    # The asker's own code and flags are its own.
    assert (reply.header.rcode, reply.header.aa) == (0, 0)
    assert shown(reply) == [
        "an yes.i.test. A 192.0.2.1",
        "an yes.i.test. A 192.0.2.1",
        'an x.ask.test. TXT "0aw"',
        'an x.ask.test. TXT "3aw"',
        # Nobody answered: a failure without records.
        'an x.ask.test. TXT "2--"',
        "ns i.test. SOA ns.i.test. root.i.test. 1 2 3 4 5",
    ]


def test_the_steps_behind_the_asker_may_be_asked_alone() -> None:
    above = Answer(wire("i.test."), bytes([192, 0, 2, 9]))
    below = Answer(wire("i.test."), ADDRESS)
    server = trial(above, Ask(wire("ask.test."), [wire("a.i.test.")], below=True), below)
    assert shown(parse(server.ask(query("ask.test."))))[0] == "an a.i.test. A 192.0.2.1"
    assert (above.asked, below.asked) == (0, 1)


def test_a_question_goes_to_the_zone_that_it_belongs_to() -> None:
    asking = Ask(wire("ask.test."), [wire("a.other.")])
    server = trial(zones={"ask.test.": 0, "other.": 1}, blocks=[[asking], [Answer(wire("other."), ADDRESS)]])
    assert shown(parse(server.ask(query("ask.test."))))[0] == "an a.other. A 192.0.2.1"


@pytest.mark.parametrize("count", [1, 2, 3, 8, 16])
def test_each_question_waits_in_turn_and_is_asked_once(count: int) -> None:
    """Without a cache only the reply that came last was there: two questions asked for each other's place, and the
    query ended in SERVFAIL after 16 rounds."""
    names = [f"n{number}.test." for number in range(count)]
    service = PlayedService("played")
    asking, waiting = Ask(wire("ask.test."), [wire(name) for name in names]), Wait("played")
    server = trial(asking, waiting, services=(service,))
    reply = server.ask(query("ask.test."), tcp=True)
    for number, name in enumerate(names):
        assert reply is WAITS
        assert server.asked(service) == [(wire(name), 1)]
        reply = server.say(service, reply_to(query(name), f"{name} 60 A 192.0.2.{number}"))
    expected = [f"an {name} A 192.0.2.{number}" for number, name in enumerate(names)]
    assert [line for line in shown(parse(reply)) if " TXT " not in line] == expected
    # Counted once, asked once, and nothing is kept for longer than it is needed.
    assert (asking.begun, asking.served, waiting.asked, server.kept_bytes) == (1, 1, count, 0)


def test_more_waits_than_a_query_may_have_end_it() -> None:
    service = PlayedService("played")
    names = [wire(f"n{number}.test.") for number in range(17)]
    server = trial(Ask(wire("ask.test."), names), Wait("played"), services=(service,))
    reply = server.ask(query("ask.test."), tcp=True)
    for number in range(16):
        assert reply is WAITS
        reply = server.say(service, reply_to(server.asked(service)[0], f"n{number}.test. 60 A 192.0.2.1"))
    lines = shown(parse(reply))
    # The seventeenth has failed, and the asker knows.
    assert lines[-1] == 'an ask.test. TXT "2--"'
    assert server.kept_bytes == 0


def test_failures_are_kept_too() -> None:
    service = PlayedService("played")
    waiting = Wait("played")
    server = trial(Ask(wire("ask.test."), [wire("a."), wire("b.")]), waiting, services=(service,))
    assert server.ask(query("ask.test.")) is WAITS
    assert server.say(service, None) is WAITS
    lines = shown(parse(server.say(service, reply_to(query("b."), "b. 60 A 192.0.2.1"))))
    assert lines == ['an ask.test. TXT "2--"', "an b. A 192.0.2.1", 'an ask.test. TXT "0-w"']
    assert waiting.asked == 2


def test_replies_are_known_by_who_asked_what() -> None:
    """Two services are asked the same question in one query, and one of them two types of a name."""
    one, two = PlayedService("one"), PlayedService("two")
    first, second = Wait("one"), Wait("two")
    server = trial(
        zones={"ask.test.": 0, "one.": 1, "two.": 2},
        blocks=[
            [Ask(wire("ask.test."), [wire("x.one."), wire("x.two."), wire("x.one.")])],
            [Rewrite(wire("one."), wire("same.")), first],
            [Rewrite(wire("two."), wire("same.")), second],
        ],
        services=(one, two),
    )
    assert server.ask(query("ask.test.")) is WAITS
    assert server.asked(one) == [(wire("x.same."), 1)]
    assert server.say(one, reply_to(query("x.same."), "x.same. 1 A 192.0.2.1")) is WAITS
    assert server.asked(two) == [(wire("x.same."), 1)]
    lines = shown(parse(server.say(two, reply_to(query("x.same."), "x.same. 1 A 192.0.2.2"))))
    assert [line for line in lines if " A " in line] == [
        "an x.one. A 192.0.2.1", "an x.two. A 192.0.2.2", "an x.one. A 192.0.2.1",
    ]  # fmt: skip
    assert (first.asked, second.asked) == (1, 1)


def test_what_a_thread_keeps_is_bounded() -> None:
    service = PlayedService("played")
    names = [wire("a."), wire("b.")]
    server = trial(Ask(wire("ask.test."), names), Wait("played"), services=(service,))
    server.bound_kept(50)
    assert server.ask(query("ask.test.")) is WAITS
    lines = shown(parse(server.say(service, reply_to(query("a."), "a. 60 A 192.0.2.1"))))
    assert lines == ["an a. A 192.0.2.1", 'an ask.test. TXT "0-w"', 'an ask.test. TXT "2--"']
    assert server.kept_bytes == 0


def test_large_replies_are_bounded_by_their_bytes() -> None:
    service = PlayedService("played")
    names = [wire(f"n{number}.") for number in range(8)]
    server = trial(Ask(wire("ask.test."), names), Wait("played"), services=(service,))
    reply = server.ask(query("ask.test."), tcp=True)
    rounds = 0
    while reply is WAITS:
        name = server.asked(service)[0]
        large = reply_to(name, *[f"n{rounds}. 60 TXT {'x' * 250}" for _ in range(230)])
        assert len(large) > 60_000
        reply = server.say(service, large)
        rounds += 1
    # Four fit into what a query may keep; the fifth is answered, but nothing can wait behind it.
    assert rounds == 5
    assert server.kept_bytes == 0


def test_questions_inside_questions_end() -> None:
    """A question that leads to itself."""
    asking = Ask(wire("ask.test."), [wire("ask.test.")])
    lines = shown(parse(trial(asking).ask(query("ask.test."))))
    # Eight deep, and the innermost one gets nothing.
    assert len(lines) == 9
    assert asking.served == 9


def test_questions_that_multiply_are_bounded() -> None:
    """Each of three questions asks three more, eight deep: they would be 9,840."""
    asking = Ask(wire("ask.test."), [wire("ask.test.")] * 3)
    parse(trial(asking).ask(query("ask.test."), tcp=True))
    assert asking.begun == 65


def test_steps_in_python_ask_as_deep_as_native_ones() -> None:
    declared = (ROOT / "src/fastdns/serve/_context.pxd").read_text()
    assert re.findall(r"^    MAX_DEPTH = (\d+)", declared, re.MULTILINE) == [str(MAX_DEPTH)]


def test_a_service_that_takes_nobody_leaves_what_was_there() -> None:
    service = PlayedService("played")
    names = [wire("a."), wire("b."), wire("a.")]
    server = trial(Ask(wire("ask.test."), names), Wait("played"), services=(service,))
    assert server.ask(query("ask.test.")) is WAITS
    service.refuse()
    lines = shown(parse(server.say(service, reply_to(query("a."), "a. 60 A 192.0.2.1"))))
    assert [line for line in lines if " A " in line] == ["an a. A 192.0.2.1", "an a. A 192.0.2.1"]
    assert server.kept_bytes == 0


def test_many_queries_at_once_in_any_order() -> None:
    """Each of 200 queries asks for three names of its own; the service answers in any order."""
    chance = random.Random(1)
    service = PlayedService("played")
    names = [wire("a.x."), wire("b.x."), wire("c.x.")]
    # The names are told apart by who asks: a step each.
    server = trial(Ask(wire("ask.test."), names), Wait("played"), services=(service,))
    for number in range(200):
        assert server.ask(query("ask.test.", number=number)) is WAITS
    answered = []
    while server.asked(service):
        number = chance.randrange(len(server.asked(service)))
        name = server.asked(service)[number]
        said = reply_to(name, f"{chr(name[0][1])}.x. 60 A 192.0.2.{name[0][1]}")
        reply = server.say(service, said, number=number)
        if reply is not WAITS:
            answered.append(parse(reply))
    assert sorted(reply.header.id for reply in answered) == list(range(200))
    for reply in answered:
        assert [line for line in shown(reply) if " A " in line] == [
            "an a.x. A 192.0.2.97", "an b.x. A 192.0.2.98", "an c.x. A 192.0.2.99",
        ]  # fmt: skip
    assert server.kept_bytes == 0
