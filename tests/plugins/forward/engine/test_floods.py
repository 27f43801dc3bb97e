"""A million forged replies, and a stampede of clients for one name."""

from __future__ import annotations

import os
import random

import dns.message
import pytest

from tests.plugins.forward.engine.bursts import BATCH, send_batch
from tests.plugins.forward.engine.forging import forgery, ports_towards
from tests.plugins.forward.engine.support import (
    NAME,
    Forwarder,
    Upstream,
    addresses,
    forward,
    good,
    silent,
)
from tests.support import wait_until

pytestmark = [pytest.mark.alone, pytest.mark.native]


def test_ten_thousand_forgeries_against_each_of_a_hundred_questions() -> None:
    """From the upstream's own socket, to the port that each question left from, under every ID but the right one.

    So the forger is spared the guess of the port, and the ID is all that is between it and the client. One question
    is in flight at a time: none may wait for longer than an exchange does, however slow this machine is.
    """
    rng = random.Random(7)
    with Upstream(silent) as up, Forwarder(forward(up.to, max_fails=0, read_timeout="5s")) as forwarder:
        client = forwarder.client()
        sent = 0
        for number in range(100):
            client.send(dns.message.make_query(f"n{number}.example.org.", "A", id=number))
            asked = up.next()
            while asked.name != f"n{number}.example.org.":
                # The one before, sent again for the silence.
                asked = up.next()
            assert asked.peer[1] in ports_towards(up.port)
            tail = forgery(asked)
            right = int.from_bytes(asked.wire[:2], "big")
            ids = rng.sample(range(65536), 10_001)
            ids.remove(right if right in ids else ids[0])
            for at in range(0, 10_000, BATCH):
                some = ids[at : at + BATCH]
                send_batch(up.udp, [one.to_bytes(2, "big") + tail for one in some], asked.peer)
                sent += len(some)
                # What the kernel drops would prove nothing.
                while forwarder.count("mismatched") < sent - BATCH:
                    os.sched_yield()
            while forwarder.count("mismatched") < sent:
                os.sched_yield()
            assert forwarder.out == 1
            up.say(asked, good(asked))
            reply = client.receive()
            assert (reply.id, addresses(reply)) == (number, ["192.0.2.1"])
        assert sent == 1_000_000
        assert client.nothing_comes(0.05)
        forwarder.settles()


def test_a_stampede_asks_once() -> None:
    """10,000 clients ask for a cold name within the time that its answer takes: one question goes upstream."""
    total = 10_000
    with (
        Upstream(silent) as up,
        Forwarder(forward(up.to, max_fails=0, read_timeout="5s"), room=16_384) as forwarder,
    ):
        clients = [forwarder.client() for _ in range(20)]
        wires = [dns.message.make_query(NAME, "A", id=number).to_wire() for number in range(total // len(clients))]
        for client in clients:
            send_batch(client.sock, wires)
        wait_until(lambda: forwarder.count("parked") == total)
        asked = up.next()
        assert forwarder.out == 1
        up.say(asked, good(asked))
        for client in clients:
            got = {client.receive_wire()[:2] for _ in wires}
            assert len(got) == len(wires)
        # What was sent again for silence has the same ID; it is the same question.
        assert {one.wire for one in up.questions} == {asked.wire}
        assert forwarder.counters() == {"queries": total, "parked": total, "joined": total - 1}
        forwarder.settles()
