"""The ring: what goes in comes out, once and in order, or is counted."""

from __future__ import annotations

import os
import random
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastdns.metrics._stats import Stats
from fastdns.plugins.log._ring import LogRing
from fastdns.plugins.log._step import LogStep, log_reply
from fastdns.plugins.whoami._step import WhoamiStep
from fastdns.serve._worker import Worker
from fastdns.serve._zones import ServerTable
from tests.plugins.log.support import ALL, FAST, ROOT, query, reader, ring, shown

pytestmark = pytest.mark.native

HEADER_BYTES = 64
STEP = LogStep(0, [(ROOT, ALL)])


def message(number: int, name_len: int) -> bytes:
    """A query with an ID, for a name of 1 or 3 to 255 bytes."""
    labels = b""
    while name_len - 1 > len(labels):
        rest = name_len - 1 - len(labels)
        size = rest if rest <= 64 else 62 if rest == 65 else 64
        labels += bytes((size - 1,)) + b"x" * (size - 1)
    return number.to_bytes(2, "big") + b"\1\0\0\1\0\0\0\0\0\0" + labels + b"\0\0\1\0\1"


class Model:
    """The same ring as a list: where an event begins and how much room it takes."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.head = self.tail = self.dropped = 0
        self.events: list[tuple[int, int]] = []

    def push(self, number: int, name_len: int) -> None:
        size = (HEADER_BYTES + name_len + 7) // 8 * 8
        left = self.capacity - self.head % self.capacity
        taken = size if size <= left else left + size
        if self.head - self.tail + taken > self.capacity:
            self.dropped += 1
            return
        self.head += taken
        self.events.append((number, name_len))

    def read(self) -> list[tuple[int, int]]:
        found, self.events = self.events, []
        self.tail = self.head
        return found


NAME_BYTES = st.one_of(st.just(1), st.integers(3, 60), st.integers(3, 255), st.just(255))


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([1024, 2048, 4096]),
    st.lists(st.one_of(st.none(), NAME_BYTES), min_size=1, max_size=120),
)
def test_against_a_model(capacity: int, actions: list[int | None]) -> None:
    """None: read everything; a number: push a name of so many bytes."""
    one, model, out = ring(capacity), Model(capacity), reader("{>id} {name}")
    for number, name_len in enumerate([*actions, None]):
        if name_len is None:
            found = [line.split() for line in shown(out.read(one))]
            assert [(int(i), 1 if name == "." else len(name) + 1) for i, name in found] == model.read()
        else:
            log_reply(STEP, one, message(number, name_len))
            model.push(number, name_len)
        assert one.used_bytes == model.head - model.tail
        assert one.dropped == model.dropped


def test_an_empty_ring_takes_any_event_wherever_it_begins() -> None:
    one, model, out = ring(1024), Model(1024), reader("{>id}")
    seed = random.randrange(1 << 32)
    print("seed", seed)
    pick = random.Random(seed)
    begun = set()
    for number in range(20_000):
        name_len = pick.choice([1, 255, pick.randrange(3, 256)])
        begun.add(model.head % 1024)
        log_reply(STEP, one, message(number, name_len))
        model.push(number, name_len)
        assert shown(out.read(one)) == [str(number)]
        model.read()
    assert one.dropped == model.dropped == 0
    # The first event takes 72 bytes at least.
    assert begun == {0, *range(72, 1024, 8)}


def test_a_full_ring_keeps_the_oldest_and_counts_the_rest() -> None:
    one = ring(1024)
    for number in range(100):
        log_reply(STEP, one, message(number, 5))
    kept = shown(reader("{>id}").read(one))
    assert kept == [str(number) for number in range(1024 // 72)]
    assert one.dropped == 100 - len(kept)


def test_a_full_ring_is_counted_in_the_counters_and_answers_go_on() -> None:
    stats = Stats(1)
    worker = Worker(ServerTable([(".", 0, None)], [[STEP, WhoamiStep()]]), None, 0, stats, 0)
    one = ring(1024)
    one.attach(worker)
    assert all(worker.serve(query()) is not None for _ in range(100))
    assert stats.thread(0)["log_dropped"] == one.dropped == 100 - 1024 // 88


def test_without_a_ring_nothing_is_logged() -> None:
    worker = Worker(ServerTable([(".", 0, None)], [[STEP, WhoamiStep()]]))
    assert worker.serve(query()) is not None


def test_a_ring_that_is_gone_is_not_written_to() -> None:
    worker = Worker(ServerTable([(".", 0, None)], [[STEP, WhoamiStep()]]))
    one = ring()
    one.attach(worker)
    del one
    assert worker.serve(query()) is not None


def test_more_lines_than_are_allowed_are_dropped() -> None:
    one = LogRing(1 << 20, 20)
    begins = time.monotonic()
    log_reply(STEP, one, query(), times=1000)
    # A second's worth at once, and one that is due.
    at_once = 1000 - one.dropped
    assert 21 <= at_once <= 22 + 20 * (time.monotonic() - begins)
    time.sleep(0.2)
    log_reply(STEP, one, query(), times=1000)
    more = 2000 - one.dropped - at_once
    assert 3 <= more <= 2 + 20 * (time.monotonic() - begins)


def test_a_half_full_ring_wakes_its_reader_once() -> None:
    wake = os.eventfd(0, os.EFD_NONBLOCK)
    try:
        one, out = LogRing(1024, FAST, wake), reader()
        for _ in range(5):
            used = 0
            while used < 512:
                with pytest.raises(BlockingIOError):
                    os.eventfd_read(wake)
                log_reply(STEP, one, message(1, 5))
                used = one.used_bytes
            assert os.eventfd_read(wake) == 1
            log_reply(STEP, one, message(1, 5), times=100)
            with pytest.raises(BlockingIOError):
                os.eventfd_read(wake)
            out.read(one)
    finally:
        os.close(wake)


def test_one_thread_writes_while_another_reads() -> None:
    one, out = ring(1 << 12), reader("{name}")
    count = 300_000
    writer = threading.Thread(target=log_reply, args=(STEP, one, query("abcdefghij.klm.")), kwargs={"times": count})
    writer.start()
    found = 0
    while writer.is_alive() or one.used_bytes:
        read = shown(out.read(one))
        assert set(read) <= {"abcdefghij.klm."}
        found += len(read)
    writer.join()
    assert found + one.dropped == count
    assert found > 0


def test_lines_come_in_pieces_of_bounded_size() -> None:
    one, out = ring(1 << 20), reader()
    log_reply(STEP, one, query(), times=5000)
    sizes = []
    while piece := out.read(one):
        sizes.append(len(piece))
        assert piece.endswith(b"\n")
    assert len(sizes) > 1 and max(sizes) <= 128 * 1024


@pytest.mark.parametrize(
    ("size_bytes", "lines_s"),
    [(0, 1), (512, 1), (1025, 1), (3072, 1), (1 << 31, 1), (1024, 0), (1024, 2_000_000_000)],
)
def test_what_a_ring_cannot_be(size_bytes: int, lines_s: int) -> None:
    with pytest.raises(ValueError, match="expected, got"):
        LogRing(size_bytes, lines_s)
