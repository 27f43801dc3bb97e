"""Datagrams that are not the answer: none reaches a client, ends an exchange or displaces the true reply."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass

import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from tests.plugins.forward.engine.support import (
    HOST,
    NAME,
    Asked,
    Forwarder,
    Reply,
    Upstream,
    a,
    addresses,
    good,
    response,
    saying,
)
from tests.support import wait_until

pytestmark = pytest.mark.native

FORGED = "203.0.113.66"


def forged(query: dns.message.Message) -> dns.message.Message:
    """What a forger wants the client to believe."""
    return a(response(query), FORGED)


def with_id(query: dns.message.Message) -> Reply:
    reply = forged(query)
    reply.id ^= 1
    return reply


def with_question(name: str, kind: int = 1, klass: int = 1) -> Callable[[dns.message.Message], Reply]:
    def make(query: dns.message.Message) -> Reply:
        reply = forged(query)
        reply.question = [dns.rrset.RRset(dns.name.from_text(name), klass, kind)]
        return reply

    return make


def two_questions(query: dns.message.Message) -> Reply:
    wire = forged(query).to_wire()
    question = query.to_wire()[12:]
    return wire[:4] + b"\0\2" + wire[6:12] + question + wire[12:]


def no_question(query: dns.message.Message) -> Reply:
    reply = forged(query)
    reply.question = []
    return reply


def with_flags(change: Callable[[int], int]) -> Callable[[dns.message.Message], Reply]:
    def make(query: dns.message.Message) -> Reply:
        wire = forged(query).to_wire()
        return wire[:2] + struct.pack(">H", change(int.from_bytes(wire[2:4], "big"))) + wire[4:]

    return make


def cut(size: int) -> Callable[[dns.message.Message], Reply]:
    return lambda query: forged(query).to_wire()[:size]


def patched(at: int, data: bytes) -> Callable[[dns.message.Message], Reply]:
    """A reply whose bytes from at on, counted from the end of the question, are others."""

    def make(query: dns.message.Message) -> Reply:
        wire = forged(query).to_wire()
        where = len(query.to_wire()) + at
        return wire[:where] + data + wire[where + len(data) :]

    return make


@dataclass(frozen=True)
class Lie:
    """make: what comes before the true reply. counter: what counts it."""

    why: str
    make: Callable[[dns.message.Message], Reply]
    counter: str = "mismatched"


LIES = [
    Lie("another ID", with_id),
    Lie("another name", with_question("xww.example.org.")),
    Lie("a name that ends where the question's does", with_question("a." + NAME)),
    Lie("a name that the question's ends with", with_question("example.org.")),
    Lie("the root", with_question(".")),
    Lie("another type", with_question(NAME, dns.rdatatype.AAAA)),
    Lie("another class", with_question(NAME, 1, 3)),
    Lie("two questions", two_questions),
    Lie("no question", no_question),
    Lie("a query, not a reply", with_flags(lambda flags: flags & 0x7FFF)),
    Lie("another opcode: STATUS", with_flags(lambda flags: flags | 0x1000)),
    Lie("another opcode: UPDATE", with_flags(lambda flags: flags | 0x2800)),
    Lie("nothing", lambda query: b""),
    Lie("one byte", cut(1)),
    Lie("half a header", cut(11)),
    Lie("a header", cut(12)),
    Lie("a header and half a question", cut(20)),
    Lie("noise with the right ID", lambda query: struct.pack(">H", query.id) + b"\xff" * 200),
    Lie("a question whose name is a pointer",
        lambda query: forged(query).to_wire()[:12] + b"\xc0\x0c\0\1\0\1" + forged(query).to_wire()[33:]),
    Lie("cut behind the question, while it promises an answer", cut(33), "malformed"),
    Lie("cut in the answer's owner", cut(34), "malformed"),
    Lie("cut in the answer's TTL", cut(41), "malformed"),
    Lie("cut in the answer's address", cut(47), "malformed"),
    Lie("an owner that points to itself", patched(0, b"\xc0\x21"), "malformed"),
    Lie("an owner that points forward", patched(0, b"\xc0\x30"), "malformed"),
    Lie("an owner that points into the header", patched(0, b"\xc0\x04"), "malformed"),
    Lie("an owner with a label type that nobody knows", patched(0, b"\x80\x0c"), "malformed"),
    Lie("an rdata length beyond the end", patched(10, b"\xff\xff"), "malformed"),
    Lie("more answers than there are", with_flags(lambda flags: flags), "malformed"),
]  # fmt: skip
LIES[-1] = Lie(
    LIES[-1].why,
    lambda query: forged(query).to_wire()[:6] + b"\xff\xff" + forged(query).to_wire()[8:],
    "malformed",
)


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.why)
def test_a_lie_does_not_displace_the_truth(lie: Lie) -> None:
    """It comes first, three times, from the right address and port; then the true reply does."""

    def script(asked: Asked) -> list[Reply]:
        return [lie.make(asked.message)] * 3 + [good(asked)]

    with Upstream(script) as up, Forwarder(f"forward . {up.to}") as forwarder:
        reply = forwarder.ask(limit_s=3)
        assert addresses(reply) == ["192.0.2.1"]
        assert len(up.questions) == 1
        assert forwarder.counters() == {"queries": 1, "parked": 1, lie.counter: 3}
        forwarder.settles()


def test_who_only_lies_is_passed_over() -> None:
    """The other upstream is asked in time, and no client ever sees a lie; all of them at the same time here."""

    def lying(asked: Asked) -> Reply:
        return LIES[int(asked.name.partition(".")[0][1:])].make(asked.message)

    with (
        Upstream(lying) as liar,
        Upstream() as up,
        Forwarder(f"forward . {liar.to} {up.to} {{\npolicy sequential\nmax_fails 0\n}}") as forwarder,
    ):
        client = forwarder.client()
        # Names as long as NAME: some lies depend on where the question ends.
        for number in range(len(LIES)):
            client.send(dns.message.make_query(f"n{number:02}.example.org.", "A", id=number))
        replies = {(reply := client.receive(1)).id: reply for _ in LIES}
        assert [addresses(replies[number]) for number in range(len(LIES))] == [["192.0.2.1"]] * len(LIES)
        assert {asked.name for asked in liar.questions} == {asked.name for asked in up.questions}
        forwarder.settles()


@pytest.mark.parametrize("lie", [LIES[0], LIES[1], LIES[-1]], ids=lambda lie: lie.why)
def test_where_nobody_else_is_the_client_gets_servfail(lie: Lie) -> None:
    with (
        Upstream(lambda asked: lie.make(asked.message)) as liar,
        Forwarder(f"forward . {liar.to} {{\nread_timeout 200ms\nmax_fails 0\n}}") as forwarder,
    ):
        reply = forwarder.ask(limit_s=2)
        assert (reply.rcode(), reply.answer) == (dns.rcode.SERVFAIL, [])
        says = "read udp {}: i/o timeout" if lie.counter == "mismatched" else "{}: malformed reply"
        assert forwarder.errors() == [says]
        forwarder.settles()


def test_another_port_of_the_same_address() -> None:
    """The datagram has the right ID and question, and comes from the upstream's address, but not from its port."""
    with Upstream(lambda asked: None) as up, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((HOST, 0))
        with Forwarder(f"forward . {up.to}") as forwarder:
            client = forwarder.client()
            client.send(dns.message.make_query(NAME, "A"))
            asked = up.next()
            other.sendto(forged(asked.message).to_wire(), asked.peer)
            assert client.nothing_comes(0.1)
            up.say(asked, good(asked))
            assert addresses(client.receive()) == ["192.0.2.1"]
            assert "mismatched" not in forwarder.counters(), "the kernel has dropped it"


def test_another_address_with_the_same_port() -> None:
    with Upstream(lambda asked: None) as up, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.9", up.port))
        with Forwarder(f"forward . {up.to}") as forwarder:
            client = forwarder.client()
            client.send(dns.message.make_query(NAME, "A"))
            asked = up.next()
            other.sendto(forged(asked.message).to_wire(), asked.peer)
            assert client.nothing_comes(0.1)
            up.say(asked, good(asked))
            assert addresses(client.receive()) == ["192.0.2.1"]


def test_another_socket_of_the_forwarder() -> None:
    """An answer with the right ID that arrives at another of our ports than the query left from."""
    with Upstream(lambda asked: None) as up, Forwarder(f"forward . {up.to}") as forwarder:
        client = forwarder.client()
        client.send(dns.message.make_query(NAME, "A"))
        first = up.next()
        second = first
        number = 0
        while second.peer == first.peer:
            # Until one leaves from another port.
            number += 1
            client.send(dns.message.make_query(f"n{number}.example.org.", "A"))
            second = up.next()
            up.say(second, good(second))
            client.receive()
        up.udp.sendto(forged(first.message).to_wire(), second.peer)
        wait_until(lambda: forwarder.count("mismatched") == 1)
        assert client.nothing_comes(0.05)
        up.say(first, good(first))
        assert addresses(client.receive()) == ["192.0.2.1"]


def test_the_answer_of_one_upstream_does_not_count_for_another() -> None:
    """Both have been asked the same; one answers with the ID that the other was given."""
    with (
        Upstream(lambda asked: None) as one,
        Upstream(lambda asked: None) as two,
        Forwarder(f"forward . {one.to} {two.to} {{\npolicy sequential\n}}") as forwarder,
    ):
        client = forwarder.client()
        client.send(dns.message.make_query(NAME, "A"))
        first, second = one.next(), two.next()
        assert first.wire[2:] == second.wire[2:]
        two.udp.sendto(forged(first.message).to_wire(), second.peer)
        wait_until(lambda: forwarder.count("mismatched") == 1)
        two.say(second, saying("192.0.2.2")(second))
        assert addresses(client.receive()) == ["192.0.2.2"]


def test_a_second_reply_is_of_no_use() -> None:
    with (
        Upstream(lambda asked: [good(asked), a(response(asked.message), FORGED)]) as up,
        Forwarder(f"forward . {up.to}") as forwarder,
    ):
        client = forwarder.client()
        client.send(dns.message.make_query(NAME, "A"))
        assert addresses(client.receive()) == ["192.0.2.1"]
        wait_until(lambda: forwarder.count("mismatched") == 1)
        assert client.nothing_comes(0.05)


# ---------------------------------------------------------------------------------------------- letters' case, 0x20

LONG = "the-quick-brown-fox-jumps-over-the-lazy-dog.and-once-more-for-good-measure.example.org."


def test_case_is_randomized_on_request() -> None:
    with Upstream() as up, Forwarder(f"forward . {up.to} {{\nrandomize_case\nmax_fails 0\n}}") as forwarder:
        for _ in range(4):
            reply = forwarder.ask(LONG)
            assert reply.question[0].name.to_text() == LONG
            assert reply.answer[0].name.to_text() == LONG
        spelled = {asked.name for asked in up.questions}
        assert len(spelled) == 4
        assert {name.lower() for name in spelled} == {LONG}
        assert forwarder.counters() == {"queries": 4, "parked": 4}


def test_a_reply_in_another_case_is_not_believed() -> None:
    """A forger has guessed ID and port, but not the letters. The true reply comes behind it."""

    def script(asked: Asked) -> list[Reply]:
        reply = forged(asked.message)
        reply.question = [dns.rrset.RRset(dns.name.from_text(asked.name.swapcase()), 1, 1)]
        return [reply] * 3 + [good(asked)]

    with Upstream(script) as up, Forwarder(f"forward . {up.to} {{\nrandomize_case\nmax_fails 0\n}}") as forwarder:
        assert addresses(forwarder.ask(LONG)) == ["192.0.2.1"]
        assert forwarder.count("mismatched") == 3


def test_an_upstream_that_does_not_keep_the_case_is_asked_over_tcp() -> None:
    def lowering(asked: Asked) -> Reply:
        reply = a(response(asked.message), "192.0.2.5" if asked.stream else FORGED)
        reply.question = [dns.rrset.RRset(dns.name.from_text(asked.name.lower()), 1, 1)]
        return reply

    with (
        Upstream(lowering, tcp=lowering) as up,
        Forwarder(f"forward . {up.to} {{\nrandomize_case\nmax_fails 0\n}}") as forwarder,
    ):
        reply = forwarder.ask(LONG)
        assert addresses(reply) == ["192.0.2.5"]
        assert reply.question[0].name.to_text() == LONG
        assert forwarder.count("mismatched") == 1
        assert [len(up.over(tcp=False)), len(up.over(tcp=True))] == [1, 1]
