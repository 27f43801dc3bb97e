"""Blocks of bounded memory, against a model that remembers what is in use."""

from __future__ import annotations

import random

import pytest

from tests.memory._parts import Blocks, units

SLAB = 65536
pytestmark = pytest.mark.native


@pytest.mark.parametrize(("size", "wanted"), [(1, 1), (64, 1), (65, 2), (128, 2), (129, 4), (4095, 64), (4096, 64)])
def test_a_block_takes_the_next_power_of_two(size: int, wanted: int) -> None:
    assert units(size) == wanted


def test_what_no_class_holds_is_refused() -> None:
    blocks = Blocks(SLAB)
    assert blocks.take(4097) is None
    assert blocks.empty_slabs == 1


def test_a_full_area_refuses_and_takes_again() -> None:
    blocks = Blocks(2 * SLAB)
    taken = [blocks.take(4096) for _ in range(32)]
    assert None not in taken and len(set(taken)) == 32
    assert blocks.take(64) is None
    for at in taken:
        assert at is not None
        blocks.give(at)
    assert blocks.empty_slabs == 2
    assert blocks.take(64) is not None


def test_no_class_keeps_a_slab_that_it_does_not_use() -> None:
    blocks = Blocks(SLAB)
    small = blocks.take(64)
    assert small is not None and blocks.take(4096) is None
    blocks.give(small)
    assert blocks.take(4096) is not None


@pytest.mark.parametrize("seed", range(4))
def test_blocks_do_not_overlap(seed: int) -> None:
    draw = random.Random(seed)
    blocks = Blocks(4 * SLAB)
    used: dict[int, bytes] = {}
    for _ in range(20_000):
        if used and draw.random() < 0.5:
            at = draw.choice(list(used))
            data = used.pop(at)
            assert blocks.read(at, len(data)) == data, f"seed {seed}"
            blocks.give(at)
            continue
        data = draw.randbytes(draw.randint(8, 4096) if draw.random() < 0.3 else draw.randint(8, 200))
        place = blocks.take(len(data))
        if place is not None:
            assert place not in used
            blocks.write(place, data)
            used[place] = data
    for at, data in used.items():
        assert blocks.read(at, len(data)) == data, f"seed {seed}"
        blocks.give(at)
    assert blocks.empty_slabs == 4
