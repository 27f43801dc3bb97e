"""What bufsize makes of the size that a client says it takes: for the reply, and for who is asked upstream."""

from __future__ import annotations

from dataclasses import dataclass

import dns.edns
import dns.flags
import dns.message
import pytest

from tests.plugins.forward.engine.support import (
    NAME,
    Asked,
    Forwarder,
    Reply,
    Upstream,
    a,
    forward,
    good,
    response,
    silent,
)
from tests.support import wait_until

pytestmark = pytest.mark.native

COOKIE = dns.edns.GenericOption(10, b"8 bytes!")


@dataclass(frozen=True)
class Case:
    """takes: what the client says, None for no OPT record. told: what the upstream gets to see."""

    why: str
    directive: str
    takes: int | None
    told: int | None


CASES = [
    Case("more than it allows", "bufsize 1232", 4096, 1232),
    Case("by default", "bufsize", 65535, 1232),
    Case("as much", "bufsize 1232", 1232, 1232),
    Case("less is the client's own business", "bufsize 1232", 700, 1232),
    Case("less than there may be is, too", "bufsize 1232", 100, 1232),
    Case("a network that carries less", "bufsize 600", 4096, 600),
    Case("a network that carries less, and a client that says so", "bufsize 600", 512, 600),
    Case("it cannot say more", "bufsize 4096", 65535, 1232),
    Case("no OPT record is made", "bufsize 1232", None, None),
    Case("without bufsize", "", 4096, 1232),
]


def query(takes: int | None, **more: object) -> dns.message.Message:
    """A question of a client that takes so many bytes."""
    if takes is None:
        return dns.message.make_query(NAME, "A")
    return dns.message.make_query(NAME, "A", use_edns=0, payload=takes, options=[COOKIE], **more)


@pytest.mark.parametrize("case", CASES, ids=[case.why for case in CASES])
@pytest.mark.parametrize("over", ["UDP", "TCP"])
def test_the_upstream_is_told_the_size(case: Case, over: str) -> None:
    """It went by what the client had said, and its fragments came, or did not. The cookie is for us."""
    with Upstream(tcp=good) as up, Forwarder(f"{case.directive}\n{forward(up.to)}") as forwarder:
        if over == "UDP":
            forwarder.exchange(query(case.takes))
        elif case.takes is None:
            forwarder.ask_over_tcp()
        else:
            forwarder.ask_over_tcp(use_edns=0, payload=case.takes, options=[COOKIE])
        (asked,) = up.over(tcp=over == "TCP")
        options = {} if case.told is None else {"use_edns": 0, "payload": case.told}
        assert asked.wire[2:] == dns.message.make_query(NAME, "A", **options).to_wire()[2:]


@pytest.mark.parametrize(("payload", "tc"), [(4096, True), (1232, True), (600, True)])
def test_the_reply_keeps_to_the_size(payload: int, tc: bool) -> None:
    def many(asked: Asked) -> Reply:
        reply = response(asked.message)
        for number in range(100):
            a(reply, f"192.0.2.{number}")
        return reply

    with Upstream(many) as up, Forwarder(f"bufsize 1000\n{forward(up.to, max_fails=0)}") as forwarder:
        client = forwarder.client()
        client.send(query(payload))
        wire = client.receive_wire()
        assert len(wire) <= min(payload, 1000)
        assert bool(wire[2] & dns.flags.TC >> 8) == tc


def test_sizes_that_have_become_one_are_one_question() -> None:
    with Upstream(silent) as up, Forwarder(f"bufsize 1232\n{forward(up.to, max_fails=0)}") as forwarder:
        client = forwarder.client()
        for takes in (4096, 1400, 1232, 4096, 1231, None, 1231):
            client.send(query(takes))
        wait_until(lambda: forwarder.count("parked") == 7)
        assert forwarder.out == 2
        wait_until(lambda: len(up.asked) >= 2)
        assert forwarder.count("joined") == 5
        for asked in list(up.asked):
            up.say(asked, good(asked))
        assert {client.receive().rcode() for _ in range(7)} == {0}
        forwarder.settles()


def test_a_prefetch_tells_the_same_size() -> None:
    def short(asked: Asked) -> Reply:
        return a(response(asked.message), ttl_s=5)

    directives = "bufsize 600\ncache {\nprefetch 1 1m 90%\n}"
    with Upstream(short) as up, Forwarder(f"{directives}\n{forward(up.to)}") as forwarder:
        for _ in range(2):
            forwarder.exchange(query(4096))
        wait_until(lambda: len(up.questions) == 2, why="a popular answer is fetched again")
        assert [asked.message.payload for asked in up.questions] == [600, 600]
