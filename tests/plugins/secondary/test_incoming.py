"""What primaries say, message by message; nothing in it is trusted."""

from __future__ import annotations

import random
import struct

import dns.message
import dns.name
import dns.rdata
import dns.rrset
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastdns.errors import FastdnsError, SourceError
from fastdns.memory._store import Store, Writer
from fastdns.plugins.secondary._incoming import Incoming, newer, serial_in
from fastdns.plugins.secondary.asking import AXFR, IXFR, SOA, question
from fastdns.rrsets._writer import ZoneWriter
from tests.plugins.secondary.primary import RR, differences, messages, packed, reply, soa_of, whole
from tests.rrsets import _reading
from tests.rrsets.oracle import NS, TXT, A, Content, absolute, soa, wire

pytestmark = pytest.mark.native

ZONE = absolute("zone.test.")
SOURCE = 4
NSEC, NSEC3, NSEC3PARAM, RRSIG = 47, 50, 51, 46


def version(serial: int, names: int = 5) -> Content:
    return {
        (): {SOA: (300, [soa(serial)]), NS: (300, [absolute("ns.zone.test.")])},
        **{(b"n%d" % n,): {A: (60, [struct.pack("!I", n + serial)])} for n in range(names)},
    }


def incoming(kind: int = AXFR, serial: int | None = None, **options: int) -> Incoming:
    bounds = {"max_rrs": 1000, "max_bytes": 1 << 20, "max_changes": 100, **options}
    return Incoming(ZONE, kind, 7, serial=serial, **bounds)


def asked(kind: int = AXFR, serial: int | None = None) -> bytes:
    return question(ZONE, kind, 7, serial)


def taken(reader: Incoming, made: list[bytes]) -> Incoming:
    """Read messages; the last one is the end."""
    assert [reader.take(message) for message in made] == [*[False] * (len(made) - 1), True]
    return reader


def read(rrs: list[RR], **options: int) -> Incoming:
    return taken(incoming(**options), messages(asked(), rrs))


def served(draft_of: Incoming) -> Content:
    """The zone as a reader finds it."""
    draft_of.finish()
    store = Store(1 << 20)
    ZoneWriter(Writer(store), SOURCE).replace(draft_of.draft)
    names = _reading.names(store, SOURCE, ZONE) or []
    found = {}
    for name in names:
        sets = _reading.rrsets(store, SOURCE, ZONE, name)
        assert sets is not None
        found[name] = sets
    return found  # type: ignore[return-value]


def by_name(content: Content) -> dict[bytes, object]:
    return {wire(labels): sets for labels, sets in content.items()}


@pytest.mark.parametrize("each", [1, 3, 100])
def test_a_zone_is_read(each: int) -> None:
    """However many records stand in a message."""
    reader = taken(incoming(), messages(asked(), whole(version(9, 20), ZONE), each))
    assert (reader.whole, reader.serial, reader.rrs, reader.said) == (True, 9, 23, [])
    assert served(reader) == by_name(version(9, 20))


def test_names_are_unpacked() -> None:
    """Owners, and names in rdata of the types that RFC 3597 section 4 lists; as dnspython compresses them."""
    texts = [
        ("zone.test.", "NS", "ns.zone.test."), ("a.zone.test.", "CNAME", "b.zone.test."),
        ("b.zone.test.", "MX", "5 a.b.zone.test."), ("b.zone.test.", "SRV", "1 2 3 srv.zone.test."),
        ("c.zone.test.", "NAPTR", '1 2 "u" "s" "!a!b!" x.zone.test.'), ("d.zone.test.", "RP", "a.t. b.zone.test."),
        ("e.zone.test.", "DNAME", "d.zone.test."), ("f.zone.test.", "TXT", '"one" "two"'),
        ("g.zone.test.", "PX", "5 a.zone.test. b.zone.test."), ("h.zone.test.", "AFSDB", "1 a.zone.test."),
        ("i.zone.test.", "PTR", "i.i.zone.test."), ("j.zone.test.", "SVCB", "1 j.zone.test. port=5"),
        ("k.zone.test.", "CAA", '0 issue "ca.test"'), ("l.zone.test.", "DS", f"1 8 2 {'00' * 32}"),
        ("m.zone.test.", "NSEC", "n.zone.test. A RRSIG"), ("n.zone.test.", "AAAA", "2001:db8::1"),
    ]  # fmt: skip
    message = dns.message.make_response(dns.message.from_wire(asked()))
    start = dns.rrset.from_text("zone.test.", 60, "IN", "SOA", "ns.zone.test. host.zone.test. 4 5 6 7 8")
    rrsets = (dns.rrset.from_text(name, 60, "IN", kind, text) for name, kind, text in texts)
    message.answer += [start, *rrsets, start]
    packed_whole = message.to_wire()
    assert packed_whole.count(b"\xc0\x0c") > 10, "names are compressed"
    found = served(taken(incoming(), [packed_whole]))
    for name, kind, text in texts:
        rdata = dns.rdata.from_text("IN", kind, text).to_wire()
        relative = (dns.name.from_text(name).to_wire() or b"").removesuffix(ZONE)
        assert any(rdata in rrs for _, rrs in found[relative].values()), (name, kind)  # type: ignore[index]


def test_case_of_owners_does_not_matter() -> None:
    rrs = [(owner.upper(), *rest) for owner, *rest in whole(version(1), ZONE)]
    assert served(read(rrs)) == by_name(version(1))  # type: ignore[arg-type]


def test_what_cannot_be_served_is_left_out() -> None:
    start = soa_of(version(1), ZONE)
    rrs = [
        start,
        (absolute("www.other.test."), A, 60, b"\1\1\1\1"),
        (b"\2\0a" + ZONE, A, 60, b"\1\1\1\1"),
        (b"\1c" + ZONE, 5, 60, absolute("a.test.")),
        (b"\1c" + ZONE, A, 60, b"\1\1\1\1"),
        (b"\1x" + ZONE, A, 60, b"\1\1\1\1"),
        start,
    ]
    reader = read(rrs)
    assert sorted(served(reader)) == [b"", b"\1c", b"\1x"]
    assert (reader.is_partial, reader.left_out) == (True, 3)
    assert reader.said == [
        "www.other.test. A: it is not in the zone",
        "\\000a.zone.test. A: names that begin so are the server's own",
        "c.zone.test. A: its name has a CNAME record",
    ]
    assert not read([rrs[0], rrs[1], rrs[0]]).is_partial, "what is not in the zone would not be served"


def nsec3(salt: bytes, following: bytes = b"\3abc") -> bytes:
    return b"\1\0\0\5" + bytes((len(salt),)) + salt + following


def test_nsec3_records_go_on_their_shelf() -> None:
    """With their signatures, wherever these stand; signatures of what is not there are nothing."""
    signature = struct.pack("!HBBIIIH", NSEC3, 8, 2, 60, 2, 1, 3) + ZONE + b"signature"
    start = soa_of(version(1), ZONE)
    rrs = [
        start,
        (b"\3aaa" + ZONE, RRSIG, 60, signature),
        (b"\3bbb" + ZONE, RRSIG, 60, signature),
        (b"\3ccc" + ZONE, RRSIG, 60, signature),
        (b"\3aaa" + ZONE, NSEC3, 60, nsec3(b"sa")),
        (b"\3bbb" + ZONE, NSEC3, 60, nsec3(b"")),
        start,
    ]
    found = served(read(rrs))
    assert sorted(found) == [b"", b"\3aaa\5\0\0\5sa", b"\3bbb\3\0\0\5"]
    assert all(sorted(sets) == [RRSIG, NSEC3] for name, sets in found.items() if name)
    many = [(b"\3aaa" + ZONE, NSEC3, 60, nsec3(bytes((n, n)))) for n in range(17)]
    with pytest.raises(SourceError, match="over 16 sets of NSEC3 parameters"):
        read([start, *many, start])
    assert read([start, (b"\3aaa" + ZONE, NSEC3, 60, b"\1\0\1\0\0\3abc"), start]).is_partial, "256 iterations"


def test_differences_are_read() -> None:
    versions = [version(1), version(2, 4), version(3, 6)]
    made = messages(asked(IXFR, 1), differences(versions, ZONE), 3)
    reader = taken(incoming(IXFR, 1), made)
    assert (reader.whole, reader.serial) == (False, 3)
    assert [added for added, *_ in reader.changes] == [*[False] * 5, *[True] * 4, *[False] * 4, *[True] * 6]


def test_a_primary_may_answer_ixfr_with_the_whole_zone() -> None:
    reader = taken(incoming(IXFR, 1), messages(asked(IXFR, 1), whole(version(3), ZONE), 2))
    assert reader.whole
    assert served(reader) == by_name(version(3))


def test_a_primary_may_have_nothing_newer() -> None:
    """The same serial or an older one: RFC 1995 section 2."""
    for known in (3, 4):
        reader = taken(incoming(IXFR, known), messages(asked(IXFR, known), [soa_of(version(3), ZONE)]))
        assert (reader.whole, reader.changes, reader.serial) == (False, [], 3)


START, OTHER = soa_of(version(1), ZONE), soa_of(version(2), ZONE)
HOST: RR = (b"\1a" + ZONE, A, 60, b"\1\1\1\1")
NAME = b"\1a" + ZONE

# A pointer to itself.
LOOP = struct.pack("!H", 0xC000 | len(reply(asked(), [packed(START)])))


def rr(rrtype: int, rdata: bytes) -> bytes:
    """A zone with this record."""
    return reply(asked(), [packed(START), packed((NAME, rrtype, 60, rdata))])


# What is said, why it ends a transfer, what it is.
BAD = [
    (b"", "a message is cut off", "an empty message"),
    (reply(asked(), [packed(START)])[:11], "a message is cut off", "half a header"),
    (reply(asked(), [packed(START)], number=8), "another ID", "an answer to another query"),
    (reply(asked(), [packed(START)], flags=0x0400), "not a whole reply", "a query"),
    (reply(asked(), [packed(START)], flags=0x8600), "not a whole reply", "a truncated reply"),
    (reply(asked(), [packed(START)], flags=0xA400), "not a whole reply", "another opcode"),
    (reply(asked(), [], flags=0x8405), "AXFR: rcode is REFUSED", "a refusal"),
    (reply(asked(), []), "no records", "a reply without records"),
    (reply(asked(SOA), [packed(START)]), "another question", "another type"),
    (reply(question(absolute("x.test."), AXFR, 7), [packed(START)]), "another question", "another zone"),
    (reply(asked(), [packed(HOST)]), "first record is no SOA", "a transfer that begins anywhere"),
    (reply(asked(), [packed(START), packed(HOST)])[:-1], "cut off", "a record that is cut off"),
    (reply(asked(), [packed(START), packed(OTHER)]), "another serial", "the zone has changed meanwhile"),
    (reply(asked(), map(packed, (START, HOST, START, HOST))), "behind the last SOA", "an SOA record in the middle"),
    (reply(asked(), [packed(START), packed(HOST, 3)]), "not of class IN", "class CH"),
    (reply(asked(), [packed(START), packed((NAME, 255, 0, b""))]), "records of type ANY", "a type of questions"),
    (reply(asked(), [packed(START), packed((NAME, 41, 0, b""))]), "records of type OPT", "a pseudo record"),
    (reply(asked(), [packed(START), LOOP + packed(HOST)[len(NAME) :]]), "malformed name", "a loop of names"),
    (reply(asked(), [packed(START), b"\xcf\xff" + packed(HOST)[len(NAME) :]]), "malformed name", "a far pointer"),
    (reply(asked(), [packed(START), b"\x80" + packed(HOST)]), "malformed name", "a label of another kind"),
    (reply(asked(), [packed(START), b"\x3f" * 300]), "malformed name", "a name that is too long"),
    (rr(A, b"\1\1\1"), "form of its type", "an address of three bytes"),
    (rr(28, b"\1\1\1"), "form of its type", "an IPv6 address of three bytes"),
    (rr(NS, ZONE + b"x"), "form of its type", "bytes behind a name"),
    (rr(15, b"\0"), "form of its type", "half a preference"),
    (rr(15, b"\0\5"), "form of its type", "no exchange"),
    (rr(NS, b"\3ab"), "malformed name", "a name that leaves the rdata"),
    (rr(SOA, soa(1)[:-1]), "form of its type", "an SOA record without its minimum"),
    (rr(35, b"\0\1\0\1\xff"), "form of its type", "a string that leaves the rdata"),
    (rr(TXT, b""), "form of its type", "TXT without a string"),
    (rr(TXT, b"\5abc"), "form of its type", "a string that is cut off"),
    (rr(RRSIG, bytes(18)), "form of its type", "a signature without a signer"),
    (rr(NSEC, ZONE + b"\0\0"), "form of its type", "an empty window of types"),
    (rr(NSEC3, b"\1\0\0\5\xffsalt"), "form of its type", "a salt that leaves the rdata"),
    (rr(NSEC3, b"\1\0\0\5\0\x14abc"), "form of its type", "a hash that leaves the rdata"),
    (rr(NSEC3PARAM, b"\1\0\0\5\0x"), "form of its type", "bytes behind the salt"),
]  # fmt: skip

@pytest.mark.parametrize(("message", "why"), [bad[:2] for bad in BAD], ids=[bad[2] for bad in BAD])
def test_what_is_wrong_ends_a_transfer(message: bytes, why: str) -> None:
    with pytest.raises(SourceError, match=why):
        incoming().take(message)


def steps(*serials: int) -> list[RR]:
    return [soa_of(version(serial), ZONE) for serial in serials]


@pytest.mark.parametrize(
    ("rrs", "why"),
    [
        (steps(3, 2), "begin at another serial"),
        (steps(3, 1, 1), "a serial that is not newer"),
        (steps(3, 1, 0), "a serial that is not newer"),
        ([*steps(3, 1, 2), HOST, *steps(1)], "do not follow on each other"),
        ([*steps(3, 1, 3), HOST, *steps(3), HOST], "behind the last SOA"),
    ],
)
def test_differences_that_lead_nowhere(rrs: list[RR], why: str) -> None:
    with pytest.raises(SourceError, match=why):
        incoming(IXFR, 1).take(reply(asked(IXFR, 1), map(packed, rrs)))


def test_a_transfer_without_end_is_bounded() -> None:
    """In records, and in unpacked bytes: a name of 250 bytes takes two bytes in a message."""
    reader = incoming(max_rrs=100)
    with pytest.raises(SourceError, match="over 100 records"):
        for message in messages(asked(), [START, *[HOST] * 200]):
            reader.take(message)
    long = b"".join(b"\x3c" + bytes((97 + n,)) * 60 for n in range(4))[:-3].replace(b"\x3cd", b"\x39d") + b"\0"
    first = packed((long, TXT, 60, b"\1x"))
    again = struct.pack("!H", 0xC000 | (len(asked()) + len(packed(START)))) + first[len(long) :]
    message = reply(asked(), [packed(START), first, *[again] * 4000])
    assert len(message) < 60_000
    reader = incoming(max_rrs=5000, max_bytes=500_000)
    with pytest.raises(SourceError, match="500000 bytes"):
        reader.take(message)
    assert reader.unpacked_bytes < 501_000


def test_the_serial_of_a_reply() -> None:
    assert serial_in(reply(asked(SOA), [packed(HOST), packed(OTHER)]), ZONE, 7) == 2
    for rrs in ([packed(HOST)], [packed((absolute("test."), SOA, 60, soa(1)))], [packed(OTHER, 3)]):
        with pytest.raises(SourceError, match="no SOA record"):
            serial_in(reply(asked(SOA), rrs), ZONE, 7)
    with pytest.raises(SourceError, match="cut off"):
        serial_in(reply(asked(SOA), [packed(OTHER)])[:-1], ZONE, 7)


@pytest.mark.parametrize(
    ("serial", "known", "expected"),
    [(2, 1, True), (1, 2, False), (1, 1, False), (0, 2**32 - 1, True), (2**31, 0, False), (2**31 - 1, 0, True)],
)
def test_serials_wrap_around(serial: int, known: int, expected: bool) -> None:
    """RFC 1982."""
    assert newer(serial, known) is expected


@settings(max_examples=150, deadline=None)
@given(st.randoms(use_true_random=False), st.sampled_from([AXFR, IXFR]), st.integers(1, 12))
def test_mangled_messages_change_nothing_but_themselves(chance: random.Random, kind: int, changes: int) -> None:
    """Bytes that are changed, taken out or repeated: an error, or a zone that can be published."""
    serial = 1 if kind == IXFR else None
    versions = [version(1, 8), version(2, 6)]
    rrs = differences(versions, ZONE) if kind == IXFR else whole(versions[0], ZONE)
    message = dns.message.from_wire(reply(asked(kind, serial), map(packed, rrs)), one_rr_per_rrset=True)
    mangled = bytearray(message.to_wire())
    for _ in range(changes):
        at = chance.randrange(len(mangled))
        match chance.randrange(4):
            case 0:
                mangled[at] = chance.randrange(256)
            case 1:
                mangled[at : at + 2] = struct.pack("!H", 0xC000 | chance.randrange(len(mangled)))
            case 2:
                del mangled[at : at + chance.randrange(6)]
            case _:
                mangled[at:at] = mangled[at : at + chance.randrange(20)]
    reader = incoming(kind, serial)
    try:
        complete = reader.take(bytes(mangled))
    except FastdnsError:
        return
    if complete and reader.whole:
        served(reader)
