"""Timers, against a model that knows what is due when."""

from __future__ import annotations

import random

import pytest

from tests.memory._parts import SLOTS, TICK_NS, Timers

START = 1_000_000 * TICK_NS + 5
pytestmark = pytest.mark.native


@pytest.mark.parametrize("after_ns", [0, 1, TICK_NS, 100 * TICK_NS, (SLOTS - 3) * TICK_NS])
def test_a_timer_fires_once_and_not_before_it_is_due(after_ns: int) -> None:
    timers = Timers(1, START)
    timers.set(0, START + after_ns)
    assert timers.turn(START + after_ns - 1) == []
    assert timers.turn(START + after_ns + 2 * TICK_NS) == [0]
    assert timers.turn(START + 3 * SLOTS * TICK_NS) == []


def test_a_timer_that_is_set_again_moves() -> None:
    timers = Timers(1, START)
    timers.set(0, START + 10 * TICK_NS)
    timers.set(0, START + 20 * TICK_NS)
    assert timers.turn(START + 15 * TICK_NS) == []
    assert timers.turn(START + 22 * TICK_NS) == [0]


def test_a_timer_that_is_removed_does_not_fire() -> None:
    timers = Timers(3, START)
    for index in range(3):
        timers.set(index, START + TICK_NS)
    timers.remove(1)
    timers.remove(1)
    assert sorted(timers.turn(START + 3 * TICK_NS)) == [0, 2]


def test_what_is_due_after_more_than_a_turn_fires_after_a_turn() -> None:
    timers = Timers(1, START)
    timers.set(0, START + 5 * SLOTS * TICK_NS)
    assert timers.turn(START + (SLOTS - 2) * TICK_NS) == []
    assert timers.turn(START + SLOTS * TICK_NS) == [0]


def test_nothing_is_lost_where_nobody_looked_for_long() -> None:
    timers = Timers(50, START)
    for index in range(50):
        timers.set(index, START + index * 17 * TICK_NS)
    assert sorted(timers.turn(START + 100 * SLOTS * TICK_NS)) == list(range(50))


@pytest.mark.parametrize("seed", range(4))
def test_many_timers(seed: int) -> None:
    draw = random.Random(seed)
    timers = Timers(200, START)
    due: dict[int, int] = {}
    now = START
    for _ in range(3000):
        index = draw.randrange(200)
        if draw.random() < 0.2:
            timers.remove(index)
            due.pop(index, None)
        else:
            due[index] = now + draw.randrange((SLOTS - 2) * TICK_NS)
            timers.set(index, due[index])
        now += draw.randrange(3 * TICK_NS)
        fired = timers.turn(now)
        assert len(fired) == len(set(fired))
        for index in fired:
            assert due.pop(index) <= now, f"seed {seed}"
        assert all(at > now - 2 * TICK_NS for at in due.values()), f"seed {seed}: late"
