"""Which stanza takes a question, when it is passed on to the next, and which queries share one question."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from tests.plugins.forward.engine.support import (
    NAME,
    Asked,
    Forwarder,
    Reply,
    Upstream,
    addresses,
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

NXDOMAIN, SERVFAIL, REFUSED = dns.rcode.NXDOMAIN, dns.rcode.SERVFAIL, dns.rcode.REFUSED


# ------------------------------------------------------------------------------------------------ zones, exceptions


@dataclass(frozen=True)
class Choice:
    name: str
    stanza: int | None
    why: str


ZONES = [
    Choice("www.example.org.", 0, "below the first stanza's zone"),
    Choice("example.org.", 0, "the zone itself"),
    Choice("WWW.EXAMPLE.ORG.", 0, "in any case"),
    Choice("a.secret.example.org.", 1, "below an exception: the next stanza whose zone it is"),
    Choice("secret.example.org.", 1, "the exception itself"),
    Choice("b.hidden.EXAMPLE.org.", 1, "another exception of the same line"),
    Choice("notsecret.example.org.", 0, "an exception ends at a label"),
    Choice("www.notexample.org.", 1, "a zone ends at a label"),
    Choice("org.", 1, "above the first zone"),
    Choice("internal.net.", None, "an exception of every stanza that has the name"),
]


def test_the_first_stanza_that_has_the_name_is_asked() -> None:
    with Upstream(saying("192.0.2.1")) as one, Upstream(saying("192.0.2.2")) as two:
        options = {"except": "secret.example.org hidden.example.org"}
        stanzas = forward(one.to, zone="Example.ORG", **options), forward(two.to, **{"except": "internal.net"})
        with Forwarder("\n".join(stanzas)) as forwarder:
            for choice in ZONES:
                reply = forwarder.ask(choice.name)
                if choice.stanza is None:
                    assert reply.rcode() == SERVFAIL, choice.why
                    assert forwarder.errors() == ["no next plugin found"]
                else:
                    assert addresses(reply) == [f"192.0.2.{choice.stanza + 1}"], choice.why


def test_the_zone_itself_is_no_exception() -> None:
    with Upstream() as up:
        text = forward(up.to, zone="example.org", **{"except": "example.org"})
        with Forwarder(text) as forwarder:
            assert addresses(forwarder.ask("example.org.")) == ["192.0.2.1"]
            assert forwarder.ask("a.example.org.").rcode() == SERVFAIL


# --------------------------------------------------------------------------------------------------------- next


def empty(asked: Asked) -> Reply:
    return response(asked.message)


def a_cname(asked: Asked) -> Reply:
    reply = response(asked.message)
    reply.answer = [dns.rrset.from_text(asked.name, 5, "IN", "CNAME", "elsewhere.example.")]
    return reply


@dataclass(frozen=True)
class Next:
    """first: what the first stanza's upstream does. passed_on: whether the second one's answer is the client's."""

    first: object
    options: str
    passed_on: bool
    why: str


NEXT = [
    Next(with_rcode(NXDOMAIN), "next NXDOMAIN", True, "a code that is listed"),
    Next(with_rcode(REFUSED), "next NXDOMAIN REFUSED", True, "each of several codes"),
    Next(with_rcode(REFUSED), "next NXDOMAIN", False, "a code that is not listed"),
    Next(with_rcode(SERVFAIL), "next SERVFAIL", True, "SERVFAIL, that an upstream has sent"),
    Next(good, "next NXDOMAIN", False, "an answer is not passed on"),
    Next(good, "next NOERROR", True, "an answer is, if somebody wants it"),
    Next(empty, "next_on_nodata", True, "no data"),
    Next(empty, "next NXDOMAIN", False, "no data is NOERROR"),
    Next(a_cname, "next_on_nodata", False, "a CNAME is data"),
    Next(with_rcode(NXDOMAIN), "next_on_nodata", False, "NXDOMAIN is not without data, but without a name"),
    Next(silent, "next SERVFAIL", False, "the SERVFAIL that we make of silence is nobody's code"),
]


@pytest.mark.parametrize("case", NEXT, ids=lambda case: case.why)
def test_next(case: Next) -> None:
    with Upstream(case.first) as one, Upstream(saying("192.0.2.2")) as two:
        stanzas = (
            f"forward . {one.to} {{\nread_timeout 100ms\nmax_fails 0\n{case.options}\n}}",
            forward(two.to),
        )
        with Forwarder("\n".join(stanzas)) as forwarder:
            reply = forwarder.ask()
            assert (addresses(reply) == ["192.0.2.2"]) == case.passed_on
            assert len(two.questions) == case.passed_on
            forwarder.settles()


def test_next_goes_from_stanza_to_stanza() -> None:
    """Each is asked once, in order; the last reply is the client's. Stanzas for other names are no part of it."""
    with ExitStack() as stack:
        codes = (NXDOMAIN, REFUSED, NXDOMAIN)
        one, two, three = (stack.enter_context(Upstream(with_rcode(code))) for code in codes)
        other = stack.enter_context(Upstream())
        stanzas = (
            forward(one.to, next="NXDOMAIN"),
            forward(other.to, zone="elsewhere.example"),
            forward(two.to, zone="example.org", next="REFUSED"),
            forward(three.to, next="NXDOMAIN"),
            forward(other.to, zone="elsewhere.example"),
        )
        forwarder = stack.enter_context(Forwarder("\n".join(stanzas)))
        assert forwarder.ask().rcode() == NXDOMAIN
        assert [len(up.questions) for up in (one, two, three, other)] == [1, 1, 1, 0]
        assert forwarder.ask_over_tcp("x.", "A", limit_s=1).rcode() == SERVFAIL, "TCP is refused, and not passed on"


def test_next_has_an_end() -> None:
    """A query waits for sixteen stanzas; what one more would say is not waited for."""
    with Upstream(with_rcode(NXDOMAIN)) as up:
        text = "\n".join([forward(up.to, next="NXDOMAIN")] * 20 + [forward(up.to)])
        with Forwarder(text) as forwarder:
            assert forwarder.ask().rcode() == SERVFAIL
            assert forwarder.errors() == ["upstream answers changed too often"]
            assert len(up.questions) == 16


# --------------------------------------------------------------------------------------------------- max_concurrent


def test_max_concurrent() -> None:
    """Queries over it are refused and counted; each that is answered makes room for another."""
    with Upstream(silent) as up, Forwarder(forward(up.to, max_concurrent=3, max_fails=0)) as forwarder:
        client = forwarder.client()
        # Not one after the other: the threads' queries are added up once a millisecond.
        for number in range(3):
            client.send(question(number))
        asked = [up.next() for _ in range(3)]
        client.send(question(3))
        refused = client.receive(1)
        assert (refused.id, refused.rcode()) == (3, REFUSED)
        assert forwarder.errors() == ["concurrent queries exceeded maximum"]
        assert forwarder.ask_over_tcp(limit_s=1).rcode() == REFUSED, "the other thread's queries count, too"
        up.say(asked[0], echo(asked[0]))
        assert client.receive().rcode() == 0
        client.send(question(4))
        asked.append(up.next())
        for one in asked[1:]:
            up.say(one, echo(one))
        assert sorted(client.receive().id for _ in range(3)) == [1, 2, 4]
        assert forwarder.count("concurrent_rejects") == 1
        forwarder.settles()


def test_max_concurrent_counts_queries_that_share_a_question() -> None:
    with Upstream(silent) as up, Forwarder(forward(up.to, max_concurrent=2, max_fails=0)) as forwarder:
        client = forwarder.client()
        for number in range(3):
            client.send(dns.message.make_query(NAME, "A", id=number))
        asked = up.next()
        assert client.receive().rcode() == REFUSED
        up.say(asked, good(asked))
        assert {client.receive().rcode() for _ in range(2)} == {0}


def test_each_stanza_has_its_own_bound() -> None:
    with Upstream(silent) as up, Upstream() as other:
        stanzas = forward(up.to, zone="slow.", max_concurrent=1), forward(other.to, max_concurrent=1)
        with Forwarder("\n".join(stanzas)) as forwarder:
            client = forwarder.client()
            client.send(dns.message.make_query("a.slow.", "A"))
            asked = up.next()
            assert forwarder.ask("b.slow.").rcode() == REFUSED
            assert addresses(forwarder.ask("b.fast.")) == ["192.0.2.1"]
            up.say(asked, good(asked))
            assert addresses(client.receive()) == ["192.0.2.1"]


# ---------------------------------------------------------------------------------------- equal questions in flight


def query(name: str = NAME, kind: str = "A", flags: int = 0, **options: object) -> dns.message.Message:
    message = dns.message.make_query(name, kind, **options)
    message.flags |= flags
    return message


ECS = dns.edns.ECSOption("198.51.100.0", 24)
EQUAL = [
    (query(), "the same"),
    (query("WWW.Example.Org."), "another case"),
]
EQUAL_EDNS = [
    (query(use_edns=0), "EDNS"),
    (query(use_edns=0, payload=4096), "another size"),
    (query(use_edns=0, payload=512), "a small size"),
    (query(use_edns=0, options=[dns.edns.GenericOption(10, b"\1" * 8)]), "a cookie"),
    (query(use_edns=0, options=[dns.edns.GenericOption(3, b"")]), "NSID"),
    (query(use_edns=0, options=[dns.edns.GenericOption(65001, b"device")]), "an option of nobody's"),
]
DIFFERENT = [
    (query(want_dnssec=True), "DO"),
    (query(use_edns=0, options=[ECS]), "a client subnet"),
    (query(use_edns=0, options=[dns.edns.ECSOption("198.51.100.0", 20)]), "a wider client subnet"),
    (query(use_edns=0, options=[dns.edns.ECSOption("0.0.0.0", 0)]), "no client subnet, please"),
    (query(flags=dns.flags.CD), "CD"),
    (query(flags=dns.flags.AD), "AD"),
    (query(kind="AAAA"), "another type"),
    (query("ww.example.org."), "another name"),
    (query("wwww.example.org."), "a longer name"),
]


def without_rd() -> dns.message.Message:
    message = query()
    message.flags = 0
    return message


DIFFERENT.append((without_rd(), "no RD"))


def test_equal_questions_are_asked_once_and_different_ones_are_not() -> None:
    """All clients get the reply with their own ID and spelling. What may be answered otherwise is not shared."""
    with Upstream(silent) as up, Forwarder(forward(up.to, max_fails=0)) as forwarder:
        clients = []
        for message, why in [*EQUAL, *EQUAL_EDNS, *DIFFERENT]:
            for _ in range(3):
                client = forwarder.client()
                message.id = len(clients)
                client.send(message)
                clients.append((client, len(clients), message, why))
        asked = [up.next() for _ in range(2 + len(DIFFERENT))]
        wait_until(lambda: forwarder.count("parked") == len(clients))
        assert up.arrived.empty()
        assert forwarder.count("joined") == len(clients) - len(asked)
        assert forwarder.out == len(asked)
        for one in asked:
            up.say(one, good(one))
        for client, number, message, why in clients:
            reply = client.receive()
            assert reply.id == number, why
            assert reply.question[0].name.to_text() == message.question[0].name.to_text(), why
            assert reply.rcode() == 0
            assert client.sock.getsockname()
        forwarder.settles()


def test_the_other_thread_asks_for_itself() -> None:
    """UDP and TCP clients have a table each: over TCP another answer may be had."""
    with Upstream(saying("192.0.2.1"), tcp=saying("192.0.2.2")) as up, Forwarder(forward(up.to)) as forwarder:
        assert addresses(forwarder.ask()) == ["192.0.2.1"]
        assert addresses(forwarder.ask_over_tcp()) == ["192.0.2.2"]


def test_joined_queries_share_a_failure() -> None:
    with Upstream(silent) as up, Forwarder(forward(up.to, read_timeout="100ms", max_fails=0)) as forwarder:
        client = forwarder.client()
        for number in range(50):
            client.send(dns.message.make_query(NAME, "A", id=number))
        replies = [client.receive() for _ in range(50)]
        assert {reply.rcode() for reply in replies} == {SERVFAIL}
        assert sorted(reply.id for reply in replies) == list(range(50))
        assert forwarder.count("joined") == 49
        forwarder.settles()


def test_an_answered_question_is_asked_again() -> None:
    """Nothing is remembered here: that is the cache's work."""
    with Upstream() as up, Forwarder(forward(up.to)) as forwarder:
        for _ in range(3):
            forwarder.ask()
        assert len(up.questions) == 3
        assert "joined" not in forwarder.counters()
