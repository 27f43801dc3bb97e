"""What clients get of a good upstream's replies: flags, codes, sections, EDNS, TTLs, case and size."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import pytest

from tests.plugins.forward.engine.support import (
    NAME,
    Asked,
    Forwarder,
    Reply,
    Upstream,
    a,
    addresses,
    echo,
    forward,
    question,
    response,
    saying,
    silent,
)
from tests.support import WEB, Server, wait_until

pytestmark = pytest.mark.native

AA, TC, RD, RA, AD, CD = (getattr(dns.flags, name) for name in ("AA", "TC", "RD", "RA", "AD", "CD"))
Make = Callable[[dns.message.Message], Reply]


def records(*lines: str) -> list[dns.rrset.RRset]:
    return [dns.rrset.from_text(*line.split(None, 4)) for line in lines]


def with_sections(query: dns.message.Message, answer: Any = (), authority: Any = (), additional: Any = ()) -> Reply:
    reply = response(query)
    reply.answer, reply.authority, reply.additional = map(records_of, (answer, authority, additional))
    return reply


def records_of(lines: tuple[str, ...]) -> list[dns.rrset.RRset]:
    return records(*lines)


@dataclass(frozen=True)
class Case:
    """make: the upstream's reply to its query. see: what is looked at of the client's; expect: what it is."""

    why: str
    make: Make
    see: Callable[[dns.message.Message], object]
    expect: object
    query: dict[str, Any] = field(default_factory=dict)
    flags: int = RD


def flags_of(reply: dns.message.Message) -> str:
    return dns.flags.to_text(reply.flags)


def lines_of(reply: dns.message.Message) -> list[str]:
    return [
        line
        for section in (reply.answer, reply.authority, reply.additional)
        for rrset in section
        for line in rrset.to_text().splitlines()
    ]


def options_of(reply: dns.message.Message) -> list[tuple[int, bytes]] | None:
    """The EDNS options of a reply; None where it has no OPT record."""
    return None if reply.edns < 0 else [(option.otype, option.to_wire()) for option in reply.options]


def with_edns(
    reply: dns.message.Message, *options: tuple[int, bytes], payload: int = 1232, do: bool = False
) -> Reply:
    rcode = reply.rcode()
    reply.use_edns(
        0, dns.flags.DO if do else 0, payload, options=[dns.edns.GenericOption(*option) for option in options]
    )
    reply.set_rcode(rcode)
    return reply


SUBNET = dns.edns.ECSOption("192.0.2.0", 24)
SOA = "example.org. 60 IN SOA ns.example.org. admin.example.org. 1 2 3 4 60"

CASES = [
    Case("RA and the client's RD are kept", lambda q: a(response(q)), flags_of, "QR RD RA"),
    Case("AA of an authoritative server is kept", lambda q: a(response(q, flags=AA)), flags_of, "QR AA RD RA"),
    Case("AD is kept for a client that has set it", lambda q: a(response(q, flags=AD)), flags_of, "QR RD RA AD",
         flags=RD | AD),
    Case("CD comes back as the client has sent it", lambda q: a(response(q, flags=CD)), flags_of, "QR RD RA CD",
         flags=RD | CD),
    Case("without RD there is none in the reply", lambda q: a(response(q)), flags_of, "QR RA", flags=0),
    Case("an authoritative server's missing RA stays missing",
         lambda q: a(cleared(response(q, flags=AA), RA)), flags_of, "QR AA RD"),
    *[
        Case(f"the code {dns.rcode.to_text(code)} is passed through", lambda q, code=code: response(q, code),
             lambda reply: (reply.rcode(), reply.answer), (code, []))
        for code in (dns.rcode.FORMERR, dns.rcode.SERVFAIL, dns.rcode.NXDOMAIN, dns.rcode.NOTIMP,
                     dns.rcode.REFUSED, dns.rcode.YXDOMAIN, dns.rcode.NOTAUTH)
    ],
    Case("an extended code reaches a client with EDNS", lambda q: with_edns(response(q, dns.rcode.BADCOOKIE)),
         lambda reply: reply.rcode(), dns.rcode.BADCOOKIE, query={"use_edns": 0}),
    Case("NXDOMAIN keeps its SOA",
         lambda q: negative(q, dns.rcode.NXDOMAIN), lambda reply: (reply.rcode(), lines_of(reply)), (3, [SOA])),
    Case("no data keeps its SOA", lambda q: negative(q, 0),
         lambda reply: (reply.rcode(), lines_of(reply)), (0, [SOA])),
    Case("a chain of CNAMEs in its order",
         lambda q: with_sections(q, (f"{NAME} 60 IN CNAME b.example.net.", "b.example.net. 7 IN CNAME c.example.",
                                     "c.example. 5 IN A 192.0.2.9")),
         lines_of, [f"{NAME} 60 IN CNAME b.example.net.", "b.example.net. 7 IN CNAME c.example.",
                    "c.example. 5 IN A 192.0.2.9"]),
    Case("every section, and TTLs as they come, 0 included",
         lambda q: with_sections(q, (f"{NAME} 0 IN A 192.0.2.1",), ("example.org. 86400 IN NS ns.example.org.",),
                                 ("ns.example.org. 604800 IN A 192.0.2.2",)),
         lines_of, [f"{NAME} 0 IN A 192.0.2.1", "example.org. 86400 IN NS ns.example.org.",
                    "ns.example.org. 604800 IN A 192.0.2.2"]),
    Case("a TTL with its highest bit set is 0 (RFC 2181 section 8)",
         lambda q: highest_ttl(q), lambda reply: [rrset.ttl for rrset in reply.answer], [0]),
    Case("a client without EDNS gets no OPT record", lambda q: with_edns(a(response(q)), (10, b"12345678")),
         options_of, None),
    Case("an extended error reaches a client with EDNS; what is said to us does not",
         lambda q: with_edns(a(response(q)), (10, b"8 bytes!serverpart"), (15, b"\0\x16no"), (3, b"ns1"),
                             (11, b"\0\x64"), (12, bytes(20)), (18, b"\0"), (65001, b"x")), options_of,
         [(15, b"\0\x16no")], query={"use_edns": 0}),
    Case("a subnet's scope is nobody's who has named no subnet",
         lambda q: with_edns(a(response(q)), (8, b"\0\1\x18\x14\xc0\0\2")), options_of, [],
         query={"use_edns": 0}),
    Case("the scope of a client subnet is the upstream's",
         lambda q: with_edns(a(response(q)), (8, b"\0\1\x18\x14\xc0\0\2")), options_of,
         [(8, b"\0\1\x18\x14\xc0\0\2")], query={"use_edns": 0, "options": [SUBNET]}),
    Case("an upstream without EDNS: the client has its OPT record from us, empty", lambda q: a(response(q)),
         options_of, [], query={"use_edns": 0}),
    Case("DO comes back to who has set it", lambda q: with_edns(a(response(q)), do=True),
         lambda reply: bool(reply.ednsflags & dns.flags.DO), True, query={"want_dnssec": True}),
    Case("trailing bytes are of no use and do no harm", lambda q: a(response(q)).to_wire() + b"\1\2\3", addresses,
         ["192.0.2.1"]),
    Case("records of another class than IN are left out",
         lambda q: with_sections(q, (f"{NAME} 5 CH A a.example. 1", f"{NAME} 5 IN A 192.0.2.7")), addresses,
         ["192.0.2.7"]),
    Case("a type that nobody knows", lambda q: with_sections(q, (f"{NAME} 5 IN TYPE65300 \\# 3 010203",)),
         lines_of, [f"{NAME} 5 IN TYPE65300 \\# 3 010203"]),
]  # fmt: skip


def cleared(reply: dns.message.Message, flag: int) -> dns.message.Message:
    reply.flags &= ~flag
    return reply


def negative(query: dns.message.Message, rcode: int) -> Reply:
    reply = response(query, rcode)
    reply.authority = records(SOA)
    return reply


def highest_ttl(query: dns.message.Message) -> Reply:
    wire = a(response(query), ttl_s=5).to_wire()
    return wire.replace(b"\0\0\0\5\0\4", b"\x80\0\0\5\0\4")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.why)
def test_the_reply_is_passed_on(case: Case) -> None:
    with Upstream(lambda asked: case.make(asked.message)) as up, Forwarder(f"forward . {up.to}") as forwarder:
        query = dns.message.make_query(NAME, "A", **case.query)
        query.flags = case.flags
        reply = forwarder.exchange(query)
        assert case.see(reply) == case.expect
        # What goes upstream is the client's message, but for its ID.
        assert [asked.wire[2:] for asked in up.questions] == [query.to_wire()[2:]]
        forwarder.settles()
    assert forwarder.counters() == {"queries": 1, "parked": 1}


# --------------------------------------------------------------------------------------------------------- classes


def version(asked: Asked) -> Reply:
    """A record in the question's class, and one in another."""
    reply = response(asked.message)
    kind = dns.rdataclass.to_text(asked.message.question[0].rdclass)
    reply.answer.append(dns.rrset.from_text(asked.name, 0, kind, "TXT", '"9.18"'))
    reply.additional.append(dns.rrset.from_text(asked.name, 60, "IN" if kind != "IN" else "CH", "TXT", '"no"'))
    return reply


@pytest.mark.parametrize("cache", ["", "cache"], ids=["alone", "behind a cache"])
@pytest.mark.parametrize("kind", ["CH", "HS", "CLASS65"])
def test_questions_of_other_classes_are_asked_upstream(kind: str, cache: str) -> None:
    """As CoreDNS does where a block has forward. Nothing of that is kept, nor mixed with what is of class IN."""
    with Upstream(version) as up, Forwarder(f"{cache}\nforward . {up.to}") as forwarder:
        for _ in range(2):
            reply = forwarder.exchange(dns.message.make_query("version.bind.", "TXT", rdclass=kind))
            assert reply.rcode() == 0
            (answer,) = reply.answer
            assert (dns.rdataclass.to_text(answer.rdclass), str(answer[0])) == (kind, '"9.18"')
            assert reply.additional == []
        assert len(up.questions) == 2
        (answer,) = forwarder.exchange(dns.message.make_query("version.bind.", "TXT")).answer
        assert answer.rdclass == dns.rdataclass.IN


@pytest.mark.parametrize("kind", ["NONE", "ANY", "CLASS0", "CLASS65535"])
def test_what_is_no_class_of_data_is_refused(kind: str) -> None:
    with Upstream(version) as up, Forwarder(f"forward . {up.to}") as forwarder:
        reply = forwarder.exchange(dns.message.make_query("version.bind.", "TXT", rdclass=kind))
        assert reply.rcode() == dns.rcode.REFUSED
        assert up.asked == []


def test_other_classes_are_refused_where_nobody_is_asked(tmp_path: Path) -> None:
    """By a listener without a forward, and for names of the cluster everywhere."""
    with Upstream(version) as up:
        text = (
            '.:DNS_PORT {\nbind 127.0.0.1\nkubernetes cluster.local {\nmanifests "MANIFESTS"\n}\n'
            f"forward . {up.to}\n}}\n"
            "other.example.:DNS_PORT {\nbind 127.0.0.1\nwhoami\n}\n.:OTHER_PORT {\nbind 127.0.0.1\nwhoami\n}\n"
        )
        with Server(tmp_path, text, workers=1) as server:

            def rcode(name: str, port: int) -> dns.rcode.Rcode:
                query = dns.message.make_query(name, "TXT", rdclass="CH")
                return dns.query.udp(query, "127.0.0.1", 5, port=port).rcode()

            other = server.ports["OTHER_PORT"]
            assert rcode("version.bind.", server.port) == dns.rcode.NOERROR
            assert rcode(WEB, server.port) == dns.rcode.REFUSED
            assert rcode("no.shop.svc.cluster.local.", server.port) == dns.rcode.REFUSED
            assert rcode("version.bind.", other) == dns.rcode.REFUSED
            assert [one.name for one in up.asked] == ["version.bind."]


def test_class_any_of_a_cluster_name_is_answered_as_class_in(tmp_path: Path) -> None:
    """As CoreDNS does where the listener has a forward. It was refused."""
    with Upstream(version) as up:
        text = (
            '.:DNS_PORT {\nbind 127.0.0.1\nkubernetes cluster.local {\nmanifests "MANIFESTS"\n}\ncache\n'
            f"forward . {up.to}\n}}\n"
            '.:OTHER_PORT {\nbind 127.0.0.1\nkubernetes cluster.local {\nmanifests "MANIFESTS"\n}\n}\n'
        )
        with Server(tmp_path, text, workers=1) as server:

            def ask(name: str, port: int) -> dns.message.Message:
                query = dns.message.make_query(name, "A", rdclass="ANY")
                raw = dns.query.udp(query, "127.0.0.1", 5, port=port, raise_on_truncation=False)
                assert raw.question[0].rdclass == dns.rdataclass.ANY
                return raw

            for _ in range(2):
                (answer,) = ask(WEB, server.port).answer
                assert answer.to_text() == dns.query.udp(
                    dns.message.make_query(WEB, "A"), "127.0.0.1", 5, port=server.port
                ).answer[0].to_text()
            missing = ask("no.shop.svc.cluster.local.", server.port)
            assert missing.rcode() == dns.rcode.NXDOMAIN
            assert missing.authority[0].rdclass == dns.rdataclass.IN
            assert ask("other.example.", server.port).rcode() == dns.rcode.REFUSED
            # Where nothing is forwarded CoreDNS refuses it, too.
            assert ask(WEB, server.ports["OTHER_PORT"]).rcode() == dns.rcode.REFUSED
            assert up.asked == []


# ------------------------------------------------------------------------------------------------- case of letters

SPELLINGS = [
    ("wWw.ExAmPlE.oRg.", str.lower, "an upstream that lowers the name"),
    ("www.example.org.", str.upper, "an upstream that raises it"),
    ("WWW.EXAMPLE.ORG.", str.swapcase, "an upstream that swaps it"),
    ("wWw.ExAmPlE.oRg.", str, "an upstream that keeps it"),
]


@pytest.mark.parametrize(("asked_name", "spelled", "why"), SPELLINGS, ids=lambda value: str(value))
def test_the_client_gets_its_own_spelling(asked_name: str, spelled: Callable[[str], str], why: str) -> None:
    def script(asked: Asked) -> Reply:
        reply = response(asked.message)
        name = spelled(asked_name)
        reply.question = [dns.rrset.RRset(dns.name.from_text(name), 1, 1)]
        reply.answer = records(
            f"{name} 5 IN CNAME {spelled('b.example.org.')}", f"{spelled('b.example.org.')} 5 IN A 192.0.2.1"
        )
        return reply

    with Upstream(script) as up, Forwarder(f"forward . {up.to}") as forwarder:
        reply = forwarder.ask(asked_name)
        assert reply.question[0].name.to_text() == asked_name
        assert reply.answer[0].name.to_text() == asked_name
        # Only the question's own name is the client's to spell.
        assert reply.answer[1].name.to_text().lower() == "b.example.org."
        assert up.questions[0].name == asked_name


# --------------------------------------------------------------------------------------------------------- size


def many(count: int) -> Callable[[Asked], Reply]:
    def script(asked: Asked) -> Reply:
        reply = response(asked.message)
        for number in range(count):
            a(reply, f"10.0.{number >> 8}.{number & 255}")
        reply.answer = [
            dns.rrset.from_text_list(NAME, 5, "IN", "A", [str(data) for rrset in reply.answer for data in rrset])
        ]
        return reply

    return script


@dataclass(frozen=True)
class Size:
    """records: how many A records the upstream sends, 16 bytes each. payload: what the client takes; 0: no EDNS."""

    records: int
    payload: int
    whole: bool
    why: str


SIZES = [
    Size(20, 0, True, "fits into 512 bytes"),
    Size(40, 0, False, "a client without EDNS takes 512 bytes"),
    Size(40, 1232, True, "a client with EDNS takes what it says"),
    Size(80, 1232, False, "more than it says"),
    Size(72, 4096, True, "as much as a datagram from upstream may hold: 1,196 bytes"),
    Size(480, 65535, True, "7.7 kB for a client that takes it: nothing of them comes in fragments"),
]


@pytest.mark.parametrize("size", SIZES, ids=lambda size: size.why)
def test_a_reply_fits_into_what_the_client_takes(size: Size) -> None:
    script = many(size.records)
    with Upstream(script, tcp=script) as up, Forwarder(f"forward . {up.to}") as forwarder:
        options = {"use_edns": 0, "payload": size.payload} if size.payload else {}
        query = dns.message.make_query(NAME, "A", **options)
        client = forwarder.client()
        client.send(query)
        wire = client.receive_wire()
        reply = dns.message.from_wire(wire, ignore_trailing=False)
        assert len(wire) <= max(512, size.payload)
        assert bool(reply.flags & TC) == (not size.whole)
        if size.whole:
            assert len(addresses(reply)) == size.records
        assert len(up.over(tcp=True)) == (size.records > 72)
        assert forwarder.counters() == {"queries": 1, "parked": 1}


@pytest.mark.parametrize("payload", [512, 700, 1232, 4096, 65535])
def test_what_upstreams_are_told_does_not_depend_on_the_client(payload: int) -> None:
    """A client's 65,535 went on unchanged, and fragments that anybody may forge came back."""
    with Upstream() as up, Forwarder(f"forward . {up.to}") as forwarder:
        assert addresses(forwarder.ask(use_edns=0, payload=payload)) == ["192.0.2.1"]
        assert [asked.message.payload for asked in up.questions] == [1232]


def test_no_fragments_get_into_the_cache() -> None:
    """An upstream that heeds no size sends 7.7 kB in one datagram; what it says over TCP is kept."""
    with (
        Upstream(many(480), tcp=saying("192.0.2.7")) as up,
        Forwarder(f"cache\nforward . {up.to}") as forwarder,
    ):
        for _ in range(2):
            assert addresses(forwarder.ask(use_edns=0, payload=65535)) == ["192.0.2.7"]
        assert (len(up.over(tcp=False)), len(up.over(tcp=True))) == (1, 1)


@pytest.fixture(scope="module")
def over_ipv6() -> Iterator[Upstream]:
    try:
        with Upstream(host="::1") as up:
            yield up
    except OSError:
        pytest.skip("this host has no IPv6")


def test_an_upstream_over_ipv6(over_ipv6: Upstream) -> None:
    with Forwarder(f"forward . {over_ipv6.to}") as forwarder:
        assert addresses(forwarder.ask()) == ["192.0.2.1"]


def test_the_source_address() -> None:
    with Upstream() as up, Forwarder(f"forward . {up.to} {{\nsource_address 127.0.0.7\n}}") as forwarder:
        assert addresses(forwarder.ask()) == ["192.0.2.1"]
        assert up.questions[0].peer[0] == "127.0.0.7"


def test_a_source_address_that_is_not_ours() -> None:
    """The upstream cannot be asked at all: SERVFAIL at once, and it is said why."""
    with Upstream() as up, Forwarder(f"forward . {up.to} {{\nsource_address 192.0.2.77\n}}") as forwarder:
        assert forwarder.ask(limit_s=1).rcode() == dns.rcode.SERVFAIL
        assert forwarder.errors() == ["write udp {}: send failed"]


def test_ids_and_ports_are_not_the_clients_and_not_in_order() -> None:
    """Predictable ones have let forgers in (CVE-2008-1447)."""
    with Upstream() as up, Forwarder(f"forward . {up.to}") as forwarder:
        for number in range(64):
            forwarder.ask(f"n{number}.example.org.", id=7)
        asked = up.questions
        ids = [int.from_bytes(one.wire[:2], "big") for one in asked]
        assert len(asked) == 64
        assert len(set(ids)) > 56
        assert len({(second - first) & 0xFFFF for first, second in itertools.pairwise(ids)}) > 50
        # 64 draws of 16 sockets leave fewer than 10 of them unused, but for one run in 10^9.
        assert len({one.peer[1] for one in asked}) >= 10


def test_a_port_is_not_kept_for_ever_by_a_quiet_server() -> None:
    """Ports changed with the number of queries only: on a quiet server one could search for them for days."""

    def ports() -> set[int]:
        """Of 200 questions, so that each of 16 sockets has had one."""
        before = len(up.asked)
        for number in range(200):
            forwarder.ask(f"n{number}.example.org.")
        return {one.peer[1] for one in up.asked[before:]}

    with Upstream() as up, Forwarder(f"forward . {up.to}", socket_s=1) as forwarder:
        begun = time.monotonic()
        first = ports()
        if time.monotonic() - begun < 1:
            assert len(first) <= 16
        time.sleep(1)
        # One may get a port by chance that another has just given up.
        assert len(ports() & first) < 4


def test_a_worn_socket_is_there_until_its_answers_are() -> None:
    """A port that is given up takes no answer with it that is still to come."""
    with Upstream(silent) as up, Forwarder(forward(up.to, max_fails=0), socket_s=0) as forwarder:
        client = forwarder.client()
        for number in range(64):
            client.send(question(number))
            wait_until(lambda number=number: len({one.wire[2:] for one in up.asked}) == number + 1)
        assert len({one.peer[1] for one in up.asked}) == 16, "none is replaced while a question is out on it"
        up.script = echo
        for one in list(up.asked):
            up.say(one, echo(one))
        assert sorted(client.receive().id for _ in range(64)) == list(range(64))
        forwarder.settles()
        up.asked.clear()
        for number in range(64):
            client.send(question(number))
            client.receive()
        assert len({one.peer[1] for one in up.asked}) > 48, "one that is idle is replaced"


@pytest.mark.unsanitized("asks 20,480 questions one after the other")
def test_a_port_is_not_kept_for_ever() -> None:
    """After so many queries a socket is replaced by one with another port."""
    with Upstream(echo) as up, Forwarder(f"forward . {up.to}") as forwarder:
        client = forwarder.client()
        for first in range(0, 20 * 1024, 64):
            for number in range(first, first + 64):
                client.send(question(number))
            for _ in range(64):
                client.receive_wire()
        # One that is slow on a busy machine is asked again.
        assert 20 * 1024 <= len(up.asked) < 21 * 1024
        assert len({one.peer[1] for one in up.asked}) > 16
