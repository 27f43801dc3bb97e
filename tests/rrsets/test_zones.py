"""Zones of RRsets against a dictionary: what is published is found, walked and told apart, at one version."""

from __future__ import annotations

import contextlib
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastdns.errors import SourceError, StoreFull
from fastdns.memory._store import Store, Writer
from fastdns.rrsets._draft import Draft
from fastdns.rrsets._writer import Replacement, ZoneWriter
from fastdns.rrsets.changes import Change
from tests.rrsets import _reading
from tests.rrsets.oracle import (
    AAAA,
    CNAME,
    DNAME,
    NS,
    SOA,
    TXT,
    A,
    Content,
    Labels,
    absolute,
    lookup,
    order,
    soa,
    wire,
)  # fmt: skip

pytestmark = pytest.mark.native

SOURCE = 0x0304
ZONE = absolute("zone.test.")
READER = 7

RDATA = {
    A: [b"\x0a\0\0\1", b"\x0a\0\0\2", b"\x0a\0\0\3"],
    AAAA: [b"\x20" + bytes(14) + bytes((n,)) for n in range(2)],
    NS: [absolute("ns1.other."), absolute("ns2.other.")],
    CNAME: [absolute("elsewhere.test.")],
    TXT: [b"\x01a", b"\x02bb"],
    DNAME: [absolute("moved.test.")],
}


def publish(writer: ZoneWriter, content: Content, zone: bytes = ZONE, **kwargs: Any) -> Draft:
    """Replace a zone by this content."""
    draft = Draft(zone)
    names = list(content)
    random.Random(len(names)).shuffle(names)
    for labels in names:
        for rrtype, (ttl_s, rrs) in content[labels].items():
            for rdata in rrs:
                draft.add(wire(labels) + zone, rrtype, ttl_s, rdata)
    writer.replace(draft, **kwargs)
    return draft


def assert_equal(store: Store, content: Content, zone: bytes = ZONE, asked: list[Labels] | None = None) -> None:
    """Whatever can be read of the zone is as the dictionary has it."""
    ordered = sorted(content, key=order)
    assert _reading.names(store, SOURCE, zone) == [wire(labels) for labels in ordered]
    assert _reading.last(store, SOURCE, zone) == (wire(ordered[-1]) if ordered else None)
    for labels in [*content, *(asked or ())]:
        assert _reading.rrsets(store, SOURCE, zone, wire(labels)) == content.get(labels)
        found = _reading.lookup(store, SOURCE, wire(labels) + zone)
        kind, about, here = lookup(content, labels)
        assert found == (zone, kind, wire(about) + zone, here), labels
        before = [other for other in ordered if order(other) < order(labels)]
        after = [other for other in ordered if order(other) >= order(labels)]
        assert _reading.around(store, SOURCE, zone, wire(labels)) == (
            wire(before[-1]) if before else None,
            wire(after[0]) if after else None,
        )


def assert_clean(store: Store, contents: dict[bytes, Content]) -> None:
    """Nothing is in the store but what is served."""
    keys = [key[2:] for key, _ in store.items(SOURCE.to_bytes(2, "big"))]
    assert sorted(key[1:] for key in keys if key[:1] == b"Z") == sorted(contents)
    names = sorted(key[5:] for key in keys if key[:1] == b"R")
    assert names == sorted(wire(labels) for content in contents.values() for labels in content)
    for key, payload in store.items(SOURCE.to_bytes(2, "big") + b"R"):
        since = int.from_bytes(payload[:4], "little")
        assert since == 0 or (since == 1 and payload[4:8] == bytes(4)), (key, payload)
    assert len([key for key in keys if key[:1] == b"D"]) == sum(bool(content) for content in contents.values())


LABEL = st.sampled_from([b"a", b"b", b"ab", b"*", b"\0", b"\1", b"c\0d", b"\xff" * 63])
NAME = st.lists(LABEL, max_size=3).map(tuple)
SETS = st.dictionaries(
    st.sampled_from([A, A, A, TXT, TXT, AAAA, CNAME, NS, DNAME]),
    st.tuples(st.integers(0, 100), st.integers(1, 3)),
    min_size=1,
    max_size=3,
).map(lambda sets: {rrtype: (ttl_s, RDATA[rrtype][:count]) for rrtype, (ttl_s, count) in sets.items()})
CONTENT = st.dictionaries(NAME, SETS, max_size=12)


@settings(max_examples=150, deadline=None)
@given(CONTENT, st.lists(NAME, max_size=8))
def test_a_zone_is_read_as_the_rfcs_say(content: Content, asked: list[Labels]) -> None:
    store = Store(1 << 20)
    publish(ZoneWriter(Writer(store), SOURCE), content)
    assert_equal(store, content, asked=asked)
    assert_clean(store, {ZONE: content})


STEP = st.one_of(
    st.tuples(st.just("replace"), CONTENT),
    st.tuples(
        st.just("apply"),
        st.lists(
            st.one_of(
                st.tuples(st.just("add"), NAME, st.sampled_from(list(RDATA)), st.integers(0, 2)),
                st.tuples(st.just("remove"), NAME, st.sampled_from([*RDATA, None]), st.integers(0, 3)),
            ),
            max_size=6,
        ),
    ),
    st.tuples(st.just("remove"), st.none()),
    st.tuples(st.just("succeed"), st.none()),
    st.tuples(st.just("read"), st.none()),
)


def changed(content: Content, steps: list[tuple[str, Labels, int | None, int]]) -> tuple[Change, Content]:
    """A change set, and what it makes of a zone."""
    change = Change(ZONE)
    # By name, as names keep their order of steps.
    after: dict[Labels, dict[int, tuple[int, list[bytes]]]] = {
        labels: {rrtype: (ttl_s, list(rrs)) for rrtype, (ttl_s, rrs) in sets.items()}
        for labels, sets in content.items()
    }
    for what, labels, rrtype, number in steps:
        here = after.setdefault(labels, {})
        if what == "add":
            assert rrtype is not None
            rdata = RDATA[rrtype][number % len(RDATA[rrtype])]
            change.add(wire(labels) + ZONE, rrtype, number, rdata)
            _, rrs = here.get(rrtype, (0, []))
            here[rrtype] = number, rrs if rdata in rrs else [*rrs, rdata]
        elif rrtype is None:
            change.remove(wire(labels) + ZONE)
            here.clear()
        elif number == 3:
            change.remove(wire(labels) + ZONE, rrtype)
            here.pop(rrtype, None)
        else:
            rdata = RDATA[rrtype][number % len(RDATA[rrtype])]
            change.remove(wire(labels) + ZONE, rrtype, rdata)
            if rrtype in here:
                ttl_s, rrs = here[rrtype]
                here[rrtype] = ttl_s, [one for one in rrs if one != rdata]
                if not here[rrtype][1]:
                    del here[rrtype]
    return change, {labels: sets for labels, sets in after.items() if sets}


@settings(max_examples=200, deadline=None)
@given(st.lists(STEP, max_size=10), st.lists(NAME, max_size=4))
def test_changes_end_where_a_dictionary_ends(steps: list[Any], asked: list[Labels]) -> None:
    """Zones replaced, changed, removed and taken over, while a reader stays at the version that it began at."""
    store = Store(1 << 20)
    store_writer = Writer(store)
    writer = ZoneWriter(store_writer, SOURCE)
    content: Content | None = None
    view: _reading.View | None = None
    seen: Content = {}
    changes_seen = 0
    for what, how in steps:
        if what == "replace":
            content = dict(how)
            publish(writer, content)
            changes_seen += 1
        elif what == "apply" and content is not None:
            change, content = changed(content, how)
            writer.apply(change)
            changes_seen += 1
        elif what == "remove":
            assert writer.remove(ZONE) == (content is not None)
            content = None
            changes_seen += 1
        elif what == "succeed":
            store_writer = Writer(store)
            writer = ZoneWriter(store_writer, SOURCE)
        elif what == "read" and view is None and content is not None:
            view = _reading.View(store, SOURCE, ZONE, READER)
            seen, changes_seen = content, 0
        if content is None:
            assert _reading.serial(store, SOURCE, ZONE) is None
        else:
            assert_equal(store, content, asked=asked)
        if view is not None:
            # The order is of the version; so is each name that has not changed twice since.
            assert view.names() == [wire(labels) for labels in sorted(seen, key=order)]
            if changes_seen <= 1:
                for labels in [*seen, *asked]:
                    assert view.rrsets(wire(labels)) == seen.get(labels)
                    assert view.lookup(wire(labels) + ZONE) == lookup(seen, labels)[0]
    if view is not None:
        view.close()
    assert writer.settle() == 0
    assert_clean(store, {} if content is None else {ZONE: content})
    if content is not None:
        assert_equal(store, content, asked=asked)


# Many names


def many(count: int, seed: int) -> Content:
    chance = random.Random(seed)
    made: Content = {(): {SOA: (300, [soa(1)])}}
    while len(made) < count:
        depth = chance.choice((1, 1, 2, 3))
        labels = tuple(b"%x" % chance.randrange(1 << chance.choice((4, 12, 30))) for _ in range(depth))
        made[labels] = {A: (60, [chance.randbytes(4)])}
    return made


@pytest.mark.parametrize("seed", range(3))
def test_a_large_zone_and_its_changes(seed: int) -> None:
    """Chunks split, shrink, join and go; the order stays right."""
    chance = random.Random(seed)
    store = Store(32 << 20)
    writer = ZoneWriter(Writer(store), SOURCE)
    content = many(5000, seed)
    publish(writer, content)
    for turn in range(12):
        names = sorted(content, key=order)
        change = Change(ZONE)
        if turn % 3 == 0:
            # A row of neighbours goes.
            at = chance.randrange(len(names) // 2)
            gone = [one for one in names[at : at + len(names) // 5] if one]
            for labels in gone:
                change.remove(wire(labels) + ZONE)
                del content[labels]
        elif turn % 3 == 1:
            # Many come at one place, and few everywhere.
            base = chance.choice(names[1:])
            for number in range(600):
                labels = (b"%05d" % number, *base) if number % 2 else (b"%x" % chance.randrange(1 << 40),)
                if len(wire(labels)) < 200:
                    change.add(wire(labels) + ZONE, A, 60, b"\1\2\3\4")
                    content[labels] = {A: (60, [b"\1\2\3\4"])}
        else:
            content = {labels: sets for labels, sets in content.items() if not labels or chance.random() < 0.7}
            publish(writer, content)
        if change.steps:
            writer.apply(change)
        asked = [tuple(b"%x" % chance.randrange(1 << 12) for _ in range(2)) for _ in range(20)]
        sample = chance.sample(sorted(content), 60)
        ordered = sorted(content, key=order)
        assert _reading.names(store, SOURCE, ZONE) == [wire(labels) for labels in ordered]
        for labels in [*asked, *sample]:
            kind, about, here = lookup(content, labels)
            assert _reading.lookup(store, SOURCE, wire(labels) + ZONE) == (ZONE, kind, wire(about) + ZONE, here)
        assert writer.counts(ZONE)[:2] == (len(content), len(content))
        assert_clean(store, {ZONE: content})
    chunks = [payload for _, payload in store.items(SOURCE.to_bytes(2, "big") + b"O")]
    assert sum(map(len, chunks)) / len(chunks) > 600, "chunks stay of a useful size"


def test_names_are_bytes_not_text() -> None:
    """RFC 4034 section 6.1's own example."""
    example = [
        b"", b"\1a", b"\x08yljkjljk\1a", b"\1Z\1a", b"\4zABC\1a", b"\1z", b"\1\1\1z", b"\1*\1z", b"\1\xc8\1z",
    ]  # fmt: skip
    shuffled = [name.lower() for name in example]
    random.Random(3).shuffle(shuffled)
    assert _reading.canonical(shuffled) == [name.lower() for name in example]


# Zones of a source


def test_the_longest_zone_answers() -> None:
    store = Store(1 << 20)
    writer = ZoneWriter(Writer(store), SOURCE)
    for text in (".", "test.", "a.zone.test.", "zone.test."):
        publish(writer, {(): {A: (1, [b"\0\0\0\1"])}}, absolute(text))
    publish(ZoneWriter(Writer(store), SOURCE + 2), {(): {A: (1, [b"\0\0\0\1"])}}, absolute("b.zone.test."))
    for name, zone in {
        "a.zone.test.": "a.zone.test.", "x.a.zone.test.": "a.zone.test.", "xa.zone.test.": "zone.test.",
        "b.zone.test.": "zone.test.", "zone.test.": "zone.test.", "test.": "test.", "org.": ".", ".": ".",
    }.items():  # fmt: skip
        assert _reading.zone_of(store, SOURCE, absolute(name)) == absolute(zone), name
    assert writer.remove(absolute("zone.test."))
    assert not writer.remove(absolute("zone.test."))
    assert _reading.zone_of(store, SOURCE, absolute("b.zone.test.")) == absolute("test.")
    assert sorted(writer.zones()) == sorted(map(absolute, (".", "test.", "a.zone.test.")))
    assert _reading.zones(store, SOURCE) == sorted(writer.zones())
    assert _reading.zones(store, SOURCE + 2) == [absolute("b.zone.test.")]
    assert sorted(ZoneWriter(Writer(store), SOURCE).zones()) == sorted(writer.zones())


def test_a_zone_that_is_removed_and_comes_back_while_a_reader_is_in_it() -> None:
    store = Store(1 << 20)
    writer = ZoneWriter(Writer(store), SOURCE)
    content: Content = {(b"a",): {A: (1, [b"\0\0\0\1"])}}
    publish(writer, content)
    view = _reading.View(store, SOURCE, ZONE, READER)
    writer.remove(ZONE)
    other: Content = {(b"b",): {A: (1, [b"\0\0\0\2"])}}
    publish(writer, other)
    assert view.names() == [b"\1a"] and view.rrsets(b"\1a") == content[(b"a",)] and view.rrsets(b"\1b") is None
    assert_equal(store, other)
    assert writer.unsettled == 2
    view.close()
    assert writer.settle() == 0
    assert_clean(store, {ZONE: other})


# Serials and history


def with_serial(serial: int, **names: bytes) -> Content:
    content: Content = {(): {SOA: (300, [soa(serial)])}}
    for name, address in names.items():
        content[(name.encode(),)] = {A: (60, [address])}
    return content


def test_a_history_leads_from_serial_to_serial() -> None:
    store = Store(1 << 20)
    writer = ZoneWriter(Writer(store), SOURCE)
    publish(writer, with_serial(1, a=b"\0\0\0\1", b=b"\0\0\0\2"))
    assert _reading.serial(store, SOURCE, ZONE) == 1
    assert _reading.changes(store, SOURCE, ZONE, 1) is None
    publish(writer, with_serial(2, a=b"\0\0\0\1", c=b"\0\0\0\3"))
    change = Change(ZONE)
    change.remove(ZONE, SOA)
    change.add(ZONE, SOA, 300, soa(5))
    change.add(b"\1a" + ZONE, A, 60, b"\0\0\0\4")
    assert writer.apply(change) == (2, {})
    assert _reading.serial(store, SOURCE, ZONE) == 5
    assert _reading.changes(store, SOURCE, ZONE, 1) == (
        2,
        [(b"", SOA, 300, soa(1)), (b"\1b", A, 60, b"\0\0\0\2")],
        [(b"", SOA, 300, soa(2)), (b"\1c", A, 60, b"\0\0\0\3")],
    )
    expected = (5, [(b"", SOA, 300, soa(2))], [(b"", SOA, 300, soa(5)), (b"\1a", A, 60, b"\0\0\0\4")])
    assert _reading.changes(store, SOURCE, ZONE, 2) == expected
    # A successor goes on with it.
    writer = ZoneWriter(Writer(store), SOURCE)
    assert _reading.changes(store, SOURCE, ZONE, 2) == expected
    assert writer.counts(ZONE)[2] == 2
    publish(writer, with_serial(5, a=b"\0\0\0\5"))
    assert _reading.changes(store, SOURCE, ZONE, 2) is None, "the zone changed, and its serial did not"
    assert not store.items(SOURCE.to_bytes(2, "big") + b"H")


def test_a_history_is_bounded_in_number_and_bytes() -> None:
    store = Store(1 << 20)
    writer = ZoneWriter(Writer(store), SOURCE, max_changes=3, max_change_bytes=1000)
    for serial in range(1, 10):
        publish(writer, with_serial(serial, a=serial.to_bytes(4, "big")))
        assert writer.counts(ZONE)[2] == min(serial - 1, 3)
    assert [serial for serial in range(12) if _reading.changes(store, SOURCE, ZONE, serial)] == [6, 7, 8]
    assert len(store.items(SOURCE.to_bytes(2, "big") + b"H")) == 3
    large = with_serial(10, **{f"n{number}": b"\1\2\3\4" for number in range(100)})
    publish(writer, large)
    assert writer.counts(ZONE)[2] == 0, "a change that is larger than the history ends it"
    publish(writer, {**large, (): {SOA: (300, [soa(11)])}})
    assert writer.counts(ZONE)[2] == 1
    sizes = [len(payload) for _, payload in store.items(SOURCE.to_bytes(2, "big") + b"H")]
    assert sum(sizes) <= 1000


def test_a_change_set_that_was_not_completed_does_not_cost_the_next_one() -> None:
    store = Store(1 << 20)
    store_writer = Writer(store)
    writer = ZoneWriter(store_writer, SOURCE)
    publish(writer, with_serial(1, a=b"\0\0\0\1"))
    publish(writer, with_serial(2, a=b"\0\0\0\2"))
    ((key, payload),) = store.items(SOURCE.to_bytes(2, "big") + b"H")
    # As a writer leaves it that dies before the zone's head.
    number = int.from_bytes(key[-4:], "little") + 1
    store_writer.publish(key[:-4] + number.to_bytes(4, "little"), payload)
    view = _reading.View(store, SOURCE, ZONE, READER)
    writer = ZoneWriter(Writer(store), SOURCE)
    publish(writer, with_serial(3, a=b"\0\0\0\3"))
    view.close()
    assert writer.settle() == 0
    assert [serial for serial in range(5) if _reading.changes(store, SOURCE, ZONE, serial)] == [1, 2]
    assert len(store.items(SOURCE.to_bytes(2, "big") + b"H")) == 2


def test_without_soa_versions_are_the_serial() -> None:
    store = Store(1 << 20)
    writer = ZoneWriter(Writer(store), SOURCE)
    publish(writer, {(b"a",): {A: (1, [b"\0\0\0\1"])}})
    first = _reading.serial(store, SOURCE, ZONE)
    publish(writer, {(b"a",): {A: (1, [b"\0\0\0\1"])}})
    assert _reading.serial(store, SOURCE, ZONE) == first, "nothing changed"
    publish(writer, {(b"a",): {A: (2, [b"\0\0\0\1"])}})
    assert first is not None and _reading.serial(store, SOURCE, ZONE) == first + 1
    publish(writer, {(b"a",): {A: (3, [b"\0\0\0\1"])}}, serial=77)
    assert _reading.serial(store, SOURCE, ZONE) == 77


# Bounds


@pytest.mark.parametrize(
    ("owner", "rrtype", "rdata", "why"),
    [
        (absolute("other.test."), A, b"\0\0\0\1", "it is not in the zone"),
        (absolute("xzone.test."), A, b"\0\0\0\1", "it is not in the zone"),
        (b"\5ab", A, b"\0\0\0\1", "its owner is no domain name"),
        (b"\x40" + b"a" * 64 + ZONE, A, b"\0\0\0\1", "its owner is no domain name"),
        (ZONE, A, b"\0\0\0", "its rdata has not the form of its type"),
        (ZONE, AAAA, b"\0\0\0\1", "its rdata has not the form of its type"),
        (ZONE, NS, b"\3abc", "its rdata has not the form of its type"),
        (ZONE, NS, b"\1a\0x", "its rdata has not the form of its type"),
        (ZONE, NS, b"\xc0\x0c", "its rdata has not the form of its type"),
        (ZONE, 15, b"\0\1", "its rdata has not the form of its type"),
        (ZONE, SOA, absolute("a.b.") + bytes(20), "its rdata has not the form of its type"),
        (ZONE, TXT, bytes(65535), "its rdata is too long"),
    ],
)
def test_what_cannot_be_kept_is_left_out_and_counted(owner: bytes, rrtype: int, rdata: bytes, why: str) -> None:
    draft = Draft(ZONE)
    assert not draft.add(owner, rrtype, 1, rdata)
    assert draft.left_out == {why: 1} and len(draft) == 0
    assert draft.examples == [(owner, rrtype, why)]


def test_an_rrset_has_no_more_than_a_message_holds() -> None:
    store = Store(16 << 20)
    writer = ZoneWriter(Writer(store), SOURCE)
    draft = Draft(ZONE)
    for number in range(10_000):
        draft.add(b"\1a" + ZONE, A, 1, number.to_bytes(4, "big"))
        draft.add(b"\1a" + ZONE, A, 1, (number // 2).to_bytes(4, "big"))
        draft.add(b"\1b" + ZONE, TXT, 1, number.to_bytes(250, "big"))
    for rrtype in range(1000, 1100):
        draft.add(b"\1c" + ZONE, rrtype, 1, bytes(20_000))
    writer.replace(draft)
    found = _reading.rrsets(store, SOURCE, ZONE, b"\1a")
    assert found is not None and found[A][1] == [number.to_bytes(4, "big") for number in range(4096)]
    found = _reading.rrsets(store, SOURCE, ZONE, b"\1b")
    assert found is not None and len(found[TXT][1]) == 65000 // 252
    found = _reading.rrsets(store, SOURCE, ZONE, b"\1c")
    assert found is not None and len(found) == (1 << 20) // 20_012
    assert draft.left_out["its name has over 1 MiB of RRs"] == 100 - len(found)
    assert draft.left_out["its RRset is too large for a message"] > 10_000


def test_a_zone_of_too_many_names_is_refused_whole() -> None:
    store = Store(1 << 20)
    writer = ZoneWriter(Writer(store), SOURCE, max_names=3)
    content: Content = {(b"%d" % number,): {A: (1, [b"\0\0\0\1"])} for number in range(3)}
    publish(writer, content)
    for labels in ((b"a",), (b"0", b"0")):
        with pytest.raises(SourceError, match="names; at most 3 are served"):
            publish(writer, {**content, labels: {A: (1, [b"\0\0\0\1"])}})
        assert_equal(store, content)
    with pytest.raises(SourceError, match="names; at most 3 are served"):
        publish(writer, {**content, (b"x",): content[(b"1",)]}, absolute("new.test."))
    writer.settle()
    assert_clean(store, {ZONE: content})
    others: Content = {(b"%d" % number, b"a"): {A: (1, [b"\0\0\0\1"])} for number in range(3)}
    publish(writer, others)
    assert_equal(store, others)
    with pytest.raises(SourceError, match="no zone"):
        writer.apply(Change(absolute("none.test.")))


def test_a_full_store_keeps_what_was_published() -> None:
    store = Store(1 << 20)
    writer = ZoneWriter(Writer(store), SOURCE)
    content = many(500, 1)
    publish(writer, content)
    for grown in ({**content, **many(20_000, 2)}, {labels: {TXT: (9, [bytes(2400)])} for labels in content}):
        with pytest.raises(StoreFull):
            publish(writer, grown)
        assert_equal(store, content, asked=[(b"no",), *list(many(50, 3))])
        writer.settle()
        assert_clean(store, {ZONE: content})
    change = Change(ZONE)
    change.add(b"\3new" + ZONE, A, 1, b"\1\1\1\1")
    writer.apply(change)
    content[(b"new",)] = {A: (1, [b"\1\1\1\1"])}
    assert_equal(store, content)
    with pytest.raises(StoreFull):
        publish(writer, many(50_000, 4), absolute("other.test."))
    assert_clean(store, {ZONE: content})


@pytest.mark.parametrize("seed", range(4))
def test_readers_do_not_trust_what_they_read(seed: int) -> None:
    """Whatever bytes a record has, reading ends, and within the record (the sanitizers see to that)."""
    chance = random.Random(seed)
    store = Store(4 << 20)
    store_writer = Writer(store)
    writer = ZoneWriter(store_writer, SOURCE)
    content = {**many(400, seed), (b"sub",): {NS: (1, RDATA[NS])}, (b"*", b"w"): {TXT: (1, RDATA[TXT])}}
    publish(writer, content)
    view = _reading.View(store, SOURCE, ZONE, READER)
    changed = {**content, (): {SOA: (300, [soa(2)])}, (b"sub",): {A: (1, RDATA[A]), NS: (1, RDATA[NS])}}
    publish(writer, changed)
    view.close()
    records = store.items(SOURCE.to_bytes(2, "big"))
    asked = [*chance.sample(sorted(content), 20), (b"a", b"sub"), (b"x", b"w"), (b"zz",), (b"0",)]
    for _ in range(200):
        kind = chance.choice((b"Z", b"D", b"O", b"R", b"H"))
        key, payload = chance.choice([one for one in records if one[0][2:3] == kind])
        broken = bytearray(payload)
        for _ in range(chance.randrange(1, 4)):
            at = chance.randrange(len(broken)) if broken else 0
            if chance.random() < 0.2:
                del broken[at:]
            elif broken:
                broken[at] = chance.choice((0, 1, 0xFF, 0x80, broken[at] ^ 1 << chance.randrange(8)))
        store_writer.publish(key, bytes(broken))
        for labels in asked:
            with contextlib.suppress(AssertionError):
                _reading.lookup(store, SOURCE, wire(labels) + ZONE)
            with contextlib.suppress(AssertionError):
                _reading.around(store, SOURCE, ZONE, wire(labels))
        for read in (_reading.names, _reading.last, lambda *where: _reading.changes(*where, 1)):
            with contextlib.suppress(AssertionError):
                read(store, SOURCE, ZONE)
        if seed % 2:
            # A successor reads it, too, and sweeps what it leads to no more.
            with contextlib.suppress(SourceError):
                publish(ZoneWriter(store_writer, SOURCE), content)
        store_writer.publish(key, payload)
    if not seed % 2:
        assert_equal(store, changed)


# What a source is to remember of a zone


def test_a_memo_lives_as_long_as_its_zone() -> None:
    """A successor finds it; it is gone with the zone, and one without a zone is dropped."""
    store = Store(1 << 20)
    content: Content = {(b"a",): {A: (60, [b"\1\1\1\1"])}}
    other = absolute("other.test.")
    writer = ZoneWriter(Writer(store), SOURCE)
    with pytest.raises(KeyError):
        writer.remember(ZONE, b"nothing is served")
    for zone in (ZONE, other):
        publish(writer, content, zone)
        writer.remember(zone, b"memo of " + zone)
    assert writer.remembered(absolute("none.")) is None
    successor = ZoneWriter(Writer(store), SOURCE)
    assert successor.remembered(ZONE) == b"memo of " + ZONE
    successor.remove_all([ZONE, absolute("none.")])
    assert (ZONE in successor, other in successor) == (False, True)
    assert successor.remembered(ZONE) is None
    successor.settle()
    assert_clean(store, {other: content})
    successor.writer.publish(successor.memo_key(ZONE), b"of no zone")
    ZoneWriter(Writer(store), SOURCE)
    assert [key for key, _ in store.items(SOURCE.to_bytes(2, "big") + b"M")] == [successor.memo_key(other)]


def test_zones_that_are_being_replaced_are_not_removed() -> None:
    store = Store(1 << 20)
    writer = ZoneWriter(Writer(store), SOURCE)
    publish(writer, {(b"a",): {A: (60, [b"\1\1\1\1"])}})
    replacement = writer.replacement(Draft(ZONE))
    writer.remove_all([ZONE])
    assert ZONE in writer
    replacement.give_up()
    writer.remove_all([ZONE])
    writer.settle()
    assert_clean(store, {})


def test_names_of_some_records_and_names_without_any() -> None:
    """A draft of the names that change."""
    store = Store(1 << 20)
    writer = ZoneWriter(Writer(store), SOURCE)
    content: Content = {(name,): {A: (60, [b"\1\1\1\1"])} for name in (b"a", b"b", b"c")}
    publish(writer, content)
    draft = Draft(ZONE)
    draft.add_gone(b"\1A" + ZONE)
    draft.add(b"\1b" + ZONE, A, 5, b"\2\2\2\2")
    with pytest.raises(ValueError, match="no name of the zone"):
        draft.add_gone(absolute("other.test."))
    replacement = Replacement(writer, draft, None, False)
    while not replacement.step(1_000_000):
        pass
    writer.settle()
    del content[(b"a",)]
    content[(b"b",)] = {A: (5, [b"\2\2\2\2"])}
    assert_equal(store, content)
    assert writer.rrsets(ZONE, b"\1b") == content[(b"b",)]
