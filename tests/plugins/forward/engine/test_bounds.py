"""Bounds on questions in flight and on their memory."""

from __future__ import annotations

import contextlib
import queue
import struct

import dns.message
import dns.rcode
import pytest

from tests.plugins.forward.engine.support import (
    Forwarder,
    Upstream,
    addresses,
    drain,
    echo,
    forward,
    good,
    question,
    silent,
)
from tests.support import wait_until

pytestmark = pytest.mark.native

SERVFAIL = dns.rcode.SERVFAIL


def padded(size: int, number: int = 0) -> bytes:
    """A query of so many bytes: padding (RFC 7830) that an upstream gets to see as well."""
    wire = question(number)
    room = size - len(wire) - 15
    wire += b"\0\0\x29\x04\xd0\0\0\0\0" + struct.pack(">HHH", room + 4, 12, room) + bytes(room)
    return wire[:11] + b"\1" + wire[12:]


def test_a_full_table_sheds() -> None:
    """SERVFAIL at once, counted and logged; each question that ends makes room."""
    with Upstream(silent) as up, Forwarder(forward(up.to, max_fails=0), room=8) as forwarder:
        client = forwarder.client()
        for number in range(8):
            client.send(question(number))
        asked = [up.next() for _ in range(8)]
        assert forwarder.out == 8
        client.send(question(8))
        client.send(question(9))
        assert drain(client, 2) == [SERVFAIL] * 2
        assert forwarder.errors() == ["too many queries in flight"] * 2
        assert forwarder.failed() == {"in_flight": 2}
        # Who asks what is in flight already takes no place.
        client.send(question(3))
        wait_until(lambda: forwarder.count("joined") == 1)
        for one in asked:
            up.say(one, echo(one))
        assert drain(client, 9) == [0] * 9
        up.script = good
        assert addresses(forwarder.ask()) == ["192.0.2.1"]
        forwarder.settles()


@pytest.mark.parametrize(("first", "then"), [(3900, 40), (40, 3900), (600, 300)], ids=str)
def test_memory_that_one_size_has_used_is_free_for_others(first: int, then: int) -> None:
    """A flood of queries of one size must not keep the memory from all others for ever after."""

    def make(size: int) -> bytes:
        return padded(size) if size > 60 else question(0)

    with Upstream(silent) as up, Forwarder(forward(up.to, max_fails=0), room=16) as forwarder:
        for size in (first, then, first):
            flood = forwarder.client()
            before = sum(forwarder.failed().values())
            for _ in range(8000):
                if sum(forwarder.failed().values()) > before:
                    break
                flood.send(make(size))
            wait_until(lambda before=before: sum(forwarder.failed().values()) > before, why="memory is used up")
            answer_all(up, forwarder)
            # The other one, and the other sizes, have room now.
            client = forwarder.client()
            for other in (40, 300, 600, 1500, 3900):
                client.send(make(other))
                answer_all(up, forwarder)
                assert drain(client, 1) == [0]


def answer_all(up: Upstream, forwarder: Forwarder) -> None:
    """Answer what is asked, until nothing is in flight and what the listener holds is served."""
    while True:
        with contextlib.suppress(queue.Empty):
            asked = up.next(0.05)
            up.say(asked, echo(asked))
            continue
        if not forwarder.out:
            return


def test_a_query_that_is_too_long_is_not_forwarded() -> None:
    with Upstream() as up, Forwarder(forward(up.to)) as forwarder:
        client = forwarder.client()
        client.send(padded(4090))
        assert drain(client, 1) == [SERVFAIL]
        assert forwarder.failed() == {"too_long": 1}
        assert up.asked == []
