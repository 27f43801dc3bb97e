"""The writer of zones is killed at every instruction: readers see one version or the other; a successor goes on."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from fastdns.memory._store import Store, Writer
from fastdns.rrsets._draft import Draft
from fastdns.rrsets._writer import ZoneWriter
from fastdns.rrsets.changes import Change
from tests.memory.stepping import Changes, copied, stopped
from tests.rrsets import _reading
from tests.rrsets.oracle import NS, SOA, TXT, A, Content, Labels, lookup, order, soa, wire
from tests.rrsets.test_zones import READER, SOURCE, ZONE, assert_clean, publish

pytestmark = pytest.mark.native

BEFORE: Content = {
    (): {SOA: (300, [soa(1)]), NS: (300, [b"\2ns\0"])},
    (b"stays",): {A: (60, [b"\1\1\1\1"])},
    (b"changes",): {A: (60, [b"\1\1\1\1", b"\2\2\2\2"])},
    (b"a", b"goes"): {A: (60, [b"\1\1\1\1"])},
    (b"*", b"any"): {TXT: (60, [b"\1x"])},
    **{(b"%03d" % number,): {A: (60, [b"\1\1\1\1"])} for number in range(40)},
}
AFTER: Content = {
    **BEFORE,
    (): {SOA: (300, [soa(2)]), NS: (300, [b"\2ns\0"])},
    (b"changes",): {TXT: (5, [b"\3abc"]), A: (60, [b"\3\3\3\3"])},
    (b"a", b"new"): {A: (60, [b"\1\1\1\1"])},
    (b"007",): {A: (1, [b"\1\1\1\1"])},
}
del AFTER[(b"a", b"goes")], AFTER[(b"*", b"any")]
ASKED: list[Labels] = [
    (), (b"stays",), (b"changes",), (b"goes",), (b"a", b"goes"), (b"x", b"any"), (b"new",), (b"a", b"new"),
    (b"no",), (b"007",), (b"039",),
]  # fmt: skip


def drafted(content: Content) -> Draft:
    draft = Draft(ZONE)
    for labels, sets in content.items():
        for rrtype, (ttl_s, rrs) in sets.items():
            for rdata in rrs:
                draft.add(wire(labels) + ZONE, rrtype, ttl_s, rdata)
    return draft


def difference() -> Change:
    """What makes AFTER of BEFORE."""
    change = Change(ZONE)
    for labels in BEFORE:
        if BEFORE[labels] != AFTER.get(labels):
            change.remove(wire(labels) + ZONE)
    for labels, sets in AFTER.items():
        if sets != BEFORE.get(labels):
            for rrtype, (ttl_s, rrs) in sets.items():
                for rdata in rrs:
                    change.add(wire(labels) + ZONE, rrtype, ttl_s, rdata)
    return change


def version(store: Store) -> Content | None:
    """Which of the two is served, whole; None where the zone is not there."""
    serial = _reading.serial(store, SOURCE, ZONE)
    if serial is None:
        assert _reading.lookup(store, SOURCE, ZONE) is None
        return None
    content = {1: BEFORE, 2: AFTER}[serial]
    assert _reading.names(store, SOURCE, ZONE) == [wire(labels) for labels in sorted(content, key=order)]
    for labels in ASKED:
        kind, about, here = lookup(content, labels)
        assert _reading.lookup(store, SOURCE, wire(labels) + ZONE) == (ZONE, kind, wire(about) + ZONE, here)
    return content


CASES: list[tuple[str, Content | None, Content | None]] = [
    ("a zone is replaced", BEFORE, AFTER),
    ("a change set is applied", BEFORE, AFTER),
    ("a zone comes", None, BEFORE),
    ("a zone goes", BEFORE, None),
    ("what a reader held is settled", AFTER, AFTER),
]


@pytest.mark.unsanitized("goes through a change step by step, and a sanitizer makes many more steps of it")
@pytest.mark.parametrize(("what", "before", "after"), CASES, ids=[case[0] for case in CASES])
def test_the_writer_may_die_at_any_instruction(what: str, before: Content | None, after: Content | None) -> None:
    store = Store(1 << 20)
    writer = ZoneWriter(Writer(store), SOURCE)
    draft, change = drafted(after or {}), difference()
    body: Callable[[], object]
    if what == "what a reader held is settled":
        publish(writer, BEFORE)
        view = _reading.View(store, SOURCE, ZONE, READER)
        publish(writer, AFTER)
        assert writer.unsettled and view.rrsets(b"\7changes") == BEFORE[(b"changes",)]
        view.close()
        body = writer.settle
    else:
        if before:
            publish(writer, before)
        body = {
            "a change set is applied": lambda: writer.apply(change),
            "a zone goes": lambda: writer.remove(ZONE),
        }.get(what, lambda: writer.replace(draft))
    chance = random.Random(7)
    states: list[Content | None] = []
    has_changed = Changes(store)
    with stopped(body) as step:
        while step():
            # Its names are written in a loop: all of the first states, some of the rest, and each that shows.
            if has_changed() and (
                len(states) < 60
                or chance.random() < 0.03
                or (_reading.serial(store, SOURCE, ZONE) is None) != (states[-1] is None)
                or _reading.serial(store, SOURCE, ZONE) not in (None, 1 if states[-1] is BEFORE else 2)
            ):
                seen = version(store)
                states.append(seen)
                assert seen is before or seen is after
                now = copied(store, has_changed.image)
                successor = ZoneWriter(Writer(now), SOURCE)
                assert version(now) is seen
                assert successor.settle() == 0
                assert version(now) is seen
                assert_clean(now, {} if seen is None else {ZONE: seen})
                publish(successor, AFTER if seen is BEFORE else BEFORE)
                assert version(now) is (AFTER if seen is BEFORE else BEFORE)
                assert_clean(now, {ZONE: AFTER if seen is BEFORE else BEFORE})
    assert len(states) > 5
    assert version(store) is after
    # Once it is new it does not become old again.
    if before is not after:
        assert states == sorted(states, key=lambda state: state is after)
        assert states[-1] is after and (states[0] is before or what == "a zone goes")
