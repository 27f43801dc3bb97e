"""A step sees the bytes that came, and those that go out."""

from __future__ import annotations

import pytest

from tests.serve._service import WAITS, PlayedService, Wait
from tests.serve._steps import Answer, Ask, Seal
from tests.serve.support import parse, query, reply_to, trial, wire

pytestmark = pytest.mark.native

ADDRESS = bytes([192, 0, 2, 1])


def sealed(reply: object) -> tuple[int, int]:
    """What the last record says: the bytes that came, and that were to leave."""
    assert isinstance(reply, bytes)
    data = reply[-4:]
    return int.from_bytes(data[:2], "big"), int.from_bytes(data[2:], "big")


def test_a_reply_and_its_query() -> None:
    message = query("www.a.")
    reply = trial(Seal(), Answer(wire("a."), ADDRESS)).ask(message)
    assert isinstance(reply, bytes)
    assert sealed(reply) == (len(message), len(reply) - 16)
    assert len(parse(reply).ar) == 1


def test_several_steps_the_last_one_first() -> None:
    reply = trial(Seal(), Seal(), Answer(wire("a."), ADDRESS)).ask(query("a."))
    assert isinstance(reply, bytes)
    assert len(parse(reply).ar) == 2
    assert sealed(reply)[1] == len(reply) - 16


@pytest.mark.parametrize("records", range(0, 40))
def test_there_is_room_for_what_is_added(records: int) -> None:
    reply = trial(Seal(), Answer(wire("a."), ADDRESS, records=records)).ask(query("a.", udp_bytes=512))
    assert isinstance(reply, bytes)
    assert len(reply) <= 512
    parsed = parse(reply)
    assert sealed(reply)[1] == len(reply) - 16
    # The seal is the last record, behind the OPT record.
    assert parsed.ar[-1].rtype == 16
    assert bool(parsed.header.tc) is (len(parsed.rr) < records)


def test_the_longest_name_leaves_room() -> None:
    name = ".".join(["x" * 63] * 3 + ["y" * 61]) + "."
    reply = trial(Seal(), Answer(wire("."), ADDRESS, records=40)).ask(query(name, udp_bytes=512))
    assert isinstance(reply, bytes)
    assert len(reply) <= 512
    assert parse(reply).ar[-1].rtype == 16


def test_a_failure_without_records_is_seen_too() -> None:
    message = query("elsewhere.")
    reply = trial(Seal(), Answer(wire("a."), ADDRESS)).ask(message)
    assert parse(reply).header.rcode == 2
    assert sealed(reply)[0] == len(message)


def test_a_step_may_withhold_the_reply() -> None:
    seal = Seal(silent=True)
    assert trial(seal, Answer(wire("a."), ADDRESS)).ask(query("a.")) is None
    assert seal.seen == 1


def test_once_for_a_query_that_waits_and_not_for_questions_inside_it() -> None:
    service = PlayedService("played")
    seal = Seal()
    server = trial(seal, Ask(wire("ask."), [wire("a."), wire("b.")]), Wait("played"), services=(service,))
    message = query("ask.")
    assert server.ask(message) is WAITS
    assert server.say(service, reply_to(query("a."), "a. 1 A 192.0.2.1")) is WAITS
    reply = server.say(service, reply_to(query("b."), "b. 1 A 192.0.2.1"))
    assert sealed(reply)[0] == len(message)
    assert seal.seen == 1
