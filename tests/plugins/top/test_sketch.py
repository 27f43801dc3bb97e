"""The sketch of who asks most, beside a counter that keeps all; what a flood, a reader and a kill do to it."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastdns.dns.names import text_name, wire_name
from fastdns.plugins.top._sketch import BOUNDS, KEPT_NAME_BYTES, MOST, Sketches, ThreadSketch
from fastdns.plugins.top.config import MAX_SIZE, MIN_SIZE
from fastdns.plugins.top.page import covered_s, name_row
from tests.support import in_child

pytestmark = pytest.mark.native

WINDOW_NS = 1_000_000_000
NOW_NS = 1000 * WINDOW_NS
SEED = 20261129


def name(number: int) -> bytes:
    return wire_name(f"name-{number}.shop.svc.cluster.local")


def made(size: int = 4096, threads: int = 1) -> tuple[Sketches, list[ThreadSketch]]:
    sketches = Sketches(threads, size, WINDOW_NS, SEED)
    return sketches, [ThreadSketch(sketches, number) for number in range(threads)]


# Who asks, of which thread, in which window. Few sets, so that they overflow.
asked = st.lists(
    st.tuples(st.integers(0, 150), st.integers(0, 1), st.integers(0, 1), st.integers(1, 50)), max_size=300
)


@settings(deadline=None, max_examples=50)
@given(asked)
def test_bounds_hold_beside_an_exact_counter(events: list[tuple[int, int, int, int]]) -> None:
    sketches, threads = made(MIN_SIZE, 2)
    exact: Counter[bytes] = Counter()
    # Time goes on.
    for who, thread, window, times in sorted(events, key=lambda event: event[2]):
        threads[thread].count("names", name(who), NOW_NS + window * WINDOW_NS, times)
        exact[name(who)] += times
    told = sketches.top("names", MOST, NOW_NS + WINDOW_NS)
    assert sketches.queries(NOW_NS + WINDOW_NS) == exact.total()
    assert len({data for data, *_ in told}) == len(told) <= 2 * 2 * MIN_SIZE
    for data, length, least, most in told:
        assert least <= exact[data] <= most and length == len(data)
    assert [least for *_, least, _ in told] == sorted((least for *_, least, _ in told), reverse=True)


def test_the_100_most_frequent_names_of_a_zipf_load_are_exact() -> None:
    """100,000 queries for 20,000 names; the k-th name is asked in proportion to 1/k."""
    sketches, (thread,) = made()
    rng = random.Random(SEED)
    weights = list(accumulate(1 / k for k in range(1, 20_001)))
    exact = Counter(rng.choices(range(20_000), cum_weights=weights, k=100_000))
    order = list(exact.elements())
    rng.shuffle(order)
    for number in order:
        thread.count("names", name(number), NOW_NS)
    told = sketches.top("names", 100, NOW_NS)
    assert [(least, most) for *_, least, most in told] == [(n, n) for _, n in exact.most_common(100)]
    assert all(exact[int(data[6 : data[0] + 1])] == least for data, _, least, _ in told)


def test_heavy_hitters_survive_a_flood_of_random_names() -> None:
    """60,000 names that come once each, and 20 that come as often as one in 300 of these."""
    sketches, (thread,) = made(1024)
    rng = random.Random(SEED)
    events = [name(number) for number in range(20)] * 200 + [rng.randbytes(9) for _ in range(60_000)]
    rng.shuffle(events)
    for data in events:
        thread.count("nxdomains", data, NOW_NS)
    told = sketches.top("nxdomains", 20, NOW_NS)
    assert {data for data, *_ in told} == {name(number) for number in range(20)}
    assert all(least <= 200 <= most for *_, least, most in told)
    assert len(sketches.top("nxdomains", MOST, NOW_NS)) <= 1024
    # A table of a window holds 1024 entries of 192 bytes and a little; nothing else ever takes memory.
    assert sketches.most_bytes < 2 * 1024 * (3 * 192 + 40 + 4 * 9) + 8192


def test_counts_are_of_this_window_and_the_one_before() -> None:
    sketches, (thread,) = made()
    thread.count("names", name(1), NOW_NS, 5)
    thread.count("names", name(2), NOW_NS + WINDOW_NS, 3)
    thread.count("names", name(1), NOW_NS + WINDOW_NS, 1)
    both = NOW_NS + WINDOW_NS
    assert [(data, least) for data, _, least, _ in sketches.top("names", 9, both)] == [(name(1), 6), (name(2), 3)]
    assert [(data, least) for data, _, least, _ in sketches.top("names", 9, both + WINDOW_NS)] == [
        (name(2), 3), (name(1), 1)
    ]  # fmt: skip
    assert sketches.top("names", 9, both + 2 * WINDOW_NS) == [] and sketches.queries(both + 2 * WINDOW_NS) == 0
    # The tables of the first window are used again.
    thread.count("names", name(3), NOW_NS + 2 * WINDOW_NS, 2)
    assert [data for data, *_ in sketches.top("names", 9, NOW_NS + 2 * WINDOW_NS)] == [name(2), name(3), name(1)]


def test_what_is_told_covers_the_window_before() -> None:
    assert covered_s(60, 1000 * 60 + 12.5, 0.0) == 72.5
    assert covered_s(60, 1000 * 60 + 12.5, 1000 * 60 + 2.0) == 10.5, "the counting began in this window"


def test_tables_know_nothing_of_each_other() -> None:
    sketches, (thread,) = made()
    thread.count("clients", b"\x0a\0\0\1", NOW_NS, 2)
    thread.count("clients", bytes(15) + b"\1", NOW_NS)
    thread.count("slow", name(1), NOW_NS)
    assert [(data, least) for data, _, least, _ in sketches.top("clients", 9, NOW_NS)] == [
        (b"\x0a\0\0\1", 2), (bytes(15) + b"\1", 1)
    ]  # fmt: skip
    assert [data for data, *_ in sketches.top("slow", 9, NOW_NS)] == [name(1)]
    assert sketches.top("names", 9, NOW_NS) == sketches.top("nxdomains", 9, NOW_NS) == []


@pytest.mark.parametrize("length", [1, 2, KEPT_NAME_BYTES, KEPT_NAME_BYTES + 1, 255])
def test_names_of_any_length(length: int) -> None:
    sketches, (thread,) = made()
    labels = bytearray()
    while len(labels) < length - 1:
        size = min(63, length - 2 - len(labels))
        labels += bytes((size,)) + b"a" * size
    whole = bytes(labels) + b"\0"
    if len(whole) != length:
        pytest.skip("no name has this length")
    thread.count("names", whole, NOW_NS)
    ((data, told_length, *_),) = sketches.top("names", 1, NOW_NS)
    assert (data, told_length) == (whole[:KEPT_NAME_BYTES], length)
    row = name_row(data, told_length, 1, 1)
    assert row.get("cut", False) == (length > KEPT_NAME_BYTES)
    assert text_name(whole).startswith(row["name"]) and len(row["name"]) >= min(length, KEPT_NAME_BYTES) - 64


def test_a_successor_goes_on_where_a_killed_thread_was() -> None:
    sketches = Sketches(1, MIN_SIZE, WINDOW_NS, SEED)

    def serve() -> None:
        thread = ThreadSketch(sketches, 0)
        for number in range(40):
            thread.count("names", name(number), NOW_NS, 3)
        thread.leave_unfinished("names", name(7))
        os.kill(os.getpid(), signal.SIGKILL)

    _, status = os.waitpid(in_child(serve), 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    left = sketches.top("names", MOST, NOW_NS)
    assert name(7) not in {data for data, *_ in left}, "its set is never at rest"
    assert len(left) >= 40 - 16 and sketches.queries(NOW_NS) == 120
    thread = ThreadSketch(sketches, 0)
    thread.count("names", name(7), NOW_NS)
    assert {(data, least) for data, _, least, _ in sketches.top("names", MOST, NOW_NS)} == {
        *((data, least) for data, _, least, _ in left), (name(7), 1)
    }  # fmt: skip


def test_readers_see_whole_entries_while_a_thread_writes() -> None:
    """Another process fills sets with names that say which hash they have: each that is told is one of them."""
    sketches = Sketches(1, MIN_SIZE, 3600 * WINDOW_NS, SEED)

    def serve() -> None:
        thread = ThreadSketch(sketches, 0)
        for number in range(10_000_000):
            data = b"%015d" % number * 11
            thread.count("names", data[: 15 * (1 + number % 11)], NOW_NS)

    pid = in_child(serve)
    try:
        seen = 0
        ends = time.monotonic() + 10
        while seen < 2000:
            assert time.monotonic() < ends, f"only {seen} entries were seen"
            for data, length, least, most in sketches.top("names", MOST, NOW_NS):
                number = int(data[:15])
                assert data == (b"%015d" % number * 11)[: 15 * (1 + number % 11)] and length == len(data)
                assert 1 <= least <= most
                seen += 1
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@pytest.mark.parametrize(
    ("threads", "size", "window_ns"),
    [(0, 64, WINDOW_NS), (9000, 64, WINDOW_NS), (1, 63, WINDOW_NS), (1, MAX_SIZE + 1, WINDOW_NS), (1, 64, 10)],
)
def test_wrong_sizes(threads: int, size: int, window_ns: int) -> None:
    with pytest.raises(ValueError, match="expected"):
        Sketches(threads, size, window_ns)


def test_the_bounds_are_those_of_the_corefile() -> None:
    assert BOUNDS == (MIN_SIZE, MAX_SIZE)
    sketches = Sketches(1, 100, WINDOW_NS)
    assert sketches.size == 112, "whole sets"
    with pytest.raises(ValueError, match="at most"):
        sketches.top("names", MOST + 1, NOW_NS)
    with pytest.raises(IndexError):
        ThreadSketch(sketches, 1)
    with pytest.raises(ValueError, match="no clients"):
        ThreadSketch(sketches, 0).count("clients", bytes(17), NOW_NS)
