"""Zones that are published in slices: bounded slices, other changes between them, and what was begun is undone."""

from __future__ import annotations

import asyncio
import gc
import random
import struct
import threading
from collections.abc import Callable

import pytest

from fastdns.errors import SourceError, StoreFull
from fastdns.memory._store import Store, Writer
from fastdns.rrsets._draft import Draft
from fastdns.rrsets._writer import ZoneWriter
from fastdns.rrsets.publishing import publish, remove
from tests.rrsets import _reading
from tests.rrsets.oracle import SOA, TXT, A, Content, absolute, order, soa, wire
from tests.rrsets.test_zones import READER, SOURCE, ZONE, assert_clean, assert_equal, many
from tests.rrsets.test_zones import publish as publish_whole

pytestmark = pytest.mark.native

OTHER = absolute("other.test.")


def drafted(content: Content, zone: bytes = ZONE) -> Draft:
    draft = Draft(zone)
    for labels, sets in content.items():
        for rrtype, (ttl_s, rrs) in sets.items():
            for rdata in rrs:
                draft.add(wire(labels) + zone, rrtype, ttl_s, rdata)
    return draft


def row(owner: bytes, rrtype: int, ttl_s: int, rdata: bytes) -> bytes:
    return struct.pack("=BHIH", len(owner), rrtype, ttl_s, len(rdata)) + owner + rdata


# Rows


def test_rows_are_added_as_one_by_one() -> None:
    content = many(300, 1)
    rows = b"".join(
        row(wire(labels) + ZONE, rrtype, ttl_s, rdata)
        for labels, sets in content.items()
        for rrtype, (ttl_s, rrs) in sets.items()
        for rdata in rrs
    )
    draft = Draft(ZONE)
    # A thread adds them and puts them in order.
    kept: list[int] = []
    thread = threading.Thread(target=lambda: (kept.append(draft.add_rows(rows)), draft.prepare()))
    thread.start()
    thread.join()
    assert kept == [300]
    store = Store(4 << 20)
    ZoneWriter(Writer(store), SOURCE).replace(draft)
    assert_equal(store, content)


def test_rows_that_cannot_be_kept_are_counted() -> None:
    draft = Draft(ZONE)
    rows = [
        row(ZONE, A, 1, b"\1\2\3\4"), row(OTHER, A, 1, b"\1\2\3\4"), row(ZONE, A, 1, b"\1"), row(b"", A, 1, b""),
        row(b"\5ab", A, 1, b"\1\2\3\4"), row(ZONE, TXT, 1, bytes(65_535)),
    ]  # fmt: skip
    assert draft.add_rows(b"".join(rows)) == 1 and draft.add_rows(b"") == 0
    assert draft.left_out == {
        "it is not in the zone": 2, "its rdata has not the form of its type": 1, "its owner is no domain name": 1,
        "its rdata is too long": 1,
    }  # fmt: skip


@pytest.mark.parametrize("size", [1, 8, 9, 12, 30])
def test_a_row_that_is_cut_off_is_an_error(size: int) -> None:
    whole = row(b"\1a" + ZONE, A, 1, b"\1\2\3\4")
    draft = Draft(ZONE)
    with pytest.raises(ValueError, match="cut off"):
        draft.add_rows(whole + whole[: min(size, len(whole) - 1)])
    assert len(draft) == 1


# Slices


def changed(content: Content, seed: int) -> Content:
    """Another zone: names gone, changed and new."""
    chance = random.Random(seed)
    other = {labels: sets for labels, sets in content.items() if not labels or chance.random() < 0.8}
    for labels in chance.sample(sorted(other), len(other) // 5):
        if labels:
            other[labels] = {A: (7, [chance.randbytes(4)]), TXT: (7, [b"\1x"])}
    return {**other, **many(len(content) // 4, seed + 100), (): {SOA: (300, [soa(seed + 2)])}}


@pytest.mark.parametrize("seed", range(3))
def test_nothing_of_a_replacement_is_seen_before_its_last_slice(seed: int) -> None:
    store = Store(16 << 20)
    store_writer = Writer(store)
    writer = ZoneWriter(store_writer, SOURCE)
    before: Content | None = None
    contents: tuple[Content, ...] = many(400, seed), changed(many(400, seed), seed), {(): {A: (1, [b"\0\0\0\1"])}}
    for content in contents:
        draft = drafted(content)
        draft.prepare()
        replacement = writer.replacement(draft)
        slices = 0
        while not replacement.step(0):
            slices += 1
            # Others of the store change meanwhile, so that records move.
            for number in range(slices % 7):
                store_writer.publish(b"\0\1k%d" % ((slices + number) % 50), bytes(number * 300))
            if slices % 13 == 0:
                store_writer.reclaim()
                if before is None:
                    assert _reading.lookup(store, SOURCE, ZONE) is None
                else:
                    assert_equal(store, before)
        assert slices >= len(content) // 16
        before = content
        assert_equal(store, content)
        while writer.settle(0):
            pass
        assert_clean(store, {ZONE: content})
        assert replacement.step(0)


def test_a_slice_ends_in_time() -> None:
    """By the count of slices: one of no time stages few names, settles few, and removes few."""
    store = Store(16 << 20)
    writer = ZoneWriter(Writer(store), SOURCE)
    publish_whole(writer, many(2000, 1))
    replacement = writer.replacement(drafted(many(2000, 2)))
    assert count(lambda: replacement.step(0)) > 4000 // 16
    assert count(lambda: writer.settle(0) == 0) > 2000 // 64
    writer.remove(ZONE, 0)
    assert _reading.zones(store, SOURCE) == []
    assert count(lambda: writer.settle(0) == 0) > 20
    assert_clean(store, {})


def count(step: Callable[[], bool]) -> int:
    """How often it is called until it is done."""
    calls = 1
    while not step():
        calls += 1
    return calls


def test_a_zone_that_is_being_replaced_is_not_changed_by_others() -> None:
    store = Store(4 << 20)
    writer = ZoneWriter(Writer(store), SOURCE)
    content = many(100, 1)
    replacement = writer.replacement(drafted(content))
    for change in (
        lambda: writer.replace(drafted(content)),
        lambda: writer.replacement(drafted(content)),
        lambda: writer.remove(ZONE),
    ):
        with pytest.raises(RuntimeError, match="being replaced"):
            change()
    publish_whole(writer, many(50, 2), OTHER)
    assert count(lambda: replacement.step(0)) > 1
    assert _reading.zones(store, SOURCE) == sorted((ZONE, OTHER))
    assert writer.remove(ZONE)


@pytest.mark.parametrize("is_new", [True, False])
@pytest.mark.parametrize("steps", [0, 1, 5, 25])
def test_what_is_given_up_is_undone(steps: int, is_new: bool) -> None:
    store = Store(4 << 20)
    writer = ZoneWriter(Writer(store), SOURCE)
    served = {} if is_new else {ZONE: many(400, 1)}
    for content in served.values():
        publish_whole(writer, content)
    replacement = writer.replacement(drafted(changed(many(400, 1), 1)))
    for _ in range(steps):
        assert not replacement.step(0)
    replacement.give_up()
    replacement.give_up()
    assert writer.settle() == 0
    assert_clean(store, served)
    publish_whole(writer, changed(many(400, 1), 2))
    assert_equal(store, changed(many(400, 1), 2))


@pytest.mark.parametrize("is_new", [True, False])
@pytest.mark.parametrize("steps", [1, 25])
def test_a_successor_puts_right_what_was_begun(steps: int, is_new: bool) -> None:
    store = Store(4 << 20)
    writer = ZoneWriter(Writer(store), SOURCE)
    served = {} if is_new else {ZONE: many(400, 1)}
    for content in served.values():
        publish_whole(writer, content)
    replacement = writer.replacement(drafted(changed(many(400, 1), 1)))
    for _ in range(steps):
        assert not replacement.step(0)
    successor = ZoneWriter(Writer(store), SOURCE)
    assert successor.settle() == 0
    assert_clean(store, served)
    for content in served.values():
        assert_equal(store, content)
    publish_whole(successor, changed(many(400, 1), 2))
    assert_equal(store, changed(many(400, 1), 2))


@pytest.mark.parametrize("is_new", [True, False])
def test_what_does_not_fit_is_undone_in_slices(is_new: bool) -> None:
    store = Store(1 << 20)
    writer = ZoneWriter(Writer(store), SOURCE, max_names=30_000)
    served = {} if is_new else {ZONE: many(400, 1)}
    for content in served.values():
        publish_whole(writer, content)
    small = {(b"%d" % number,): {A: (1, [b"\1\1\1\1"])} for number in range(3)}
    for error, content in ((StoreFull, many(20_000, 2)), (SourceError, small)):
        if error is SourceError:
            writer = ZoneWriter(Writer(store), SOURCE, max_names=2)
        replacement = writer.replacement(drafted(content))
        calls = 0
        with pytest.raises(error):
            while not replacement.step(0):
                calls += 1
        assert calls > 100 or error is SourceError
        for content in served.values():
            assert_equal(store, content)
        assert writer.settle() == 0
        assert_clean(store, served)
        assert replacement.step(0), "it has ended"


def test_readers_stay_at_their_version_while_slices_pass() -> None:
    store = Store(16 << 20)
    writer = ZoneWriter(Writer(store), SOURCE)
    before = many(300, 1)
    after = changed(before, 1)
    publish_whole(writer, before)
    replacement = writer.replacement(drafted(after))
    for _ in range(9):
        assert not replacement.step(0)
    view = _reading.View(store, SOURCE, ZONE, READER)
    assert count(lambda: replacement.step(0)) > 1
    assert_equal(store, after)
    assert view.names() == [wire(labels) for labels in sorted(before, key=order)]
    for labels, sets in before.items():
        assert view.rrsets(wire(labels)) == sets
    assert writer.settle(0) == 1
    view.close()
    assert writer.settle() == 0
    assert_clean(store, {ZONE: after})


def test_what_a_replacement_took_is_freed_at_once() -> None:
    """No cycle is left to the garbage collector, which may come late: a change of a large zone takes megabytes."""
    store = Store(4 << 20)
    writer = ZoneWriter(Writer(store), SOURCE)
    gc.collect()
    gc.disable()
    try:
        for content in (many(300, 1), changed(many(300, 1), 1)):
            publish_whole(writer, content)
        replacement = writer.replacement(drafted(many(300, 3)))
        assert not replacement.step(0)
        replacement.give_up()
        del replacement
        assert gc.collect() == 0
    finally:
        gc.enable()


# Tasks


def test_a_task_publishes_and_removes_while_the_loop_goes_on() -> None:
    store = Store(32 << 20)
    writer = ZoneWriter(Writer(store), SOURCE)
    content = many(20_000, 1)

    async def counted(ticks: list[int]) -> None:
        while True:
            ticks.append(0)
            await asyncio.sleep(0)

    async def body() -> None:
        ticks: list[int] = []
        other = asyncio.create_task(counted(ticks))
        assert await publish(writer, drafted(content)) == 20_000
        assert_equal_in_part(store, content)
        published = len(ticks)
        assert published > 5
        assert await remove(writer, ZONE)
        assert not await remove(writer, ZONE)
        other.cancel()

    asyncio.run(body())
    assert_clean(store, {})


def assert_equal_in_part(store: Store, content: Content) -> None:
    for labels in random.Random(1).sample(sorted(content), 100):
        assert _reading.rrsets(store, SOURCE, ZONE, wire(labels)) == content[labels]


def test_a_task_that_is_cancelled_undoes_what_it_has_begun() -> None:
    store = Store(32 << 20)
    writer = ZoneWriter(Writer(store), SOURCE)
    content = many(500, 1)
    publish_whole(writer, content)
    writer.settle()

    async def body() -> None:
        records = store.records
        task = asyncio.create_task(publish(writer, drafted(many(20_000, 2))))
        while store.records == records:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(body())
    assert_equal(store, content)
    writer.settle()
    assert_clean(store, {ZONE: content})
