"""The end of the loop with questions in flight, and the deliveries of the slow thread."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
import time

import dns.message
import dns.rcode
import pytest

from fastdns.transports._slow import PARKED
from tests.plugins.forward.engine.support import (
    HOST,
    HOT,
    NAME,
    Client,
    Forwarder,
    Upstream,
    addresses,
    closed_port,
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


def test_who_waits_is_answered_before_the_end() -> None:
    with Upstream(silent) as up, Forwarder(forward(up.to)) as forwarder:
        client = forwarder.client()
        client.send(dns.message.make_query(NAME, "A"))
        asked = up.next()
        forwarder.hot.stop()
        up.say(asked, good(asked))
        assert addresses(client.receive()) == ["192.0.2.1"]
        forwarder.threads[0].join(1)
        assert not forwarder.threads[0].is_alive()


def test_a_thread_that_is_ending_sleeps_while_somebody_waits() -> None:
    """What told it to end stayed readable, so that it looked again and again, with all of a CPU, for 4 s."""
    with (
        Upstream(silent) as up,
        Forwarder(forward(up.to, max_fails=0, read_timeout="5s")) as forwarder,
    ):
        client = forwarder.client()
        client.send(dns.message.make_query(NAME, "A"))
        asked = up.next()
        clock = time.pthread_getcpuclockid(forwarder.threads[HOT].ident)
        begun, spent = time.monotonic(), time.clock_gettime(clock)
        forwarder.hot.stop()
        time.sleep(1)
        assert forwarder.threads[HOT].is_alive()
        spent = time.clock_gettime(clock) - spent
        # It looks every millisecond.
        assert spent < 0.3 * (time.monotonic() - begun)
        up.say(asked, good(asked))
        assert addresses(client.receive()) == ["192.0.2.1"]
        forwarder.threads[HOT].join(1)
        assert not forwarder.threads[HOT].is_alive()


def test_who_waits_for_too_long_gets_an_error() -> None:
    """The supervisor's patience is 5 s: the slow thread gives up before. (The hot one: tests/integration.)"""
    with Upstream(silent) as up, Forwarder(forward(up.to, max_fails=0, read_timeout="5s")) as forwarder:
        delivered: list[object] = []

        def ask(number: int) -> None:
            wire = question(number)
            reply = forwarder.slow.serve(0, wire, socket.inet_aton(HOST), 53, delivered.append, transport=0)
            if reply is not PARKED:
                delivered.append(reply)

        def give_up() -> None:
            for number in range(100):
                ask(number)
            assert delivered == []
            assert forwarder.slow.waits == 100
            forwarder.slow.give_up()
            # What comes now does not wait any more.
            ask(100)

        forwarder.loop.call_soon_threadsafe(give_up)
        wait_until(lambda: len(delivered) == 101)
        assert all(isinstance(reply, bytes) and reply[3] & 0xF == SERVFAIL for reply in delivered)
        assert forwarder.slow.waits == forwarder.slow.in_flight == 0


def test_an_end_under_load_loses_nothing_that_was_taken() -> None:
    """Always new queries come that wait for 100 ms: they are left to others after a second."""

    sent = 0
    done = threading.Event()

    def ask_and_ask(client: Client) -> None:
        nonlocal sent
        while not done.is_set():
            client.send(question(sent))
            sent += 1
            time.sleep(0.002)

    with Upstream() as up, Forwarder(forward(up.to, max_fails=0)) as forwarder:
        up.script = up.later(echo, 0.1)
        client = forwarder.client()
        asking = threading.Thread(target=ask_and_ask, args=(client,))
        asking.start()
        try:
            wait_until(lambda: forwarder.count("parked") > 50)
            begun = time.monotonic()
            forwarder.hot.stop()
            forwarder.threads[0].join(5)
            assert not forwarder.threads[0].is_alive()
            assert time.monotonic() - begun < 3
        finally:
            done.set()
            asking.join()
        assert drain(client, forwarder.count("parked")) == [0] * forwarder.count("parked")


def test_deliveries_that_ask_the_next_question() -> None:
    """As a connection's do whose next queries have waited for room. Each comes once, whatever fails meanwhile."""
    with closed_port() as nobody, Upstream(echo) as up:
        stanzas = forward(nobody, zone="refusing.", max_fails=0), forward(up.to, max_fails=0)
        with Forwarder("\n".join(stanzas)) as forwarder:
            delivered: dict[int, int] = {}
            total = 3000

            def ask(number: int) -> None:
                name = f"n{number}.refusing." if number % 3 else f"n{number}.example."
                wire = dns.message.make_query(name, "A", id=number).to_wire()
                reply = forwarder.slow.serve(
                    0, wire, socket.inet_aton(HOST), 53, lambda reply: deliver(number, reply), transport=0
                )
                if reply is not PARKED:
                    deliver(number, reply)

            def deliver(number: int, reply: bytes | None) -> None:
                assert reply is not None
                assert reply[:2] == struct.pack(">H", number)
                assert reply[3] & 0xF == (SERVFAIL if number % 3 else 0)
                assert number not in delivered
                delivered[number] = 1
                if number + 300 < total:
                    ask(number + 300)

            async def run() -> None:
                for number in range(300):
                    ask(number)
                while len(delivered) < total:
                    forwarder.slow.tick()
                    await asyncio.sleep(0.002)

            forwarder.call(asyncio.wait_for(run(), 9))
            assert forwarder.slow.waits == 0
            assert forwarder.slow.in_flight == 0
