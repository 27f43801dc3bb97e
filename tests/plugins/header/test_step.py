"""The header step without a server: which bits leave, and which ones stay."""

from __future__ import annotations

import itertools

import pytest

from fastdns.plugins.header._step import HeaderStep
from tests.serve._service import WAITS, PlayedService, Wait
from tests.serve._steps import Answer, Say
from tests.serve.support import FLAG_AA, FLAG_RA, FLAG_RD, parse, query, reply_to, trial, wire

pytestmark = pytest.mark.native

BITS = (FLAG_AA, FLAG_RA, FLAG_RD)
ALL = FLAG_AA | FLAG_RA | FLAG_RD


@pytest.mark.parametrize("changed", list(itertools.product(["set", "cleared", ""], repeat=3)))
def test_each_bit_of_a_response(changed: tuple[str, ...]) -> None:
    """Of an authoritative answer to a query with RD, and of an upstream's with RA."""
    set_ones = sum(bit for bit, what in zip(BITS, changed, strict=True) if what == "set")
    cleared = sum(bit for bit, what in zip(BITS, changed, strict=True) if what == "cleared")
    step = HeaderStep(0, 0, set_ones, cleared)
    own = trial(step, Answer(wire("example."), bytes([192, 0, 2, 1])))
    assert parse(own.ask(query("a.example."))).header.bitmap & ALL == (FLAG_AA | FLAG_RD) & ~cleared | set_ones
    service = PlayedService("upstream")
    far = trial(step, Wait("upstream"), services=(service,))
    message = query("a.example.")
    assert far.ask(message) is WAITS
    reply = parse(far.say(service, reply_to(message, "a.example. 60 IN A 192.0.2.1")))
    assert reply.header.bitmap & ALL == (FLAG_RA | FLAG_RD) & ~cleared | set_ones


def test_the_step_that_is_nearer_to_the_client_has_the_last_word() -> None:
    answer = Answer(wire("example."), bytes([192, 0, 2, 1]))
    below = HeaderStep(0, 0, FLAG_RA, FLAG_AA)
    served = trial(HeaderStep(0, 0, FLAG_AA, FLAG_RA), below, answer)
    assert parse(served.ask(query("a.example."))).header.bitmap & ALL == FLAG_AA | FLAG_RD
    assert parse(trial(Say([], FLAG_RA, 0), below, answer).ask(query("a.example."))).header.bitmap & FLAG_RA


def test_an_error_of_no_plugin_is_left_alone() -> None:
    reply = parse(trial(HeaderStep(0, 0, ALL, 0)).ask(query("a.example.")))
    assert (reply.header.rcode, reply.header.bitmap & ALL) == (2, FLAG_RD)
