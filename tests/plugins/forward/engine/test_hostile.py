"""Forgers who know everything but what they would have to guess, and questions that are only alike."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import dns.edns
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from tests.plugins.forward.engine.forging import forgery, ports_towards
from tests.plugins.forward.engine.support import (
    HOST,
    NAME,
    Asked,
    Forwarder,
    Upstream,
    a,
    addresses,
    forward,
    good,
    response,
    silent,
    with_rcode,
)
from tests.support import wait_until

pytestmark = pytest.mark.native

def test_the_right_id_is_not_enough() -> None:
    """A forger who knows the ID, but not from which port the question went: it tries all that are there."""
    with Upstream(silent) as up, Forwarder(forward(up.to, max_fails=0)) as forwarder:
        client = forwarder.client()
        # Enough questions that every socket is open.
        for number in range(100):
            client.send(dns.message.make_query(f"n{number}.example.org.", "A"))
            one = up.next()
            up.say(one, good(one))
            client.receive()
        client.send(dns.message.make_query(NAME, "A"))
        asked = up.next()
        ports = ports_towards(up.port) - {asked.peer[1]}
        assert len(ports) > 10
        for port in ports:
            up.udp.sendto(asked.wire[:2] + forgery(asked), (HOST, port))
        wait_until(lambda: forwarder.count("mismatched") == len(ports))
        assert client.nothing_comes(0.05)
        up.say(asked, good(asked))
        assert addresses(client.receive()) == ["192.0.2.1"]


def spelled(number: int) -> bytes:
    """A question in one of two spellings."""
    return dns.message.make_query(NAME.swapcase() if number % 2 else NAME, "A", id=number).to_wire()


def with_more_behind(number: int) -> bytes:
    """A question with other bytes behind its end than all others have."""
    return dns.message.make_query(NAME, "A", id=number).to_wire() + number.to_bytes(2, "big") * (1 + number % 7)


def with_more_behind_its_options(number: int) -> bytes:
    """The same with EDNS."""
    return dns.message.make_query(NAME, "A", id=number, use_edns=0).to_wire() + bytes(1 + number)


@pytest.mark.parametrize("make", [spelled, with_more_behind, with_more_behind_its_options])
def test_many_equal_questions_are_one_target_only(make: Callable[[int], bytes]) -> None:
    """A birthday attack needs many questions in flight for one name: there is one, however many ask."""
    with Upstream(silent) as up, Forwarder(forward(up.to, max_fails=0)) as forwarder:
        clients = [forwarder.client() for _ in range(16)]
        for number in range(512):
            clients[number % 16].send(make(number))
        wait_until(lambda: forwarder.count("parked") == 512)
        asked = up.next()
        assert forwarder.out == 1
        up.say(asked, good(asked))
        for number in range(512):
            assert addresses(clients[number % 16].receive()) == ["192.0.2.1"]
        # What was sent again for silence has the same ID and port: it is no other target.
        assert {(one.wire, one.peer) for one in up.questions} == {(asked.wire, asked.peer)}
        # Read without what stood behind it: dnspython takes no trailing bytes.
        assert asked.message.question


# Questions of one name, type and class that are in flight at a time: MAX_ALIKE.
MOST_TARGETS = 64


def with_cookie(number: int) -> dns.message.Message:
    """A question with a client cookie that no other has (RFC 7873)."""
    option = dns.edns.GenericOption(10, number.to_bytes(8, "big"))
    return dns.message.make_query(NAME, "A", id=number, use_edns=0, options=[option])


def with_padding(number: int) -> dns.message.Message:
    """A question as long as no other is (RFC 7830)."""
    return dns.message.make_query(
        NAME, "A", id=number, use_edns=0, options=[dns.edns.GenericOption(12, bytes(number))]
    )


def with_subnet(number: int) -> dns.message.Message:
    """A question from a network that no other is from (RFC 7871)."""
    option = dns.edns.ECSOption(f"10.0.{number >> 8}.{number & 255}", 32)
    return dns.message.make_query(NAME, "A", id=number, use_edns=0, options=[option])


def with_record(number: int) -> dns.message.Message:
    """A question with a record beside it that no other has."""
    query = dns.message.make_query(NAME, "A", id=number)
    query.additional = [dns.rrset.from_text(NAME, number, "IN", "A", "192.0.2.9")]
    return query


def with_keepalive(number: int) -> dns.message.Message:
    """A question of a client that asks for another time to keep connections open (RFC 7828)."""
    return dns.message.make_query(
        NAME, "A", id=number, use_edns=0, options=[dns.edns.GenericOption(11, number.to_bytes(2, "big"))]
    )


def with_device(number: int) -> dns.message.Message:
    """A question with an option of somebody's own."""
    option = dns.edns.GenericOption(65001, number.to_bytes(4, "big"))
    return dns.message.make_query(NAME, "A", id=number, use_edns=0, options=[option])


def with_size(number: int) -> dns.message.Message:
    """A question of a client that takes so many bytes."""
    return dns.message.make_query(NAME, "A", id=number, use_edns=0, payload=512 + number)


def with_flags(number: int) -> dns.message.Message:
    """A question with flags that mean nothing there: AA, TC, RA, Z."""
    query = dns.message.make_query(NAME, "A", id=number)
    query.flags |= sum(flag for bit, flag in enumerate((0x400, 0x200, 0x80, 0x40)) if number >> bit & 1)
    return query


HOP_BY_HOP = [with_cookie, with_padding, with_keepalive, with_device, with_size, with_flags, with_record]


@pytest.mark.parametrize("make", HOP_BY_HOP)
def test_spellings_of_one_question_are_asked_once(make: Callable[[int], dns.message.Message]) -> None:
    """Of 200 clients with a cookie each 136 got SERVFAIL at once, as each was one more question to be forged."""
    with Upstream(silent) as up, Forwarder(forward(up.to, max_fails=0, read_timeout="5s")) as forwarder:
        client = forwarder.client()
        for number in range(200):
            client.send(make(number))
        wait_until(lambda: forwarder.count("parked") == 200)
        assert forwarder.out == 1
        asked = up.next()
        assert not asked.message.options and not asked.message.additional
        up.say(asked, good(asked))
        replies = {(reply := client.receive()).id: addresses(reply) for _ in range(200)}
        assert replies == {number: ["192.0.2.1"] for number in range(200)}
        assert forwarder.failed() == {}
        forwarder.settles()


@pytest.mark.parametrize("cache", ["", "cache"], ids=["alone", "behind a cache"])
def test_questions_that_are_only_alike_are_few_targets_and_all_answered(cache: str) -> None:
    """A forged reply matches all questions of a name, whatever subnet is in them: the others have to wait."""
    most = 0
    # What a forged reply may be taken for: asked, and not answered yet. The table is no measure of that: it still
    # counts a question that has been answered while the next one goes out.
    targets: set[str] = set()

    def one_by_one(asked: Asked) -> dns.message.Message:
        nonlocal most
        (option,) = asked.message.options
        targets.add(option.address)
        most = max(most, len(targets))
        targets.remove(option.address)
        return a(response(asked.message), option.address)

    with (
        Upstream(silent) as up,
        Forwarder(f"{cache}\n{forward(up.to, max_fails=0, read_timeout='5s')}") as forwarder,
    ):
        client = forwarder.client()
        for number in range(200):
            client.send(with_subnet(number))
        wait_until(lambda: forwarder.count("parked") == 200)
        assert forwarder.out == MOST_TARGETS
        # Other names, and other types of this one, are asked for all the same.
        other = forwarder.client()
        other.send(dns.message.make_query("other.example.org.", "A"))
        other.send(dns.message.make_query(NAME, "AAAA"))
        wait_until(lambda: forwarder.out == MOST_TARGETS + 2)
        wait_until(lambda: len(up.asked) >= MOST_TARGETS + 2)
        waiting = [asked for asked in up.asked if asked.message.options]
        for asked in up.asked:
            if not asked.message.options:
                up.say(asked, good(asked))
        assert {other.receive().rcode() for _ in range(2)} == {0}
        targets |= {asked.message.options[0].address for asked in waiting}
        assert len(targets) == MOST_TARGETS
        up.script = one_by_one
        for asked in waiting:
            up.say(asked, one_by_one(asked))
        replies = {(reply := client.receive()).id: addresses(reply) for _ in range(200)}
        assert replies == {number: [f"10.0.0.{number}"] for number in range(200)}
        assert forwarder.failed() == {}
        assert most == MOST_TARGETS
        forwarder.settles()


def test_who_waits_for_a_place_waits_no_longer_than_for_an_answer() -> None:
    """The upstream never answers: SERVFAIL for all within the time of a question, not of one after the other."""
    with Upstream(silent) as up, Forwarder(forward(up.to, max_fails=0, read_timeout="5s")) as forwarder:
        client = forwarder.client()
        for number in range(200):
            client.send(with_subnet(number))
        codes = [client.receive(12).rcode() for _ in range(200)]
        assert set(codes) == {dns.rcode.SERVFAIL}
        assert forwarder.failed() == {"upstream_timeout": 200}
        assert forwarder.count("parked") < 3 * 200, "none asks once more when its time is over"
        forwarder.settles()


def test_a_reply_that_the_client_did_not_ask_for() -> None:
    """Somebody sends replies to the listener: silence, or two servers would answer each other for ever."""
    with Upstream() as up, Forwarder(forward(up.to)) as forwarder:
        client = forwarder.client()
        reply = dns.message.make_response(dns.message.make_query(NAME, "A"))
        client.send(reply)
        client.send(dns.message.make_query(NAME, "A", id=5))
        assert client.receive().id == 5
        assert len(up.asked) == 1


@pytest.mark.parametrize("opcode", [1, 2, 4, 5, 6, 15], ids=str)
def test_only_queries_are_forwarded(opcode: int) -> None:
    """UPDATE and NOTIFY are for who has the zone: forwarded, they come from us, whom the upstream may trust."""
    with Upstream() as up, Forwarder(forward(up.to)) as forwarder:
        wire = bytearray(dns.message.make_query(NAME, "SOA").to_wire())
        wire[2] = opcode << 3
        client = forwarder.client()
        client.send(bytes(wire))
        client.send(dns.message.make_query(NAME, "A", id=5))
        while client.receive_wire()[:2] != b"\0\5":
            pass
        assert len(up.asked) == 1


@pytest.mark.parametrize("opcode", [1, 2, 4, 5, 6, 15], ids=str)
def test_only_queries_are_forwarded_over_tcp(opcode: int) -> None:
    """The other thread, which has a table of its own."""
    with Upstream(tcp=good) as up, Forwarder(forward(up.to)) as forwarder:
        wire = bytearray(dns.message.make_query(NAME, "SOA").to_wire())
        wire[2] = opcode << 3

        async def serve() -> object:
            return forwarder.slow.serve(0, bytes(wire), socket.inet_aton(HOST), 5353, print)

        reply = forwarder.call(serve())
        assert isinstance(reply, bytes) and reply[3] & 0xF in (dns.rcode.NOTIMP, dns.rcode.REFUSED)
        assert addresses(forwarder.ask_over_tcp()) == ["192.0.2.1"]
        assert len(up.asked) == 1


@pytest.mark.parametrize("kind", ["AXFR", "IXFR"])
def test_zones_are_not_transferred_through_us(kind: str) -> None:
    """Over UDP there is nothing but an error to get: it is asked for once, and never over TCP."""
    with Upstream(with_rcode(dns.rcode.REFUSED), tcp=good) as up, Forwarder(forward(up.to)) as forwarder:
        reply = forwarder.ask(NAME, kind, limit_s=6)
        assert (reply.rcode(), addresses(reply)) == (dns.rcode.REFUSED, [])
        asked = [(one.stream, dns.rdatatype.to_text(one.message.question[0].rdtype)) for one in up.asked]
        assert asked == [(None, kind)]


def test_sockets_of_others_do_not_reach_us(tmp_path: Path) -> None:
    """A datagram from anybody to the port of a question: the kernel drops it, as the socket is connected."""
    with Upstream(silent) as up, Forwarder(forward(up.to, max_fails=0)) as forwarder:
        client = forwarder.client()
        client.send(dns.message.make_query(NAME, "A"))
        asked = up.next()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            for _ in range(100):
                stranger.sendto(asked.wire[:2] + forgery(asked), asked.peer)
        assert client.nothing_comes(0.05)
        assert "mismatched" not in forwarder.counters()
        up.say(asked, good(asked))
        assert addresses(client.receive()) == ["192.0.2.1"]
