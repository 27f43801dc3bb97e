"""The zone store against a dictionary: the published is found, the removed is gone, space comes back."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastdns._store import Store, Writer
from fastdns.errors import StoreFull

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
