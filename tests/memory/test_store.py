"""The zone store against a dictionary: the published is found, the removed is gone, space comes back."""

import os
import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fastdns.errors import StoreFull
from fastdns.memory._store import Store, Writer

pytestmark = pytest.mark.native

keys = st.binary(min_size=1, max_size=40)
operations = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), keys, st.binary(max_size=600)),
        st.tuples(st.just("remove"), keys, st.just(b"")),
        st.tuples(st.just("reclaim"), st.just(b"k"), st.just(b"")),
        st.tuples(st.just("succeed"), st.just(b"k"), st.just(b"")),
    ),
    max_size=200,
)


@settings(max_examples=150, deadline=None)
@given(operations)
def test_store_equals_a_dictionary(steps):
    store = Store(1 << 20)
    writer = Writer(store)
    model: dict[bytes, bytes] = {}
    for what, key, payload in steps:
        if what == "publish":
            writer.publish(key, payload)
            model[key] = payload
        elif what == "remove":
            assert writer.remove(key) == (model.pop(key, None) is not None)
        elif what == "reclaim":
            writer.reclaim()
        else:
            writer = Writer(store)
        assert store.records == len(model)
    assert dict(store.items()) == model
    for key, payload in model.items():
        assert store.get(key) == payload


def test_growth_keeps_every_record():
    store = Store(64 << 20)
    writer = Writer(store)
    for n in range(50_000):
        writer.publish(b"key-%d" % n, b"value-%d" % n)
    for n in range(0, 50_000, 7):
        assert store.get(b"key-%d" % n) == b"value-%d" % n
    assert store.records == 50_000


def test_churn_reuses_space():
    store = Store(4 << 20)
    writer = Writer(store)
    for n in range(200_000):
        writer.publish(b"key-%d" % (n % 500), b"x" * (n % 300))
        if n % 50 == 0:
            writer.reclaim()
    assert store.high_water_bytes < 1 << 20


def test_full_store_says_so_and_serves_on():
    store = Store(1 << 20)
    writer = Writer(store)
    with pytest.raises(StoreFull, match="FASTDNS_STORE_MIB"):
        for n in range(10_000):
            writer.publish(b"key-%d" % n, b"x" * 1000)
    assert store.get(b"key-0") == b"x" * 1000
    held = store.records
    for n in range(held // 2):
        assert writer.remove(b"key-%d" % n)
    writer.reclaim()
    writer.publish(b"again", b"y" * 1000)
    assert store.get(b"again") == b"y" * 1000


def test_a_successor_finds_what_its_predecessor_published_and_the_space_it_left():
    store = Store(1 << 20)
    Writer(store).publish(b"kept", b"1")
    for _ in range(100):
        writer = Writer(store)
        writer.reclaim()
        writer.publish(b"other", b"z" * 20_000)
    assert store.get(b"kept") == b"1"
    assert store.get(b"other") == b"z" * 20_000


# What is taken beside twice of what is used: the header, the segment that is being filled, what is kept free.
FIXED_BYTES = 256 << 10


def assert_bounded(store: Store) -> None:
    """What the kernel holds for a store is within twice of what its records and their index use."""
    assert store.taken_bytes <= 2 * store.used_bytes + FIXED_BYTES, (store.taken_bytes, store.used_bytes)
    # The writer's own count has all of the tables before the records, of which the kernel has what is used. It
    # has all free pages that are kept, an eighth of what is used at most; some may never have been written.
    assert store.taken_bytes <= store.resident_bytes
    assert store.resident_bytes <= store.taken_bytes + 2 * FIXED_BYTES + store.used_bytes // 8


phases = st.lists(
    st.tuples(
        st.sampled_from(["grow", "shrink", "remove", "keep few", "succeed"]),
        st.integers(1, 400),  # keys
        st.sampled_from([30, 300, 3000, 7900, 8200, 30_000]),  # the largest payload
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=60, deadline=None)
@given(phases, st.integers(0, 1 << 32))
@example([("grow", 261, 30_000), ("succeed", 219, 30)], 8)
def test_what_is_taken_stays_within_twice_of_what_is_used(steps: list[tuple[str, int, int]], seed: int) -> None:
    """However records grow and shrink, and in the midst of it, with whatever order of sizes."""
    chance = random.Random(seed)
    store = Store(64 << 20)
    writer = Writer(store)
    model: dict[bytes, bytes] = {}
    for what, count, most in steps:
        for number in range(count):
            key = b"key-%d" % number
            if what == "grow":
                model[key] = model.get(key, b"") + bytes([number % 256]) * chance.randrange(most)
            elif what == "shrink":
                model[key] = model.get(key, b"")[: chance.randrange(most)]
            elif what == "remove" or (what == "keep few" and number % 17):
                model.pop(key, None)
            if key in model:
                writer.publish(key, model[key])
            else:
                writer.remove(key)
            if number % 50 == 0:
                assert_bounded(store)
        if what == "succeed":
            writer = Writer(store)
        writer.reclaim()
        assert_bounded(store)
        assert dict(store.items()) == model


def test_a_record_that_grows_by_a_reference_at_a_time_takes_what_it_is() -> None:
    """6,000 Services at one address: each size of the list left a block that nothing else could use."""
    store = Store(64 << 20)
    writer = Writer(store)
    for count in range(1, 6000):
        writer.publish(b"address", b"reference" * count)
    assert_bounded(store)


def test_an_index_shrinks_with_its_records() -> None:
    store = Store(64 << 20)
    writer = Writer(store)
    for number in range(60_000):
        writer.publish(b"key-%d" % number, b"")
    for number in range(59_990):
        writer.remove(b"key-%d" % number)
    writer.reclaim()
    assert store.taken_bytes <= FIXED_BYTES
    assert store.get(b"key-59995") == b""
    assert store.records == 10


def test_a_reader_keeps_what_it_may_see_and_nothing_else_for_longer() -> None:
    """Records that are moved are copies: a reader that stands on the old one sees it whole until it leaves."""
    store = Store(8 << 20)
    writer = Writer(store)
    for number in range(4000):
        writer.publish(b"key-%d" % number, b"x" * 500)
    store.enter_reader(7)
    for number in range(4000):
        if number % 10:
            writer.remove(b"key-%d" % number)
    assert writer.reclaim() > 0
    assert store.taken_bytes > 2_000_000
    store.clear_reader(7)
    assert writer.reclaim() == 0
    assert_bounded(store)
    assert all(store.get(b"key-%d" % number) == b"x" * 500 for number in range(0, 4000, 10))


def test_a_writer_without_the_descriptor_gives_pages_back() -> None:
    """The watcher is forked, and has closed every descriptor that it does not need."""
    store = Store(64 << 20)
    descriptor = os.dup(store.fd)
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(null, store.fd)
    os.close(null)
    try:
        writer = Writer(store)
        for number in range(200):
            writer.publish(b"key-%d" % number, b"x" * 20_000)
        for number in range(200):
            writer.remove(b"key-%d" % number)
        writer.reclaim()
        assert os.fstat(descriptor).st_blocks * 512 <= FIXED_BYTES
    finally:
        os.close(descriptor)


def test_states_of_sources_take_memory_only_where_they_are_used() -> None:
    store = Store(1 << 20)
    writer = Writer(store)
    before = store.taken_bytes
    assert [store.source(number) for number in (0, 5, 65535)] == [(False, 0, 0)] * 3
    assert store.restored_at(65535) == 0
    assert store.taken_bytes == before, "a look at a source that nobody has written"
    for number in range(64):
        writer.set_source(number, soa_serial=number + 1)
    assert store.taken_bytes == before + 4096
    writer.set_source(65535, synced=True)
    assert store.taken_bytes == before + 2 * 4096
    assert store.source(63) == (False, 64, 1) and store.source(65535) == (True, 0, 0)
    for number in (-1, 65536):
        with pytest.raises((IndexError, OverflowError)):
            writer.set_source(number, synced=True)


def test_sources_are_those_with_records_or_a_state() -> None:
    store = Store(1 << 20)
    writer = Writer(store)
    assert store.sources() == []
    writer.publish(b"\0\4a", b"")
    writer.publish(b"\x81\2a", b"")
    writer.publish(b"\x81\2b", b"")
    writer.publish(b"x", b"of no source: its key is too short")
    writer.set_source(9, synced=True)
    assert store.sources() == [4, 9, 0x8102]


def test_a_source_is_removed_whole_and_alone() -> None:
    store = Store(8 << 20)
    writer = Writer(store)
    for number in range(20_000):
        writer.publish(b"\1\2%d" % number, b"x" * 60)
        if number % 100 == 0:
            writer.publish(b"\1\3%d" % number, b"y" * 60)
    others = dict(store.items(b"\1\3"))
    writer.remove_source(0x0102)
    assert dict(store.items()) == others and store.sources() == [0x0103]
    writer.reclaim()
    assert_bounded(store)
    writer.remove_source(0x0102)
    assert dict(store.items()) == others
