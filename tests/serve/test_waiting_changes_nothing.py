"""Whatever steps do with a query, it comes to the same whether answers are at hand or have to be waited for.

The oracle is the same chain with the answers in its last steps. Beside it they are in another server, which is
asked what the service is asked; several clients' queries wait at a time, and are resumed in any order.
"""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fastdns.serve._zones import NativeStep
from tests.serve._service import WAITS, PlayedService, Wait
from tests.serve._steps import Answer, Ask, Guard, Rewrite
from tests.serve.support import parse, query, shown, trial, wire

pytestmark = pytest.mark.native

# As _suspend.MAX_REPLAYS.
MAX_WAITS = 16
NAMES = ["a.", "b.", "c.", "x.a.", "y.a.", "x.b.", "deep.x.b."]
name = st.sampled_from(NAMES)

rewrites = st.tuples(st.just("rewrite"), name, name, st.sampled_from([0, 1, 28]))
asks = st.tuples(st.just("ask"), name, st.lists(name, min_size=1, max_size=3), st.booleans())
guards = st.tuples(st.just("guard"), name, st.booleans(), st.none())
plans = st.lists(st.one_of(rewrites, asks, guards), max_size=4)


def made(plan: list[tuple[str, str, object, object]]) -> list[NativeStep]:
    steps: list[NativeStep] = []
    for kind, one, other, how in plan:
        if kind == "rewrite":
            assert isinstance(other, str) and isinstance(how, int)
            steps.append(Rewrite(wire(one), wire(other), how))
        elif kind == "ask":
            assert isinstance(other, list)
            steps.append(Ask(wire(one), [wire(each) for each in other], below=bool(how)))
        else:
            steps.append(Guard(wire(one), drops=bool(other)))
    return steps


def answers() -> list[NativeStep]:
    """What is known: addresses of some names, and that the others do not exist."""
    return [
        Answer(wire("x.a."), bytes([192, 0, 2, 1])),
        Answer(wire("a."), bytes([192, 0, 2, 2]), records=2),
        Answer(wire("b."), bytes(16), 28),
        Answer(wire("."), bytes([192, 0, 2, 3])),
    ]


def seen(reply: object) -> object:
    """What a client sees of a reply, but for AA: what came from elsewhere is not the server's own."""
    if reply is None:
        return None
    parsed = parse(reply)
    lines = [line.replace('aw"', '-w"') for line in shown(parsed)]
    return parsed.header.id, parsed.header.rcode, parsed.header.tc, str(parsed.q.qname), lines


@settings(max_examples=400, deadline=None)
@given(
    plan=plans,
    asked=st.lists(st.tuples(name, st.sampled_from(["A", "AAAA", "TXT"])), min_size=1, max_size=5),
    order=st.randoms(use_true_random=False),
)
def test_waiting_changes_nothing(plan, asked, order) -> None:  # type: ignore[no-untyped-def]
    messages = [query(each, rrtype, number=number) for number, (each, rrtype) in enumerate(asked)]
    at_hand = trial(*made(plan), *answers())
    expected = [seen(at_hand.ask(message, tcp=True)) for message in messages]

    elsewhere = trial(*answers())
    service = PlayedService("played")
    server = trial(*made(plan), Wait("played"), services=(service,))
    came: dict[int, object] = {}
    waiting: list[int] = []
    for number, message in enumerate(messages):
        reply = server.ask(message, tcp=True)
        if reply is WAITS:
            waiting.append(number)
        else:
            came[number] = seen(reply)
    waits = [0] * len(messages)
    while waiting:
        place = order.randrange(len(waiting))
        question, rrtype = server.asked(service)[place]
        said = elsewhere.ask(b"\0\0\1\0\0\1" + bytes(6) + question + rrtype.to_bytes(2, "big") + b"\0\1", tcp=True)
        assert isinstance(said, bytes)
        number = waiting.pop(place)
        waits[number] += 1
        reply = server.say(service, said, number=place)
        if reply is WAITS:
            waiting.append(number)
        else:
            came[number] = seen(reply)
    assert server.kept_bytes == 0
    # One that waits for more than it may comes to an error.
    assume(max(waits) < MAX_WAITS)
    assert [came[number] for number in range(len(messages))] == expected

