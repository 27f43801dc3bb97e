"""Records in a ring, against a queue."""

from __future__ import annotations

import random
from collections import deque

import pytest

from tests.memory._parts import RING, Ring

pytestmark = pytest.mark.native


def test_an_empty_ring_has_no_record() -> None:
    assert Ring().get() is None


def test_records_come_in_order() -> None:
    ring = Ring()
    for record in (b"a", b"1234567", b"12345678", b"123456789"):
        assert ring.put(record)
    assert [ring.get() for _ in range(5)] == [b"a", b"1234567", b"12345678", b"123456789", None]


def test_a_full_ring_refuses() -> None:
    ring = Ring()
    record = bytes(1016)
    assert [ring.put(record) for _ in range(RING // 1024 + 1)] == [True] * (RING // 1024) + [False]
    assert ring.get() == record
    assert ring.put(record)


def test_a_record_that_the_ring_cannot_hold_is_refused() -> None:
    ring = Ring()
    assert not ring.put(bytes(RING))
    assert ring.put(bytes(RING - 8))


@pytest.mark.parametrize("seed", range(4))
def test_nothing_is_lost_or_torn_where_the_ring_begins_anew(seed: int) -> None:
    draw = random.Random(seed)
    ring = Ring()
    queue: deque[bytes] = deque()
    for _ in range(5000):
        if draw.random() < 0.55:
            record = draw.randbytes(draw.choice((1, 8, 40, 500, 65535)))
            if ring.put(record):
                queue.append(record)
            else:
                assert queue, f"seed {seed}: an empty ring refused {len(record)} bytes"
        else:
            assert ring.get() == (queue.popleft() if queue else None), f"seed {seed}"
    while queue:
        assert ring.get() == queue.popleft()
    assert ring.get() is None
