"""The native parts of dnssec beside dnspython: canonical rdata, names that follow, shared signatures."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import pytest

from fastdns.plugins.dnssec._signatures import MAX_BYTES, Signatures
from fastdns.plugins.dnssec._step import bitmap
from tests.plugins.dnssec._parts import below, canonical, next_name

pytestmark = pytest.mark.native

DAY_S = 86400
NOW_S = 1_800_000_000


def any_name(random: Random, most_bytes: int = 255) -> bytes:
    """A name of any octets, short or as long as a name may be."""
    size, name = random.choice((0, 10, 60, 254)), b"\0"
    while len(name) + 1 < min(size, most_bytes):
        length = min(random.choice((1, 3, 62, 63)), most_bytes - len(name) - 1)
        name = bytes((length,)) + random.choice((b"\xff" * length, b"@AZaz[`"[:length].ljust(length, b"Q"),
                                                random.randbytes(length))) + name  # fmt: skip
    return name


def any_part(random: Random, part: str | int) -> bytes:
    """A name, a string, or so many octets."""
    if part == "n":
        return any_name(random)
    if part == "s":
        length = random.randrange(20)
        return bytes((length,)) + random.randbytes(length)
    return random.randbytes(int(part))


# Types, and what their rdata is made of: n a name, s a string, a number of octets.
SHAPES: dict[str, Sequence[str | int]] = {
    "NS": "n", "CNAME": "n", "PTR": "n", "DNAME": "n", "MB": "n", "SOA": ["n", "n", 20], "MX": [2, "n"],
    "AFSDB": [2, "n"], "RT": [2, "n"], "KX": [2, "n"], "PX": [2, "n", "n"], "RP": "nn", "MINFO": "nn",
    "SRV": [6, "n"], "NAPTR": [4, "s", "s", "s", "n"], "A": [4], "AAAA": [16], "TXT": "ss", "HINFO": "ss",
    "SVCB": [2, "n"],
}  # fmt: skip
# dnspython knows nothing of the shape of these.
OBSOLETE = {"MB": 7, "MINFO": 14}


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_rdata_is_as_dnspython_has_it(name: str) -> None:
    random = Random(name)
    for _ in range(60):
        rdata = b"".join(any_part(random, part) for part in SHAPES[name])
        if name in OBSOLETE:
            rdtype, wanted = dns.rdatatype.RdataType.make(OBSOLETE[name]), rdata.lower()
        else:
            rdtype = dns.rdatatype.from_text(name)
            read = dns.rdata.from_wire(dns.rdataclass.IN, rdtype, rdata, 0, len(rdata))
            # RFC 9460 section 2.2: as it is.
            wanted = rdata if name == "SVCB" else read.to_digestable()
        first, second = sorted((random.randrange(len(rdata) + 1), random.randrange(len(rdata) + 1)))
        assert canonical(rdtype, rdata[:first], rdata[first:second], rdata[second:]) == wanted


def test_malformed_rdata_stays_inside() -> None:
    random = Random(1)
    for rdtype in (2, 6, 14, 15, 26, 33, 35):
        for size in range(80):
            rdata = random.randbytes(size)
            assert len(canonical(rdtype, rdata, b"", b"")) == size


@pytest.mark.parametrize("in_zone", [True, False])
def test_the_next_name_is_next(in_zone: bool) -> None:
    random = Random(2)
    for _ in range(400):
        wire = any_name(random)
        name = dns.name.from_wire(wire, 0)[0]
        found = next_name(wire, in_zone)
        if not found:
            assert wire[1 : 1 + wire[0]] == b"\xff" * wire[0]
            continue
        assert len(found) <= 255
        after = dns.name.from_wire(found, 0)[0]
        assert name < after
        if len(wire) > 1 and (not in_zone or len(wire) > 253):
            # Nothing that is below the name is behind the next one.
            assert not after.is_subdomain(name)
            if len(wire) + 2 <= 255:
                assert dns.name.Name((b"\xff", *name.labels)) < after


@pytest.mark.parametrize(
    ("name", "zone", "wanted"),
    [
        (b"\1a\1b\0", b"\1b\0", True),
        (b"\1a\1B\0", b"\1b\0", True),
        (b"\1b\0", b"\1b\0", True),
        (b"\3a\1b\0", b"\1b\0", False),  # the end of a label looks like the zone
        (b"\1b\0", b"\1a\1b\0", False),
        (b"\1a\0", b"\0", True),
        (b"\0", b"\0", True),
    ],
)
def test_below(name: bytes, zone: bytes, wanted: bool) -> None:
    assert below(name, zone) is wanted


def test_bitmaps() -> None:
    """RFC 4034 section 4.3."""
    assert bitmap((1, 15, 46, 47)) == bytes.fromhex("0006400100000003")
    assert bitmap((1, 257)) == bytes.fromhex("000140010140")


def key(number: int) -> bytes:
    return number.to_bytes(4, "little") * 4


def test_what_is_kept_is_found_until_it_is_to_be_renewed() -> None:
    table = Signatures(1024, 64)
    assert table.find(key(1), 64, NOW_S) is None
    assert table.put(key(1), b"x" * 64, NOW_S - 3600, NOW_S + 8 * DAY_S)
    assert table.find(key(1), 64, NOW_S) == (b"x" * 64, NOW_S - 3600, NOW_S + 8 * DAY_S)
    assert table.find(key(2), 64, NOW_S) is None
    assert table.find(key(1), 64, NOW_S + 6 * DAY_S - 1)
    assert table.find(key(1), 64, NOW_S + 6 * DAY_S) is None, "two days before its end it is no longer used"
    assert table.find(key(1), 64, NOW_S - 3601) is None, "the clock was set back"
    assert table.put(key(1), b"y" * 64, NOW_S, NOW_S + 9 * DAY_S)
    assert table.find(key(1), 64, NOW_S) == (b"y" * 64, NOW_S, NOW_S + 9 * DAY_S)
    assert table.entries == 1


@pytest.mark.parametrize("seconds", [1, 0], ids=["one each second", "all in one second"])
def test_the_oldest_of_a_set_gives_way(seconds: int) -> None:
    table = Signatures(8, 8)
    for number in range(12):
        assert table.put(key(number), bytes(8), NOW_S, NOW_S + 8 * DAY_S + number * seconds)
    assert [table.find(key(number), 8, NOW_S) is not None for number in range(12)] == [False] * 4 + [True] * 8
    assert table.entries == 8


def test_bounds() -> None:
    assert Signatures(1, 64).size_bytes < 2000
    with pytest.raises(ValueError, match="fit"):
        Signatures(MAX_BYTES // 64, 64)
    table = Signatures(8, 64)
    assert not table.put(key(1), bytes(65), NOW_S, NOW_S)
    with pytest.raises(ValueError, match="expected"):
        table.find(key(1), 65, NOW_S)
    with pytest.raises(ValueError, match="16 bytes"):
        table.put(b"x", bytes(64), NOW_S, NOW_S)
