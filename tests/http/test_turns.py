"""Turns: so much is done at a time, and of each client as much."""

from __future__ import annotations

import asyncio

from fastdns.http.turns import TURN_S, Turns


class Clock:
    """Goes on when it is told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


async def test_what_takes_longer_than_a_turn_waits_for_the_next_one() -> None:
    clock, done = Clock(), list[int]()
    turns = Turns(clock)

    def work(number: int) -> None:
        clock.now += TURN_S * 0.6
        done.append(number)

    for number in range(5):
        turns.add("a", lambda number=number: work(number))  # type: ignore[misc]
    assert done == []
    # What others have to do comes between two turns.
    between = []
    while len(done) < 5:
        await asyncio.sleep(0)
        between.append(len(done))
    assert between == [2, 4, 5] and done == [0, 1, 2, 3, 4]
    assert not turns.waiting and not turns.scheduled


async def test_clients_take_turns() -> None:
    """A probe waited behind all that a flood of another client had asked."""
    turns, done = Turns(), list[str]()
    for number in range(100):
        turns.add("flood", lambda number=number: done.append(f"flood {number}"))  # type: ignore[misc]
    turns.add("probe", lambda: done.append("probe"))
    await asyncio.sleep(0.05)
    assert done[:3] == ["flood 0", "probe", "flood 1"] and len(done) == 101


async def test_work_that_makes_work() -> None:
    """Of the same client, behind what it had before."""
    turns, done = Turns(), list[str]()

    def first() -> None:
        done.append("first")
        turns.add("a", lambda: done.append("third"))

    turns.add("a", first)
    turns.add("a", lambda: done.append("second"))
    await asyncio.sleep(0.05)
    assert done == ["first", "second", "third"]
