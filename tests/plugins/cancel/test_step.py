"""The deadline of a query, with a service that a test plays."""

from __future__ import annotations

import dns.rcode
import pytest

from fastdns.plugins.cancel._step import CancelStep
from tests.serve._service import WAITS, PlayedService, Wait
from tests.serve._steps import Answer, Ask, Rewrite
from tests.serve.support import parse, query, reply_to, shown, trial, wire

pytestmark = pytest.mark.native

S = 1_000_000_000
NAME = "a.example."
RECORD = f"{NAME} 60 IN A 192.0.2.1"


def code(reply: object) -> int:
    return parse(reply).header.rcode


def test_a_query_that_has_waited_long_enough_waits_no_more() -> None:
    service = PlayedService("upstream")
    served = trial(CancelStep(3 * S), Wait("upstream"), services=(service,))
    assert served.ask(query(NAME)) is WAITS
    served.sleep(4)
    assert code(served.say(service, None, stale=True)) == dns.rcode.SERVFAIL
    # What it has waited for comes all the same, for nobody.
    assert served.say(service, reply_to(query(NAME), RECORD)) is None
    assert served.kept_bytes == 0


def test_an_answer_that_is_at_hand_is_given() -> None:
    service = PlayedService("upstream")
    served = trial(CancelStep(3 * S), Wait("upstream"), services=(service,))
    assert served.ask(query(NAME)) is WAITS
    served.sleep(4)
    assert shown(parse(served.say(service, reply_to(query(NAME), RECORD)))) == ["an a.example. A 192.0.2.1"]


@pytest.mark.parametrize(("seconds", "waits"), [(2, True), (4, False)])
def test_the_time_is_that_of_all_waiting_together(seconds: int, waits: bool) -> None:
    first, second = PlayedService("first"), PlayedService("second")
    served = trial(CancelStep(3 * S), Wait("first", passes=True), Wait("second"), services=(first, second))
    assert served.ask(query(NAME)) is WAITS
    served.sleep(seconds)
    reply = served.say(first, None)
    if waits:
        assert reply is WAITS
        served.sleep(2)
        assert code(served.say(second, None, stale=True)) == dns.rcode.SERVFAIL
        assert served.say(second, None) is None
    else:
        assert code(reply) == dns.rcode.SERVFAIL
    assert served.kept_bytes == 0


def test_of_a_question_inside_the_asker_says_what_becomes_of_it() -> None:
    service = PlayedService("upstream")
    asking = Ask(wire("a.example."), [wire("b.other."), wire("c.here.")])
    served = trial(
        CancelStep(3 * S),
        asking,
        Answer(wire("here."), bytes([192, 0, 2, 9])),
        Wait("upstream"),
        services=(service,),
    )
    assert served.ask(query(NAME)) is WAITS
    served.sleep(4)
    reply = parse(served.say(service, None, stale=True))
    # The codes of both questions, and the record of the one that needs nobody.
    assert [line for line in shown(reply) if " A " in line] == ["an c.here. A 192.0.2.9"]
    assert served.say(service, None) is None


def test_a_question_that_was_changed() -> None:
    service = PlayedService("upstream")
    served = trial(
        CancelStep(3 * S), Rewrite(wire("example."), wire("other.")), Wait("upstream"), services=(service,)
    )
    assert served.ask(query(NAME)) is WAITS
    assert served.asked(service) == [(wire("a.other."), 1)]
    served.sleep(4)
    assert code(served.say(service, None, stale=True)) == dns.rcode.SERVFAIL
    assert served.say(service, reply_to((wire("a.other."), 1), "a.other. 60 IN A 192.0.2.1")) is None


def test_two_of_them_the_shorter_one_counts() -> None:
    service = PlayedService("upstream")
    served = trial(CancelStep(9 * S), CancelStep(3 * S), CancelStep(6 * S), Wait("upstream"), services=(service,))
    assert served.ask(query(NAME)) is WAITS
    served.sleep(4)
    assert code(served.say(service, None, stale=True)) == dns.rcode.SERVFAIL


def test_the_next_query_has_its_own_time() -> None:
    service = PlayedService("upstream")
    table = {"example.": 0, "free.": 1}
    served = trial(
        services=(service,), zones=table, blocks=[[CancelStep(3 * S), Wait("upstream")], [Wait("upstream")]]
    )
    assert served.ask(query(NAME)) is WAITS
    assert served.ask(query("a.free.")) is WAITS
    served.sleep(4)
    assert code(served.say(service, None, stale=True)) == dns.rcode.SERVFAIL
    # One without a deadline is asked again: there is still time.
    assert served.say(service, None, number=1, stale=True) is WAITS
