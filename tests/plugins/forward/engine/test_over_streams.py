"""Truncated replies and what is asked over TCP: the way from the tables of questions to the streams and back."""

from __future__ import annotations

import socket
import time

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from fastdns.plugins.forward.desk import Desk
from fastdns.plugins.forward.engine._streams import StreamRings
from tests.plugins.forward.engine.support import (
    NAME,
    SLOW,
    Asked,
    Forwarder,
    Reply,
    Script,
    Upstream,
    a,
    addresses,
    closed_port,
    echo,
    forward,
    good,
    question,
    response,
    saying,
    silent,
    with_rcode,
)
from tests.support import wait_until

pytestmark = pytest.mark.native

TC = dns.flags.TC


def many(count: int) -> list[str]:
    """Addresses, sorted as text: dnspython shuffles what it writes."""
    return sorted(f"10.0.{number >> 8}.{number & 255}" for number in range(count))


def sorted_addresses(message: dns.message.Message) -> list[str]:
    return sorted(addresses(message))


def big(asked: Asked) -> Reply:
    """400 addresses: 6.4 kB."""
    reply = response(asked.message)
    reply.answer = [dns.rrset.from_text_list(asked.name, 5, "IN", "A", many(400))]
    return reply


def truncated(asked: Asked) -> Reply:
    """An empty reply with TC."""
    return response(asked.message, flags=TC)


def partial(asked: Asked) -> Reply:
    """A truncated reply that has one record all the same."""
    return a(response(asked.message, flags=TC), "192.0.2.77")


def test_a_truncated_reply_is_asked_for_again_over_tcp() -> None:
    with Upstream(truncated, tcp=big) as up, Forwarder(forward(up.to)) as forwarder:
        reply = forwarder.ask(use_edns=0, payload=16384)
        assert sorted_addresses(reply) == many(400)
        assert not reply.flags & TC
        (first,), (second,) = up.over(tcp=False), up.over(tcp=True)
        assert first.wire[2:] == second.wire[2:]
        assert forwarder.of_upstream("truncated") == 1
        forwarder.settles()


def test_the_whole_reply_is_cut_to_what_the_client_takes() -> None:
    with Upstream(truncated, tcp=big) as up, Forwarder(forward(up.to)) as forwarder:
        reply = forwarder.ask()
        assert reply.flags & TC
        assert reply.rcode() == 0
        assert len(reply.to_wire()) <= 512


def test_a_client_over_tcp_is_asked_for_over_tcp() -> None:
    with Upstream(silent, tcp=big) as up, Forwarder(forward(up.to)) as forwarder:
        assert sorted_addresses(forwarder.ask_over_tcp()) == many(400)
        assert up.over(tcp=False) == []


def test_prefer_udp() -> None:
    """Also for clients over TCP; what is truncated is asked for again over TCP."""
    with Upstream(saying("192.0.2.1"), tcp=big) as up, Forwarder(forward(up.to, prefer_udp="")) as forwarder:
        assert addresses(forwarder.ask_over_tcp()) == ["192.0.2.1"]
        assert up.over(tcp=True) == []
        up.script = truncated
        assert sorted_addresses(forwarder.ask_over_tcp()) == many(400)
        assert len(up.over(tcp=False)) == 2


@pytest.mark.parametrize("also", ["", "prefer_udp"], ids=["alone", "beats prefer_udp"])
def test_force_tcp(also: str) -> None:
    with (
        Upstream(silent, tcp=saying("192.0.2.4")) as up,
        Forwarder(f"forward . {up.to} {{\nforce_tcp\n{also}\n}}") as forwarder,
    ):
        assert addresses(forwarder.ask()) == ["192.0.2.4"]
        assert addresses(forwarder.ask_over_tcp()) == ["192.0.2.4"]
        assert up.over(tcp=False) == []


def test_a_reply_that_is_longer_than_we_read_is_asked_for_over_tcp() -> None:
    """The upstream sends 9.6 kB in one datagram, as the client has offered to take it."""
    huge = many(600)

    def script(asked: Asked) -> Reply:
        reply = response(asked.message)
        reply.answer = [dns.rrset.from_text_list(asked.name, 5, "IN", "A", huge)]
        return reply

    with Upstream(script, tcp=script) as up, Forwarder(forward(up.to)) as forwarder:
        assert sorted_addresses(forwarder.ask(use_edns=0, payload=65535)) == huge
        assert len(up.over(tcp=True)) == 1


@pytest.mark.parametrize("tcp", ["refused", "silent", "garbage", "closed"])
@pytest.mark.parametrize("script", [truncated, partial, big])
def test_where_tcp_fails_the_truncated_reply_is_the_answer(script: object, tcp: str) -> None:
    """The client may have more luck over TCP itself. Whatever was truncated, TC tells it so."""

    def close(asked: Asked) -> None:
        assert asked.stream is not None
        asked.stream.shutdown(socket.SHUT_RDWR)

    scripts = {"refused": None, "silent": silent, "garbage": lambda asked: echo(asked)[:20], "closed": close}

    def datagram(asked: Asked) -> Reply:
        if script is big:
            # Longer than what is kept of a reply that others may better.
            wire = bytearray(big(asked).to_wire(max_size=65535))
            wire[2] |= TC >> 8
            return bytes(wire)
        return script(asked)

    with (
        Upstream(datagram, tcp=scripts[tcp]) as up,
        Forwarder(forward(up.to, read_timeout="400ms", max_fails=0)) as forwarder,
    ):
        begun = time.monotonic()
        reply = forwarder.ask(use_edns=0, payload=16384)
        assert time.monotonic() - begun < 1
        assert reply.flags & TC
        assert reply.rcode() == 0
        assert addresses(reply) == (["192.0.2.77"] if script is partial else [])
        # What is sent again for silence, where the upstream is slow to write so much, has the same ID.
        assert len({one.wire for one in up.over(tcp=False)}) == 1, "what is truncated once is truncated twice"
        forwarder.settles()


REFUSES, NOT_THIS_WAY = with_rcode(dns.rcode.REFUSED), with_rcode(dns.rcode.NOTIMP)


@pytest.mark.parametrize("tcp", [None, silent, REFUSES, with_rcode(2), with_rcode(1), NOT_THIS_WAY],
                         ids=["refused", "silent", "REFUSED", "SERVFAIL", "FORMERR", "NOTIMP"])  # fmt: skip
def test_truncated_records_are_better_than_what_tcp_says(tcp: Script | None) -> None:
    """A client got REFUSED or SERVFAIL in place of the records, and each one waited for TCP for 2 s."""
    with (
        Upstream(partial, tcp=tcp) as up,
        Forwarder(forward(up.to, read_timeout="600ms", max_fails=0)) as forwarder,
    ):
        for number in range(20):
            begun = time.monotonic()
            reply = forwarder.ask(f"n{number}.example.")
            took_s = time.monotonic() - begun
            assert (reply.rcode(), addresses(reply)) == (0, ["192.0.2.77"])
            assert reply.flags & TC
            assert took_s < (2.0 if number == 0 else 0.5), "that TCP does not work is remembered"
        of_the_question = tcp is not None and tcp not in (silent, REFUSES, NOT_THIS_WAY)
        assert len(up.over(tcp=True)) == (20 if of_the_question else 0 if tcp is None else 1)
        forwarder.settles()


@pytest.mark.parametrize("rcode", [dns.rcode.REFUSED, dns.rcode.SERVFAIL])
def test_a_truncated_reply_without_records_is_no_better_than_an_error(rcode: int) -> None:
    with Upstream(truncated, tcp=with_rcode(rcode)) as up, Forwarder(forward(up.to, max_fails=0)) as forwarder:
        reply = forwarder.ask()
        assert (reply.rcode(), reply.answer) == (rcode, [])


def test_of_two_truncated_replies_the_one_with_records_counts() -> None:
    with (
        Upstream(truncated) as one,
        Upstream(partial) as two,
        Forwarder(forward(one.to, two.to, policy="sequential", max_fails=0)) as forwarder,
    ):
        for number in range(3):
            reply = forwarder.ask(f"n{number}.example.")
            assert addresses(reply) == ["192.0.2.77"]
            assert reply.flags & TC


def test_what_one_upstream_cannot_say_over_tcp_another_one_does() -> None:
    """It is asked at once, and not again and again after the silence of the first."""
    with (
        Upstream(partial, tcp=silent) as one,
        Upstream(truncated, tcp=big) as two,
        Forwarder(forward(one.to, two.to, policy="sequential", max_fails=0)) as forwarder,
    ):
        for number in range(5):
            begun = time.monotonic()
            reply = forwarder.ask(f"n{number}.example.", use_edns=0, payload=16384)
            assert sorted_addresses(reply) == many(400)
            assert time.monotonic() - begun < (2.0 if number == 0 else 0.5)
        assert len(one.over(tcp=True)) == 1


def test_tcp_is_tried_again_after_a_while_and_costs_little() -> None:
    with (
        Upstream(partial, tcp=silent) as up,
        Forwarder(forward(up.to, max_fails=0)) as forwarder,
    ):
        (route,) = forwarder.routes.upstreams
        table = forwarder.table.shared
        table.avoid_streams(route.slot, time.monotonic_ns() - 1)
        begun = time.monotonic()
        assert addresses(forwarder.ask("a.example.")) == ["192.0.2.77"]
        assert len(up.over(tcp=True)) == 1
        assert time.monotonic() - begun < 1.5, "it has failed before: no 2 s"
        assert addresses(forwarder.ask("b.example.")) == ["192.0.2.77"]
        assert len(up.over(tcp=True)) == 1
        up.tcp = big
        assert table.avoids_streams(route.slot)
        table.avoid_streams(route.slot, time.monotonic_ns() - 1)
        for name in ("c.example.", "d.example."):
            assert sorted_addresses(forwarder.ask(name, use_edns=0, payload=16384)) == many(400)
        assert not table.avoids_streams(route.slot), "it works"


def test_clients_over_tcp_are_asked_for_over_tcp_all_the_same() -> None:
    with Upstream(partial, tcp=saying("192.0.2.9")) as up, Forwarder(forward(up.to, max_fails=0)) as forwarder:
        (route,) = forwarder.routes.upstreams
        forwarder.table.shared.avoid_streams(route.slot, time.monotonic_ns() + 10**10)
        assert addresses(forwarder.ask("a.example.")) == ["192.0.2.77"]
        assert addresses(forwarder.ask_over_tcp("b.example.")) == ["192.0.2.9"]
        assert addresses(forwarder.ask("c.example.")) == ["192.0.2.9"], "now TCP is known to work"


def test_truncated_records_are_better_than_an_error_without_a_question() -> None:
    """Unbound's `refuse` and old servers say so over TCP, in 12 bytes."""
    with (
        Upstream(partial, tcp=lambda asked: asked.wire[:2] + b"\x81\x85" + bytes(8)) as up,
        Forwarder(forward(up.to, max_fails=0)) as forwarder,
    ):
        for number in range(3):
            reply = forwarder.ask(f"n{number}.example.")
            assert (reply.rcode(), addresses(reply)) == (0, ["192.0.2.77"])
        assert len(up.over(tcp=True)) == 1


@pytest.mark.parametrize("size", [60, 512, 1500])
def test_a_truncated_reply_that_ends_within_a_record_sends_the_client_to_tcp(size: int) -> None:
    """Some servers cut where the room ends. The client got SERVFAIL, with the records that were whole."""

    def cut_off(asked: Asked) -> Reply:
        wire = bytearray(big(asked).to_wire(max_size=65535)[:size])
        wire[2] |= TC >> 8
        return bytes(wire)

    with Upstream(cut_off) as up, Forwarder(forward(up.to, max_fails=0)) as forwarder:
        reply = forwarder.ask(use_edns=0, payload=4096)
        assert reply.flags & TC and reply.flags & dns.flags.RA
        assert (reply.rcode(), reply.answer) == (0, [])
        assert forwarder.failed() == {}
        forwarder.settles()


@pytest.mark.parametrize("tcp", [None, silent], ids=["refused", "silent"])
def test_a_client_over_tcp_gets_no_truncated_reply(tcp: object) -> None:
    """It has no other way to ask. (CoreDNS says SERVFAIL, too.)"""
    with (
        Upstream(partial, tcp=tcp) as up,
        Forwarder(forward(up.to, read_timeout="200ms", max_fails=0, prefer_udp="")) as forwarder,
    ):
        reply = forwarder.ask_over_tcp()
        assert reply.rcode() == dns.rcode.SERVFAIL
        assert not reply.flags & TC and not reply.answer
        assert up.over(tcp=False)
        forwarder.settles()


def test_where_tcp_fails_the_other_upstream_is_asked() -> None:
    with (
        Upstream(truncated) as one,
        Upstream(saying("192.0.2.2")) as two,
        Forwarder(forward(one.to, two.to, policy="sequential")) as forwarder,
    ):
        assert addresses(forwarder.ask()) == ["192.0.2.2"]


def test_a_truncated_reply_is_better_than_servfail() -> None:
    with (
        Upstream(partial) as one,
        Upstream(with_rcode(dns.rcode.SERVFAIL)) as two,
        Forwarder(forward(one.to, two.to, policy="sequential")) as forwarder,
    ):
        reply = forwarder.ask()
        assert reply.rcode() == 0
        assert reply.flags & TC
        assert addresses(reply) == ["192.0.2.77"]


def test_what_is_truncated_over_tcp_too_is_passed_on() -> None:
    """There is nothing else that could be asked."""
    with Upstream(truncated, tcp=partial) as up, Forwarder(forward(up.to)) as forwarder:
        reply = forwarder.ask()
        assert reply.flags & TC
        assert addresses(reply) == ["192.0.2.77"]


def test_an_upstream_that_always_truncates_is_not_silent() -> None:
    with (
        Upstream(truncated, tcp=good) as up,
        Upstream(saying("192.0.2.2")) as other,
        Forwarder(forward(up.to, other.to, policy="sequential")) as forwarder,
    ):
        for number in range(5):
            assert addresses(forwarder.ask(f"n{number}.example.")) == ["192.0.2.1"]
        assert up.probes == []
        assert other.asked == []


def test_a_wrong_reply_over_tcp() -> None:
    """There no forger can be; an upstream that answers something else has failed, and says so in the log."""

    def other(asked: Asked) -> Reply:
        reply = good(asked)
        reply.question = response(dns.message.make_query("other.example.", "A")).question
        return reply

    with Upstream(tcp=other) as up, Forwarder(forward(up.to, force_tcp="", max_fails=0)) as forwarder:
        assert forwarder.ask().rcode() == dns.rcode.SERVFAIL
        assert forwarder.errors() == ["{}: malformed reply"]
        assert len(up.over(tcp=True)) == 2


def test_tcp_that_nobody_serves() -> None:
    with closed_port() as nobody, Forwarder(forward(nobody, force_tcp="", max_fails=0)) as forwarder:
        assert forwarder.ask(limit_s=1).rcode() == dns.rcode.SERVFAIL
        assert forwarder.errors() == ["{}: connection failed"]
        assert "connection refused" in forwarder.desk.reasons[nobody]


def test_an_answer_that_comes_too_late_ends_no_other_attempt() -> None:
    """Both attempts are in the same place of the same exchange; the first one's failure comes during the second."""

    def slowly(asked: Asked) -> Reply | None:
        # The first query of each connection is never answered.
        return None if len(up.over(tcp=True)) == 1 else good(asked)

    with (
        Upstream(silent, tcp=slowly) as up,
        Forwarder(forward(up.to, force_tcp="", read_timeout="200ms", max_fails=0)) as forwarder,
    ):
        for number in range(4):
            up.asked.clear()
            reply = forwarder.ask(f"n{number}.example.")
            assert addresses(reply) == ["192.0.2.1"]
            assert len(up.over(tcp=True)) == 2


def test_probes_go_over_tcp_where_questions_must() -> None:
    with Upstream(silent, tcp=silent) as up:
        options = {"force_tcp": "", "read_timeout": "50ms", "health_check": "10ms"}
        with Forwarder(forward(up.to, **options)) as forwarder:
            assert forwarder.ask().rcode() == dns.rcode.SERVFAIL
            wait_until(lambda: up.probes)
            assert up.probes[0].stream is not None
            up.tcp = good
            forwarder.settles()


def test_many_at_once() -> None:
    """More than there are connections, and more than one event carries."""
    options = {"read_timeout": "10s"}
    with Upstream(truncated, tcp=echo) as up, Forwarder(forward(up.to, **options), room=4096) as forwarder:
        client = forwarder.client()
        for number in range(600):
            client.send(question(number))
        replies = [client.receive() for _ in range(600)]
        assert len({reply.question[0].name for reply in replies}) == 600
        assert {reply.rcode() for reply in replies} == {0}
        # One that waits for a connection for too long has its truncated reply, or is asked again.
        assert sum(not reply.flags & TC for reply in replies) > 500
        forwarder.settles()


def test_the_slow_thread_takes_a_part_of_a_burst_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the parts it serves others; and the rest does not wait until more is asked."""
    turns: list[int] = []

    def count(desk: Desk, rings: StreamRings) -> None:
        before = len(forwarder.desk.streams[0].pools[0].waiting) if forwarder.desk.streams else 0
        take(desk, rings)
        turns.append(len(forwarder.desk.streams[0].pools[0].waiting) - before)

    take = Desk.take
    monkeypatch.setattr(Desk, "take", count)
    monkeypatch.setattr("fastdns.plugins.forward.desk.TAKE_MOST", 16)
    with Upstream(silent, tcp=echo) as up, Forwarder(forward(up.to, force_tcp=""), room=4096) as forwarder:
        client = forwarder.client()
        # The slow thread has something else to do, so that they come to it together.
        forwarder.loop.call_soon_threadsafe(time.sleep, 0.3)
        for number in range(100):
            client.send(question(number))
        replies = [client.receive() for _ in range(100)]
        assert {reply.rcode() for reply in replies} == {0}
        assert max(turns) == 16
        forwarder.settles()


def test_the_slow_thread_truncates_nothing() -> None:
    """A long reply to a client over TCP with prefer_udp: the datagram is too long for us, not for the client."""
    options = {"prefer_udp": "", "read_timeout": "10s"}
    with Upstream(big, tcp=big) as up, Forwarder(forward(up.to, **options)) as forwarder:
        assert sorted_addresses(forwarder.ask_over_tcp()) == many(400)
        assert forwarder.counters(SLOW) == {"queries": 1, "parked": 1}
        assert up.questions[0].name == NAME
