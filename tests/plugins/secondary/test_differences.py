"""Differences (IXFR) that are applied to the zone that is served: they lead to what the primary has."""

from __future__ import annotations

import asyncio
import itertools
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastdns.errors import SourceError
from fastdns.memory._store import Store, Writer
from fastdns.plugins.secondary._incoming import Incoming
from fastdns.plugins.secondary.asking import AXFR, IXFR, question
from fastdns.plugins.secondary.differences import draft_of_changes
from fastdns.rrsets._writer import ZoneWriter
from fastdns.rrsets.publishing import publish
from tests.plugins.secondary.primary import RR, differences, messages, soa_of, whole
from tests.rrsets import _reading
from tests.rrsets.oracle import NS, SOA, TXT, A, Content, absolute, soa, wire

pytestmark = pytest.mark.native

ZONE = absolute("zone.test.")
SOURCE = 4
RRSIG, NSEC3, NSEC3PARAM = 46, 50, 51
BOUNDS: dict[str, Any] = {"max_rrs": 100_000, "max_bytes": 1 << 24, "max_changes": 10_000}


class Held:
    """A zone that is served."""

    def __init__(self, content: Content) -> None:
        self.store = Store(1 << 20)
        self.writer = ZoneWriter(Writer(self.store), SOURCE)
        reader = Incoming(ZONE, AXFR, 7, **BOUNDS)
        for message in messages(question(ZONE, AXFR, 7), whole(content, ZONE)):
            reader.take(message)
        reader.finish()
        self.writer.replace(reader.draft)

    def content(self) -> dict[bytes, Any]:
        names = _reading.names(self.store, SOURCE, ZONE) or []
        return {name: sorted_sets(_reading.rrsets(self.store, SOURCE, ZONE, name) or {}) for name in names}

    def change(self, rrs: list[RR], serial: int) -> None:
        """Apply differences. Raises SourceError."""
        reader = Incoming(ZONE, IXFR, 7, serial=serial, **BOUNDS)
        done = [reader.take(message) for message in messages(question(ZONE, IXFR, 7, serial), rrs)]
        assert done[-1]

        async def apply() -> None:
            draft = await draft_of_changes(self.writer, ZONE, reader)
            await publish(self.writer, draft, whole=False)

        asyncio.run(apply())


def sorted_sets(sets: dict[int, tuple[int, list[bytes]]]) -> dict[int, tuple[int, list[bytes]]]:
    return {rrtype: (ttl_s, sorted(rrs)) for rrtype, (ttl_s, rrs) in sets.items()}


RDATA = {A: [b"\1\1\1\1", b"\2\2\2\2", b"\3\3\3\3"], TXT: [b"\1a", b"\2bb", b"\3\0\1\2"]}
NAMES = st.lists(st.sampled_from([b"a", b"b", b"*", b"\xff", b"deep"]), min_size=1, max_size=3).map(tuple)
SETS = st.dictionaries(
    st.sampled_from([A, TXT]), st.tuples(st.integers(1, 3), st.integers(1, 3)), min_size=1
).map(lambda sets: {rrtype: (ttl_s, RDATA[rrtype][:count]) for rrtype, (ttl_s, count) in sets.items()})


def with_apex(content: Content, serial: int) -> Content:
    return {**content, (): {SOA: (60, [soa(serial)]), NS: (60, [absolute("ns.test.")])}}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.dictionaries(NAMES, SETS, max_size=8), min_size=2, max_size=5), st.booleans())
def test_differences_lead_to_what_the_primary_has(contents: list[Content], one_by_one: bool) -> None:
    """Any zones, in one answer or in several; TTLs change, names come and go."""
    versions = [with_apex(content, serial) for serial, content in enumerate(contents, 1)]
    held = Held(versions[0])
    if one_by_one:
        for old, new in itertools.pairwise(versions):
            held.change(differences([old, new], ZONE), int.from_bytes(old[()][SOA][1][0][-20:-16], "big"))
    else:
        held.change(differences(versions, ZONE), 1)
    assert held.content() == {wire(labels): sorted_sets(sets) for labels, sets in versions[-1].items()}
    assert held.writer.zones() == {ZONE: len(versions)}


def signed(serial: int, hashes: dict[bytes, bytes], salt: bytes, signature: bytes) -> Content:
    """A zone with NSEC3 records, by hash."""
    covers = struct.pack("!HBBIIIH", NSEC3, 8, 2, 60, 2, 1, 3) + ZONE + signature
    parameters = b"\1\0\0\5" + bytes((len(salt),)) + salt
    content = with_apex({}, serial)
    content[()][NSEC3PARAM] = (0, [parameters])
    for label, following in hashes.items():
        rdata = parameters + bytes((len(following),)) + following
        content[(label,)] = {NSEC3: (60, [rdata]), RRSIG: (60, [covers])}
    return content


@pytest.mark.parametrize(
    ("new", "why"),
    [
        (signed(2, {b"aaa": b"ccc", b"ccc": b"aaa"}, b"s", b"one"), "a name is gone, another has come"),
        (signed(2, {b"aaa": b"bbb", b"bbb": b"aaa"}, b"s", b"two"), "only the signatures are new"),
        (signed(2, {b"ddd": b"eee", b"eee": b"ddd"}, b"new", b"two"), "the salt is new"),
        (signed(2, {}, b"s", b"two"), "no proofs any more"),
    ],
)
def test_nsec3_records_change_on_their_shelf(new: Content, why: str) -> None:
    old = signed(1, {b"aaa": b"bbb", b"bbb": b"aaa"}, b"s", b"one")
    held = Held(old)
    held.change(differences([old, new], ZONE), 1)
    assert held.content() == Held(new).content(), why


OLD = with_apex({(b"a",): {A: (60, [b"\1\1\1\1"])}}, 1)
A1: RR = (b"\1a" + ZONE, A, 60, b"\1\1\1\1")
A2: RR = (b"\1a" + ZONE, A, 60, b"\2\2\2\2")
FIRST, LAST = soa_of(with_apex({}, 1), ZONE), soa_of(with_apex({}, 2), ZONE)


@pytest.mark.parametrize(
    ("rrs", "why"),
    [
        ([LAST, FIRST, A2, LAST, LAST], "begin with another version"),
        ([LAST, FIRST, LAST, A1, LAST], "begin with another version"),
        ([LAST, FIRST, LAST, (A1[0], 5, 60, ZONE), LAST], "records that are not served"),
        ([LAST, FIRST, LAST, (b"\2\0a" + ZONE, A, 60, b"\1\1\1\1"), LAST], "records that are not served"),
        ([LAST, FIRST, LAST, (b"\1x" + ZONE, RRSIG, 60, b"\0\x32" + bytes(16) + ZONE + b"x"), LAST], "not known"),
    ],
)
def test_differences_that_do_not_fit_change_nothing(rrs: list[RR], why: str) -> None:
    held = Held(OLD)
    before = held.content()
    with pytest.raises(SourceError, match=why):
        held.change(rrs, 1)
    assert held.content() == before


def test_very_many_differences_do_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A change of each name costs more than the whole zone, and takes memory."""
    monkeypatch.setitem(BOUNDS, "max_changes", 1)
    with pytest.raises(SourceError, match="over 1 records"):
        Held(OLD).change([LAST, FIRST, A1, LAST, A2, LAST], 1)
