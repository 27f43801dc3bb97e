"""Transfers: what dnspython's secondary has of them in the end is the zone."""

from __future__ import annotations

import random

import dns.message
import dns.rcode
import dns.zone
import pytest

from fastdns.plugins.transfer._step import MAX_AT_ONCE
from fastdns.transports._slow import Messages
from tests.authoritative.asking import axfr, ixfr
from tests.authoritative.served import zone_of
from tests.authoritative.signing import Parameters, with_nsec, with_nsec3
from tests.authoritative.test_beside_knot import lines_of, random_zone
from tests.authoritative.transferring import UDP, Primary, Secondary, contents, read

pytestmark = pytest.mark.native

ORIGIN = "z.test."
SOA = "@ 300 IN SOA ns host {serial} 7200 1800 86400 60\n@ 60 IN NS ns\nns 60 IN A 192.0.2.53\n"


def zone(serial: int, lines: str = "") -> dns.zone.Zone:
    return zone_of(SOA.format(serial=serial) + lines, ORIGIN)


def shape(messages: list[dns.message.Message]) -> list[str]:
    """Types and first names of the records, in order; of SOA records the serial."""
    return [
        f"SOA {rrset[0].serial}" if rrset.rdtype == 6 else f"{rrset.name.labels[0].decode()} {rrset[0]}"
        for message in messages
        for rrset in message.answer
    ]


def test_all_of_a_zone() -> None:
    """In the order of the names, the SOA record at both ends; in the first message what was asked."""
    primary = Primary()
    primary.publish(zone(7, "www 60 IN A 192.0.2.1\nsub 60 IN NS ns.sub\nns.sub 60 IN A 192.0.2.2\n"))
    query = axfr("Z.Test.")
    messages = primary.messages(query)
    assert shape(messages) == [
        "SOA 7", "Z ns.z.test.", "ns 192.0.2.53", "sub ns.sub.z.test.", "ns 192.0.2.2", "www 192.0.2.1", "SOA 7",
    ]  # fmt: skip
    assert len(messages) == 1
    assert messages[0].id == query.id
    assert messages[0].question == query.question
    assert messages[0].question[0].name.labels[0] == b"Z", "as the client has spelt it"
    assert messages[0].opt is None
    query.use_edns(0)
    assert primary.messages(query)[0].opt is not None, "RFC 6891 section 6.1.1"


def test_only_what_has_changed() -> None:
    """One change set after the other, and not the rest of the zone."""
    primary = Primary()
    primary.publish(zone(1, "a 60 IN A 192.0.2.1\nb 60 IN A 192.0.2.2\n"))
    primary.publish(zone(2, "a 60 IN A 192.0.2.1\nb 60 IN A 192.0.2.3\n"))
    primary.publish(zone(3, "b 60 IN A 192.0.2.3\nc 60 IN A 192.0.2.4\n"))
    assert shape(primary.messages(ixfr(ORIGIN, 1))) == [
        "SOA 3",
        "SOA 1", "b 192.0.2.2", "SOA 2", "b 192.0.2.3",
        "SOA 2", "a 192.0.2.1", "SOA 3", "c 192.0.2.4",
        "SOA 3",
    ]  # fmt: skip
    assert shape(primary.messages(ixfr(ORIGIN, 2))) == [
        "SOA 3", "SOA 2", "a 192.0.2.1", "SOA 3", "c 192.0.2.4", "SOA 3",
    ]  # fmt: skip


@pytest.mark.parametrize("serial", [3, 4, 2**31 + 2])
def test_who_is_up_to_date_gets_one_record(serial: int) -> None:
    """The same serial or, as serials are compared, a newer one (RFC 1995 section 2)."""
    primary = Primary()
    primary.publish(zone(1))
    primary.publish(zone(3))
    assert shape(primary.messages(ixfr(ORIGIN, serial))) == ["SOA 3"]


@pytest.mark.parametrize(
    ("bounds", "ahead", "serial", "why"),
    [
        ({"max_changes": 0}, 0, 2, "no history is kept"),
        ({"max_changes": 1}, 0, 1, "the history does not go back so far"),
        ({"max_change_bytes": 64}, 0, 2, "the change was too large for it"),
        ({}, 1000, 999, "nobody knows that version"),
        ({}, 0, 2**32 - 1, "nor that one, which is older, as serials are compared"),
    ],
)
def test_where_the_history_does_not_help_all_of_it_is_sent(
    bounds: dict[str, int], ahead: int, serial: int, why: str
) -> None:
    primary = Primary(**bounds)
    for number in (1, 2, 3):
        primary.publish(zone(number + ahead, f"a 60 IN A 192.0.2.{number}\n"))
    assert len(shape(primary.messages(ixfr(ORIGIN, serial)))) == 5, why


def test_secondaries_follow_random_zones() -> None:
    """Unsigned ones and signed ones, in whole or by what has changed."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    for kind in range(3):
        primary = Primary()
        whole, following = Secondary(ORIGIN), Secondary(ORIGIN)
        for serial in range(1, 9):
            made = random_zone(rng, ("z", "test"))
            lines = lines_of(made)
            if kind == 1:
                text = with_nsec(made, ("z", "test"), lines)
            elif kind == 2:
                text = with_nsec3(made, ("z", "test"), lines, Parameters(3, b"\xab", opt_out=False))
            else:
                text = "".join(f"{'.'.join((*name, 'z', 'test'))}. 60 IN {rrtype} {data}\n"
                               for name, rrtype, data in lines)  # fmt: skip
            now = zone_of(text, ORIGIN)
            assert now.origin is not None
            soa = now.find_rdataset(now.origin, "SOA")
            numbered = soa[0].replace(serial=serial)
            soa.clear()
            soa.add(numbered, 60)
            primary.publish(now)
            whole.update(primary)
            following.update(primary, serial - 1 or None)
            assert contents(whole.zone) == contents(now)
            assert contents(following.zone) == contents(now)


def test_large_zones_take_many_messages() -> None:
    """Each of about 16 KiB; names and RRsets go on in the next one; one record may be as long as a message."""
    primary = Primary()
    lines = [f"host{number} 60 IN A 192.0.2.{number % 250}\n" for number in range(3000)]
    lines += [f"many 60 IN TXT {'x' * 100}{number}\n" for number in range(400)]
    lines += ["huge 60 IN TXT " + " ".join(["y" * 250] * 240) + "\n"]
    made = zone(1, "".join(lines))
    primary.publish(made)
    reply = primary.ask(axfr(ORIGIN))
    assert isinstance(reply, Messages)
    sizes = []
    while message := reply.next():
        assert isinstance(message, bytes)
        sizes.append(len(message))
    assert message == b""
    assert reply.next() == b"", "and it stays so"
    assert len(sizes) > 6
    assert sorted(sizes)[-2] <= 16384
    assert 60000 < max(sizes) < 65536
    secondary = Secondary(ORIGIN)
    secondary.update(primary)
    assert contents(secondary.zone) == contents(made)


def test_many_changes_take_many_messages() -> None:
    primary = Primary()
    secondary = Secondary(ORIGIN)
    for serial in (1, 2, 3):
        made = zone(serial, "".join(f"host{number} 60 IN A 192.0.2.{serial}\n" for number in range(1500)))
        primary.publish(made)
        if serial == 1:
            secondary.update(primary)
    assert len(primary.messages(ixfr(ORIGIN, 1))) > 3
    assert secondary.update(primary, 1) == 4 * 1500 + 6
    assert contents(secondary.zone) == contents(made)


@pytest.mark.parametrize("gone", [False, True])
def test_a_zone_that_changes_meanwhile_ends_the_transfer(gone: bool, caplog: pytest.LogCaptureFixture) -> None:
    """Without the last SOA record, and the log says why; the next transfer is of the new version."""
    primary = Primary()
    lines = "".join(f"host{number} 60 IN A 192.0.2.1\n" for number in range(3000))
    primary.publish(zone(1, lines))
    reply = primary.ask(axfr(ORIGIN))
    assert isinstance(reply, Messages)
    first = reply.next()
    assert isinstance(first, bytes)
    if gone:
        primary.writer.remove(b"\1z\4test\0")
    else:
        primary.publish(zone(2, lines))
    with pytest.raises(EOFError):
        read(reply)
    assert f"to 127.0.0.1 cut off after {int.from_bytes(first[6:8])} records: the zone" in caplog.text
    assert ("is no longer served" if gone else "has changed meanwhile") in caplog.text
    if not gone:
        assert shape(primary.messages(axfr(ORIGIN)))[0] == "SOA 2"


@pytest.mark.parametrize(
    ("query", "client", "transport", "rcode", "why"),
    [
        (axfr(ORIGIN), b"\x7f\0\0\2", 1, "REFUSED", "a client that is not named"),
        (axfr(ORIGIN), bytes(15) + b"\1", 1, "REFUSED", "nor is this one"),
        (axfr(ORIGIN), b"\x7f\0\0\1", UDP, "REFUSED", "over UDP"),
        (ixfr(ORIGIN, 1), b"\x7f\0\0\1", UDP, "REFUSED", "over UDP"),
        (axfr("www.z.test."), b"\x7f\0\0\1", 1, "SERVFAIL", "no zone; there is no next plugin here"),
        (dns.message.make_query(ORIGIN, "IXFR"), b"\x7f\0\0\1", 1, "SERVFAIL", "IXFR without a serial"),
    ],
)
def test_what_is_not_given(
    query: dns.message.Message, client: bytes, transport: int, rcode: str, why: str
) -> None:
    primary = Primary()
    primary.publish(zone(1))
    reply = primary.ask(query, client, transport)
    assert isinstance(reply, bytes), why
    assert dns.rcode.to_text(dns.message.from_wire(reply).rcode()) == rcode, why


def test_an_ipv4_client_of_an_ipv6_socket() -> None:
    primary = Primary()
    primary.publish(zone(1))
    assert isinstance(primary.ask(axfr(ORIGIN), bytes(10) + b"\xff\xff\x7f\0\0\1"), Messages)


def test_a_zone_that_is_not_loaded() -> None:
    primary = Primary()
    primary.publish(zone_of("www 60 IN A 192.0.2.1\n", ORIGIN))
    reply = primary.ask(axfr(ORIGIN))
    assert isinstance(reply, bytes)
    assert dns.message.from_wire(reply).rcode() == dns.rcode.SERVFAIL


def test_transfers_at_a_time_are_bounded() -> None:
    """Whoever comes too late asks again. A transfer that is given up makes room, also if nobody has said so."""
    primary = Primary()
    primary.publish(zone(1))
    going = [primary.ask(axfr(ORIGIN)) for _ in range(MAX_AT_ONCE)]
    assert all(isinstance(reply, Messages) for reply in going)
    late = primary.ask(axfr(ORIGIN))
    assert isinstance(late, bytes) and dns.message.from_wire(late).rcode() == dns.rcode.SERVFAIL
    first = going.pop()
    assert isinstance(first, Messages)
    first.close()
    going.append(primary.ask(axfr(ORIGIN)))
    assert isinstance(going[-1], Messages)
    going.clear()
    assert len(primary.messages(axfr(ORIGIN))) == 1


def test_hostile_authority_sections() -> None:
    """Whatever the SOA record of an IXFR query is: an answer, and nothing is read beyond it."""
    primary = Primary()
    primary.publish(zone(2))
    rng = random.Random(3)
    whole = ixfr(ORIGIN, 1).to_wire()
    begins = 12 + len(b"\1z\4test\0") + 4
    for _ in range(2000):
        damaged = bytearray(whole)
        for _ in range(rng.randrange(1, 4)):
            damaged[rng.randrange(begins, len(damaged))] = rng.randrange(256)
        cut = bytes(damaged[: rng.randrange(begins, len(damaged) + 1)])
        reply = primary.slow.serve(0, cut, b"\x7f\0\0\1", 5300, lambda _: None)
        if isinstance(reply, Messages):
            assert read(reply)
        else:
            assert isinstance(reply, bytes)
