"""The final name is judged, however a query has come to it; options and header bits of the server's own."""

from __future__ import annotations

import pytest

from tests.serve._service import WAITS, PlayedService, Wait
from tests.serve._steps import Answer, Ask, Guard, Rewrite, Say
from tests.serve.support import (
    FLAG_AA,
    FLAG_AD,
    FLAG_RA,
    FLAG_RD,
    options_of,
    parse,
    query,
    reply_to,
    shown,
    trial,
    wire,
)  # fmt: skip

pytestmark = pytest.mark.native

ADDRESS = bytes([192, 0, 2, 1])
BLOCKED = (15, b"\x00\x12blocked")


def test_the_name_as_asked() -> None:
    guard = Guard(wire("bad."))
    server = trial(guard, Answer(wire("."), ADDRESS))
    reply = parse(server.ask(query("x.bad.", udp_bytes=1232)))
    assert (reply.header.rcode, shown(reply), options_of(reply)) == (5, [], [BLOCKED])
    assert (guard.looked, guard.stopped) == (1, 1)


def test_the_name_as_a_step_below_has_changed_it() -> None:
    guard = Guard(wire("bad."))
    server = trial(guard, Rewrite(wire("good."), wire("bad.")), Answer(wire("."), ADDRESS))
    reply = parse(server.ask(query("x.good.", udp_bytes=1232)))
    assert (reply.header.rcode, str(reply.q.qname), options_of(reply)) == (5, "x.good.", [BLOCKED])
    # Both names were looked at, and one stopped.
    assert (guard.looked, guard.stopped) == (2, 1)


def test_a_question_inside_a_query() -> None:
    for below in (False, True):
        guard = Guard(wire("bad."))
        server = trial(guard, Ask(wire("ask."), [wire("x.bad.")], below=below), Answer(wire("."), ADDRESS))
        lines = shown(parse(server.ask(query("ask."))))
        assert lines == ['an ask. TXT "5--"']
        assert guard.stopped == 1


def test_silence_is_silence_on_each_way() -> None:
    guard, rewrite = Guard(wire("bad."), drops=True), Rewrite(wire("good."), wire("bad."))
    server = trial(guard, rewrite, Answer(wire("."), ADDRESS))
    assert server.ask(query("x.bad.")) is None
    assert server.ask(query("x.good.")) is None
    server = trial(Guard(wire("bad."), drops=True), Ask(wire("ask."), [wire("x.bad.")]), Answer(wire("."), ADDRESS))
    # Of a question inside a query: the asker hears nothing, and goes on.
    assert shown(parse(server.ask(query("ask.")))) == ['an ask. TXT "2-d"']


def test_a_query_that_waits_is_judged_again_and_counted_once() -> None:
    service = PlayedService("played")
    guard = Guard(wire("bad."))
    server = trial(guard, Ask(wire("ask."), [wire("a."), wire("b.")]), Wait("played"), services=(service,))
    assert server.ask(query("ask.")) is WAITS
    assert server.say(service, reply_to(query("a."), "a. 1 A 192.0.2.1")) is WAITS
    parse(server.say(service, reply_to(query("b."), "b. 1 A 192.0.2.1")))
    assert (guard.looked, guard.stopped) == (3, 0)


def test_a_step_behind_one_that_waits_sees_the_query_for_the_first_time_when_it_is_resumed() -> None:
    """A query that has waited counted as seen by every step, also by those that it had not come to."""
    first, last = PlayedService("first"), PlayedService("last")
    before, between = Guard(wire("bad.")), Guard(wire("bad."))
    server = trial(
        before, Wait("first", passes=True), between, Wait("last", passes=True), Answer(wire("."), ADDRESS),
        services=(first, last),
    )  # fmt: skip
    assert server.ask(query("a.")) is WAITS
    assert (before.looked, between.looked) == (1, 0)
    assert server.say(first, None) is WAITS
    assert (before.looked, between.looked) == (1, 1)
    assert shown(parse(server.say(last, None))) == ["an a. A 192.0.2.1"]
    assert (before.looked, between.looked) == (1, 1)


def test_a_stopped_question_inside_a_query_that_waits_is_counted_once() -> None:
    service = PlayedService("played")
    guard = Guard(wire("bad."))
    asking = Ask(wire("ask."), [wire("x.bad."), wire("a."), wire("b.")])
    server = trial(guard, asking, Wait("played"), services=(service,))
    assert server.ask(query("ask.")) is WAITS
    assert server.say(service, reply_to(query("a."), "a. 1 A 192.0.2.1")) is WAITS
    lines = shown(parse(server.say(service, reply_to(query("b."), "b. 1 A 192.0.2.1"))))
    assert lines[0] == 'an ask. TXT "5--"'
    assert guard.stopped == 1


NSID, COOKIE, EDE = 3, 10, 15


@pytest.mark.parametrize(
    ("sent", "said", "expected"),
    [
        pytest.param({}, [(EDE, b"\0\1x")], [(EDE, b"\0\1x")], id="one"),
        pytest.param(
            {COOKIE: b"12345678"}, [(EDE, b"\0\1")], [(COOKIE, b"12345678"), (EDE, b"\0\1")], id="beside an echo"
        ),
        pytest.param({NSID: b""}, [(NSID, b"me")], [(NSID, b"me")], id="in place of an echo"),
        pytest.param({}, [(EDE, b"\0\1"), (NSID, b"me")], [(EDE, b"\0\1"), (NSID, b"me")], id="two"),
        pytest.param({}, [(EDE, b"\0\1"), (EDE, b"\0\2")], [(EDE, b"\0\2")], id="the last of a code"),
        pytest.param({}, [(NSID, b"x" * 500), (EDE, b"\0\1" + b"y" * 20)], [(NSID, b"x" * 500)], id="too much"),
    ],
)
def test_options(sent: dict[int, bytes], said: list[tuple[int, bytes]], expected: list[tuple[int, bytes]]) -> None:
    server = trial(Say(said), Answer(wire("."), ADDRESS))
    reply = parse(server.ask(query("a.", udp_bytes=1232, options=sent)))
    assert options_of(reply) == expected
    # Without an OPT record in the query there is none in the reply (RFC 6891 section 7).
    assert parse(server.ask(query("a."))).ar == []


def test_options_never_make_a_reply_longer_than_the_client_takes() -> None:
    server = trial(Say([(NSID, b"x" * 400)]), Answer(wire("."), ADDRESS, records=40))
    reply = server.ask(query("a.", udp_bytes=512))
    assert isinstance(reply, bytes)
    assert len(reply) <= 512
    assert parse(reply).header.tc == 1


def test_a_question_inside_a_query_has_its_own_options_and_bits() -> None:
    server = trial(
        zones={"ask.": 0, "a.": 1},
        blocks=[
            [Ask(wire("ask."), [wire("a.")])],
            [Say([(EDE, b"\0\1")], FLAG_AD), Answer(wire("."), ADDRESS)],
        ],
    )
    reply = parse(server.ask(query("ask.", udp_bytes=1232)))
    assert (options_of(reply), reply.header.ad) == ([], 0)


@pytest.mark.parametrize("bit", [FLAG_AA, FLAG_RD, FLAG_RA, FLAG_AD])
def test_header_bits(bit: int) -> None:
    message = query("a.")
    for flags, is_set in (((bit, 0), True), ((0, bit), False), ((bit, bit), True)):
        reply = trial(Say([], *flags), Answer(wire("."), ADDRESS)).ask(message)
        assert isinstance(reply, bytes)
        assert bool(int.from_bytes(reply[2:4], "big") & bit) is is_set


def test_bits_that_are_no_steps_matter_stay() -> None:
    reply = trial(Say([], 0, 0xFFFF), Answer(wire("."), ADDRESS)).ask(query("a."))
    assert isinstance(reply, bytes)
    assert reply[2:4] == b"\x80\x00"
    reply = trial(Say([], 0xFFFF), Answer(wire("."), ADDRESS)).ask(query("a."))
    assert isinstance(reply, bytes)
    # QR, AA, RD, RA, AD and CD: neither the opcode nor TC, and no code.
    assert int.from_bytes(reply[2:4], "big") == 0x8000 | FLAG_AA | FLAG_RD | FLAG_RA | FLAG_AD | 0x10
