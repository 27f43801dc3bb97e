"""The shared cache against a dictionary, within its bounds, with spoiled memory, and under writers that stall."""

from __future__ import annotations

import contextlib
import mmap
import os
import random
import struct
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from fastdns.plugins.cache._cache import MAX_CAPACITY, MAX_RING_BYTES, MIN_RING_BYTES, Cache, Draft
from tests.plugins.cache.ring import RECORD_HEADER_BYTES, record_bytes

pytestmark = pytest.mark.native

NS = 1_000_000_000
START_NS = 5_000 * NS
# Offsets in the mapping: where the success half's header says where its ring is, that ring's head, the end of both
# headers.
RING_OFFSET_AT = 88
HEAD_AT = 128
HEADER_BYTES = INDEX_AT = 320 + 8 * 4096
WAYS = 8
TAG_MASK = (1 << 20) - 1


# Against a dictionary


class Model(RuleBasedStateMachine):
    """A cache, and a dictionary of what was last stored under each key: (payload, ttl_s, stored_ns).

    The cache may have forgotten; it may never be wrong. Where nothing can have been forgotten it must remember.
    """

    capacity = 4096
    ring_bytes = 8 << 20
    forgets = False
    max_payload = 2000

    @initialize()
    def make(self) -> None:
        self.cache = Cache(self.capacity, self.capacity, self.ring_bytes, self.ring_bytes)
        self.now_ns = START_NS
        self.model: dict[tuple[str, bytes], tuple[bytes, int, int]] = {}

    @rule(
        half=st.sampled_from(["success", "denial"]),
        key=st.integers(0, 6),
        size=st.integers(0, 100),
        ttl_s=st.integers(0, 20),
    )
    def put(self, half: str, key: int, size: int, ttl_s: int) -> None:
        payload = random.Random(size).randbytes(size * self.max_payload // 100)
        assert self.cache.put(half, b"key-%d" % key, payload, ttl_s, self.now_ns) != "refused"
        self.model[half, b"key-%d" % key] = payload, ttl_s, self.now_ns
        assert self.seen(half, b"key-%d" % key, stale_s=1) == (payload, ttl_s)

    @rule(half=st.sampled_from(["success", "denial"]), key=st.integers(0, 6))
    def remove(self, half: str, key: int) -> None:
        self.cache.remove(half, b"key-%d" % key)
        self.model.pop((half, b"key-%d" % key), None)

    @rule(ms=st.integers(0, 12_000))
    def wait(self, ms: int) -> None:
        self.now_ns += ms * 1_000_000

    @rule(ms=st.integers(1, 3_000))
    def look_from_a_thread_whose_clock_was_read_before(self, ms: int) -> None:
        before = self.now_ns - ms * 1_000_000
        for (half, key), (payload, ttl_s, stored_ns) in self.model.items():
            if stored_ns == self.now_ns and ttl_s:
                assert self.cache.get(half, key, before) in (None, (payload, ttl_s))

    def seen(self, half: str, key: bytes, stale_s: int = 0) -> tuple[bytes, int] | None:
        return self.cache.get(half, key, self.now_ns, stale_s)

    @invariant()
    def nothing_is_wrong(self) -> None:
        if not hasattr(self, "cache"):
            return
        for half in ("success", "denial"):
            for number in range(8):
                key = b"key-%d" % number
                for stale_s in (0, 5):
                    got = self.seen(half, key, stale_s)
                    if (half, key) not in self.model:
                        assert got is None
                        continue
                    payload, ttl_s, stored_ns = self.model[half, key]
                    left_s = ttl_s - (self.now_ns - stored_ns) // NS
                    expected = (payload, left_s) if left_s > -stale_s else None
                    assert got == expected or (self.forgets and got is None)

    @precondition(lambda self: not self.forgets)
    @invariant()
    def entries_are_counted(self) -> None:
        if hasattr(self, "cache"):
            for half in ("success", "denial"):
                assert self.cache.entries(half) == sum(of == half for of, _ in self.model)


class TightModel(Model):
    """One set of eight entries, and a ring that a dozen large records fill."""

    capacity = 1
    ring_bytes = MIN_RING_BYTES
    forgets = True
    max_payload = MIN_RING_BYTES // 8 - 64


TestModel = Model.TestCase
TestModel.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
TestTightModel = TightModel.TestCase
TestTightModel.settings = settings(max_examples=60, stateful_step_count=80, deadline=None)


# Bounds


def test_entries_are_bounded_and_the_oldest_of_a_set_goes() -> None:
    cache = Cache(8, 8)
    assert cache.capacities == (8, 8)
    results = [cache.put("success", b"%d" % n, b"x", 60, START_NS) for n in range(20)]
    assert results == ["inserted"] * 8 + ["evicting"] * 12
    assert cache.entries("success") == 8
    assert [n for n in range(20) if cache.get("success", b"%d" % n, START_NS)] == list(range(12, 20))
    assert cache.entries("denial") == 0


@pytest.mark.parametrize(("capacity", "entries"), [(1, 8), (8, 8), (9, 16), (1000, 1000), (10_000, 10_000)])
def test_capacity_is_rounded_up_to_whole_sets(capacity: int, entries: int) -> None:
    assert Cache(capacity, 1).capacities == (entries, 8)


def test_an_entry_that_is_of_no_more_use_goes_before_an_older_one() -> None:
    cache = Cache(8, 8)
    for n in range(7):
        cache.put("success", b"long-%d" % n, b"x", 3600, START_NS)
    cache.put("success", b"short", b"x", 5, START_NS)
    later = START_NS + 5 * NS
    assert cache.put("success", b"new", b"x", 5, later) == "inserted"
    assert cache.get("success", b"short", later, stale_s=100) is None
    assert all(cache.get("success", b"long-%d" % n, later) for n in range(7))


def test_an_expired_entry_that_may_be_served_stale_is_of_use() -> None:
    cache = Cache(8, 8)
    for n in range(8):
        cache.put("success", b"%d" % n, b"x", 5, START_NS, stale_s=60)
    assert cache.put("success", b"new", b"x", 5, START_NS + 10 * NS) == "evicting"
    assert cache.put("success", b"newer", b"x", 5, START_NS + 65 * NS) == "inserted"


def test_replacing_a_key_evicts_nothing() -> None:
    cache = Cache(8, 8)
    for _ in range(20):
        assert cache.put("success", b"key", b"x", 60, START_NS) == "inserted"
    assert cache.entries("success") == 1


def test_bytes_are_bounded_and_the_oldest_are_overwritten() -> None:
    cache = Cache(4096, 8, MIN_RING_BYTES, MIN_RING_BYTES)
    size = record_bytes(b"00000", b"x" * 1000)
    results = [cache.put("success", b"%05d" % n, b"x" * 1000, 60, START_NS) for n in range(1000)]
    kept = [n for n in range(1000) if cache.get("success", b"%05d" % n, START_NS)]
    # What a record would not fit in at the ring's end stays empty.
    assert MIN_RING_BYTES // size - 1 <= len(kept) <= MIN_RING_BYTES // size
    assert kept == list(range(1000 - len(kept), 1000))
    assert cache.entries("success") == len(kept)
    assert cache.written_bytes("success") >= 1000 * size
    # Where a new record takes the place of one that the ring has run over, that one was evicted.
    assert results.count("evicting") > 100


def test_a_record_over_an_eighth_of_the_ring_is_refused() -> None:
    cache = Cache(64, 64, MIN_RING_BYTES, MIN_RING_BYTES)
    most = MIN_RING_BYTES // 8 - RECORD_HEADER_BYTES - len(b"key")
    assert cache.put("success", b"key", b"x" * most, 60, START_NS) == "inserted"
    assert cache.put("success", b"key", b"y" * (most + 1), 60, START_NS) == "refused"
    assert cache.get("success", b"key", START_NS) == (b"x" * most, 60)


def test_memory_is_taken_as_it_is_used() -> None:
    cache = Cache(1_000_000, 1_000_000)
    assert cache.size_bytes > 1_000_000_000
    assert os.fstat(cache.fd).st_blocks * 512 <= 16384
    for n in range(100):
        cache.put("success", b"%d" % n, b"x" * 100, 60, START_NS)
    assert os.fstat(cache.fd).st_blocks * 512 < 4 << 20


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 1), "entries"),
        ((1, 0), "entries"),
        ((MAX_CAPACITY + 1, 1), "entries"),
        ((1, 1, MIN_RING_BYTES - 1), "bytes"),
        ((1, 1, None, MAX_RING_BYTES + 1), "bytes"),
    ],
)
def test_a_size_out_of_bounds_is_refused(arguments: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Cache(*arguments)


def test_a_key_that_is_too_long_is_refused() -> None:
    cache = Cache(8, 8)
    with pytest.raises(ValueError, match="793"):
        cache.put("success", bytes(794), b"", 1, START_NS)
    with pytest.raises(ValueError, match="793"):
        cache.get("success", bytes(794), START_NS)
    assert cache.put("success", bytes(793), b"", 1, START_NS) == "inserted"
    assert cache.get("success", bytes(793), START_NS) == (b"", 1)


@pytest.mark.parametrize(("percent", "lost_percent"), [(50, 0.01), (80, 0.2), (100, 6)])
def test_nearly_all_entries_come_into_use_before_any_has_to_go(percent: int, lost_percent: float) -> None:
    capacity = 20_000
    cache = Cache(capacity, 8)
    keys = [b"%d" % n for n in range(capacity * percent // 100)]
    evictions = sum(cache.put("success", key, b"x", 60, START_NS) == "evicting" for key in keys)
    lost = sum(cache.get("success", key, START_NS) is None for key in keys)
    assert lost == evictions
    assert lost * 100 <= lost_percent * len(keys)
    assert cache.entries("success") == len(keys) - lost


# Positions


@pytest.mark.parametrize("before", [0, 64, 1000 * 64], ids=["at", "just before", "before"])
def test_the_index_outlives_the_wrap_of_its_positions(before: int) -> None:
    """An entry holds 44 bits of a position: after 2^48 bytes they begin anew."""
    cache = Cache(512, 8, MIN_RING_BYTES, MIN_RING_BYTES)
    with mapped(cache) as memory:
        struct.pack_into("=Q", memory, HEAD_AT, (1 << 48) - before)
        for n in range(1000):
            assert cache.put("success", b"%d" % n, b"x%d" % n, 60, START_NS) != "refused"
            assert cache.get("success", b"%d" % n, START_NS) == (b"x%d" % n, 60)
        assert cache.get("success", b"990", START_NS) == (b"x990", 60)


def test_an_entry_of_the_round_of_positions_before_is_no_entry() -> None:
    cache = Cache(8, 8, MIN_RING_BYTES, MIN_RING_BYTES)
    cache.put("success", b"key", b"old", 60, START_NS)
    with mapped(cache) as memory:
        # As if 2^48 bytes had been written: the entry's 44 bits mean another position now, and nothing is there.
        struct.pack_into("=Q", memory, HEAD_AT, struct.unpack_from("=Q", memory, HEAD_AT)[0] + (1 << 48))
        assert cache.get("success", b"key", START_NS) is None


# Whatever the memory holds


@contextlib.contextmanager
def mapped(cache: Cache) -> Iterator[mmap.mmap]:
    """The cache's memory, to be spoiled."""
    memory = mmap.mmap(cache.fd, cache.size_bytes)
    try:
        yield memory
    finally:
        memory.close()


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 200))
def test_spoiled_memory_is_a_miss(seed: int, count: int) -> None:
    """Any byte of index and rings may change: a reader finds nothing, or what was stored."""
    chance = random.Random(seed)
    cache = Cache(64, 8, MIN_RING_BYTES, MIN_RING_BYTES)
    stored = {b"key-%d" % n: chance.randbytes(chance.randrange(600)) for n in range(40)}
    for key, payload in stored.items():
        cache.put("success", key, payload, 60, START_NS)
    used = cache.written_bytes("success")
    with mapped(cache) as memory:
        (ring_at,) = struct.unpack_from("=Q", memory, RING_OFFSET_AT)
        for _ in range(count):
            at = chance.choice((chance.randrange(HEADER_BYTES, cache.size_bytes),
                                chance.randrange(ring_at, ring_at + used)))  # fmt: skip
            memory[at] = chance.randrange(256)
    for key, payload in stored.items():
        assert cache.get("success", key, START_NS) in (None, (payload, 60))
        cache.remove("success", key)
        cache.put("success", key, payload, 60, START_NS)
    cache.entries("success")


def test_a_record_is_not_taken_for_another_key() -> None:
    """The bytes of a whole record, copied to where another key's record lies."""
    cache = Cache(64, 8, MIN_RING_BYTES, MIN_RING_BYTES)
    cache.put("success", b"key-a", b"a" * 100, 60, START_NS)
    cache.put("success", b"key-b", b"b" * 100, 60, START_NS)
    size = record_bytes(b"key-a", b"a" * 100)
    with mapped(cache) as memory:
        at = memory.find(b"key-a") - RECORD_HEADER_BYTES
        memory[at + size : at + 2 * size] = memory[at : at + size]
    assert cache.get("success", b"key-a", START_NS) == (b"a" * 100, 60)
    assert cache.get("success", b"key-b", START_NS) is None


def test_keys_whose_tags_are_equal_are_told_apart() -> None:
    cache = Cache(1, 1)
    by_tag: dict[int, bytes] = {}
    with mapped(cache) as memory:
        while True:
            key = b"key-%d" % len(by_tag)
            cache.put("success", key, key, 60, START_NS)
            (tag,) = {entry & TAG_MASK for entry in struct.unpack_from("=8Q", memory, INDEX_AT) if entry}
            cache.remove("success", key)
            if tag in by_tag:
                break
            by_tag[tag] = key
    other = by_tag[tag]
    cache.put("success", key, key, 60, START_NS)
    assert cache.get("success", other, START_NS) is None
    cache.remove("success", other)
    cache.put("success", other, other, 60, START_NS)
    assert cache.get("success", key, START_NS) == (key, 60)
    assert cache.get("success", other, START_NS) == (other, 60)


@pytest.mark.parametrize("way", range(1, WAYS))
@pytest.mark.parametrize("first", ["old", "new"])
def test_of_two_entries_of_a_key_the_newer_is_found(way: int, first: str) -> None:
    """As two writers leave them who had both found nothing."""
    cache = Cache(8, 8)
    words = []
    with mapped(cache) as memory:
        for payload in (b"old", b"new"):
            cache.put("success", b"key", payload, 60, START_NS)
            words.append(memory[INDEX_AT : INDEX_AT + 8])
        low, high = words if first == "old" else reversed(words)
        memory[INDEX_AT : INDEX_AT + 8] = low
        memory[INDEX_AT + 8 * way : INDEX_AT + 8 * way + 8] = high
    assert cache.entries("success") == 2
    assert cache.get("success", b"key", START_NS) == (b"new", 60)
    cache.remove("success", b"key")
    assert cache.get("success", b"key", START_NS) is None


# Writers that stall


def test_a_writer_that_stalls_for_a_round_of_the_ring_spoils_at_most_what_lies_there() -> None:
    cache = Cache(1024, 8, MIN_RING_BYTES, MIN_RING_BYTES)
    sleeper = Draft(cache, "success", b"sleeper", b"z" * 3000, 60, START_NS)
    assert sleeper.reserve()
    stored = {}
    while cache.written_bytes("success") < MIN_RING_BYTES + 20_000:
        key = b"key-%d" % len(stored)
        stored[key] = key * 50
        cache.put("success", key, stored[key], 60, START_NS)
    whole = {key for key in stored if cache.get("success", key, START_NS)}
    sleeper.write()
    spoiled = {key for key in whole if cache.get("success", key, START_NS) is None}
    assert 0 < len(spoiled) <= 3000 // 350 + 2
    for key in whole - spoiled:
        assert cache.get("success", key, START_NS) == (stored[key], 60)
    # It finds out before it takes an entry from anybody.
    assert sleeper.publish() == "refused"
    assert cache.get("success", b"sleeper", START_NS) is None


def test_a_record_that_is_overwritten_between_its_halves_is_a_miss() -> None:
    cache = Cache(1024, 8, MIN_RING_BYTES, MIN_RING_BYTES)
    first = Draft(cache, "success", b"key", b"1" * 2000, 60, START_NS)
    first.reserve()
    first.write(0.5)
    assert first.publish() == "inserted"
    assert cache.get("success", b"key", START_NS) is None
    first.write()
    assert cache.get("success", b"key", START_NS) == (b"1" * 2000, 60)
    for n in range(40):
        cache.put("success", b"other-%d" % n, b"2" * 2000, 60, START_NS)
    first.write(0.5)
    assert cache.get("success", b"key", START_NS) is None


def test_two_writers_of_one_key_leave_the_newest() -> None:
    cache = Cache(8, 8, MIN_RING_BYTES, MIN_RING_BYTES)
    old = Draft(cache, "success", b"key", b"old", 60, START_NS)
    new = Draft(cache, "success", b"key", b"new", 60, START_NS)
    for draft in (old, new):
        draft.reserve()
        draft.write()
    new.publish()
    assert cache.get("success", b"key", START_NS) == (b"new", 60)
