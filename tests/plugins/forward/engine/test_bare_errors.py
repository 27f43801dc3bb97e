"""Error replies that repeat no question, as servers send them that refuse a client or cannot read a query: the code
reaches the client, and no forged one displaces a reply."""

from __future__ import annotations

import time
from collections.abc import Callable

import dns.rcode
import pytest

from tests.plugins.forward.engine.support import (
    Asked,
    Forwarder,
    Reply,
    Upstream,
    addresses,
    forward,
    good,
    saying,
    silent,
    with_rcode,
)

pytestmark = pytest.mark.native

FORMERR, SERVFAIL, NOTIMP, REFUSED = 1, 2, 4, 5
CODES = pytest.mark.parametrize("code", [FORMERR, SERVFAIL, NOTIMP, REFUSED], ids=dns.rcode.to_text)
# Of the root, no more of the code, no flags; and an extended error: prohibited.
OPT = b"\0\0\x29\4\xd0\0\0\0\0\0\6\0\x0f\0\2\0\x12"


def header(asked: Asked, code: int, counts: bytes = bytes(8)) -> bytes:
    return asked.wire[:2] + bytes((0x81, 0x80 | code)) + counts


def bare(code: int) -> Callable[[Asked], Reply]:
    """The script of a server that answers with twelve bytes."""
    return lambda asked: header(asked, code)


def bare_with_opt(code: int) -> Callable[[Asked], Reply]:
    """One that says more about it (RFC 8914)."""
    return lambda asked: header(asked, code, bytes(7) + b"\1") + OPT


@CODES
@pytest.mark.parametrize("script", [bare, bare_with_opt])
def test_the_code_is_passed_on(code: int, script: Callable[[int], Callable[[Asked], Reply]]) -> None:
    """It was taken for malformed, and the client got SERVFAIL. Nobody waits for read_timeout."""
    with Upstream(script(code)) as up, Forwarder(forward(up.to, max_fails=0)) as forwarder:
        begun = time.monotonic()
        reply = forwarder.ask(use_edns=0)
        assert (reply.rcode(), reply.answer) == (code, [])
        assert time.monotonic() - begun < 1
        assert (len(up.questions), forwarder.failed(), forwarder.errors()) == (1, {}, [])
        assert "mismatched" not in forwarder.counters()


@CODES
@pytest.mark.parametrize("script", [bare, bare_with_opt])
def test_the_code_is_passed_on_over_streams(code: int, script: Callable[[int], Callable[[Asked], Reply]]) -> None:
    """Where nobody forges, and nothing better can come."""
    with Upstream(tcp=script(code)) as up, Forwarder(forward(up.to, force_tcp="", max_fails=0)) as forwarder:
        assert forwarder.ask().rcode() == code
        assert forwarder.ask_over_tcp().rcode() == code
        assert len(up.over(tcp=True)) == 2
        assert forwarder.failed() == {}


@pytest.mark.parametrize("counted", [False, True], ids=["at first", "from an upstream whose time is known"])
def test_a_forged_header_does_not_displace_the_reply(counted: bool) -> None:
    """It comes first, five times, with the right ID from the right port; the reply takes its time."""
    with Upstream(good) as up, Forwarder(forward(up.to, max_fails=0)) as forwarder:
        for number in range(5 if counted else 0):
            forwarder.ask(f"n{number}.example.")
        client = forwarder.client()
        up.script = lambda asked: [header(asked, REFUSED)] * 5
        client.send(echo_question())
        asked = up.next()
        while asked.name != "www.example.":
            asked = up.next()
        assert client.nothing_comes(0.05)
        up.say(asked, good(asked))
        assert addresses(client.receive()) == ["192.0.2.1"]
        forwarder.settles()


def echo_question() -> bytes:
    return b"\0\1\1\0\0\1\0\0\0\0\0\0\3www\7example\0\0\1\0\1"


@CODES
def test_meanwhile_the_other_upstream_is_asked(code: int) -> None:
    with (
        Upstream(bare(code)) as one,
        Upstream(saying("192.0.2.2")) as two,
        Forwarder(forward(one.to, two.to, policy="sequential", max_fails=0)) as forwarder,
    ):
        assert addresses(forwarder.ask()) == ["192.0.2.2"]


def test_a_refusal_without_a_question_is_better_than_servfail() -> None:
    with (
        Upstream(bare(REFUSED)) as one,
        Upstream(with_rcode(SERVFAIL)) as two,
        Forwarder(forward(one.to, two.to, policy="sequential", max_fails=0)) as forwarder,
    ):
        assert forwarder.ask().rcode() == REFUSED


def test_failover_counts_for_it() -> None:
    """The other one is silent: what there is is the answer, long before its time is over."""
    with (
        Upstream(bare(REFUSED)) as one,
        Upstream(silent) as two,
        Forwarder(
            forward(one.to, two.to, policy="sequential", failover="REFUSED", read_timeout="500ms", max_fails=0)
        ) as forwarder,
    ):
        assert forwarder.ask().rcode() == REFUSED
        assert forwarder.of_upstream("passed_over") == 1


NO_ERRORS = [
    (lambda asked: header(asked, 0), "no code"),
    (lambda asked: header(asked, REFUSED, bytes(3) + b"\1" + bytes(4)), "an answer is promised"),
    (lambda asked: header(asked, REFUSED, bytes(7) + b"\1"), "an OPT record is promised"),
    (lambda asked: header(asked, REFUSED) + b"\0", "a byte behind it"),
    (lambda asked: header(asked, REFUSED, bytes(7) + b"\1") + OPT[:-1], "an OPT record that is cut"),
    (lambda asked: header(asked, 7, bytes(7) + b"\1") + OPT[:5] + b"\1" + OPT[6:], "an extended code: BADCOOKIE"),
    (lambda asked: asked.wire[:2] + b"\xa8\5" + bytes(8), "an UPDATE's"),
    (lambda asked: asked.wire[:2] + b"\1\5" + bytes(8), "a query"),
]


@pytest.mark.parametrize(("script", "why"), NO_ERRORS, ids=[why for _, why in NO_ERRORS])
def test_what_is_no_such_error_changes_nothing(script: Callable[[Asked], Reply], why: str) -> None:
    with Upstream(lambda asked: [script(asked), good(asked)]) as up, Forwarder(forward(up.to)) as forwarder:
        assert addresses(forwarder.ask()) == ["192.0.2.1"]
        assert forwarder.count("mismatched") == 1
        up.script = script
        options = forward(up.to, max_fails=0, read_timeout="100ms", max_connect_attempts=1)
        with Forwarder(options) as other:
            assert other.ask().rcode() == SERVFAIL
            assert other.failed() == {"upstream_timeout": 1}
