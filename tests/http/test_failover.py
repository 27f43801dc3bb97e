"""One endpoint after the other, as they fail."""

from __future__ import annotations

import asyncio

import pytest

from fastdns.http import failover
from fastdns.http.failover import follow_in_turn, together


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failover, "FIRST_WAIT_S", 0.001)
    monkeypatch.setattr(failover, "MOST_WAIT_S", 0.002)


async def ended(task: asyncio.Task[None]) -> None:
    """Cancel, and expect that this ends it."""
    task.cancel()
    done, _ = await asyncio.wait([task], timeout=5)
    assert done
    assert task.cancelled()


async def test_each_has_its_turn() -> None:
    said: list[tuple[str, str]] = []
    enough = asyncio.Event()

    async def follow(endpoint: str) -> None:
        raise OSError(f"of {endpoint}")

    def note(endpoint: str, error: Exception) -> None:
        said.append((endpoint, str(error)))
        if len(said) == 5:
            enough.set()

    task: asyncio.Task[None] = asyncio.create_task(follow_in_turn(("a", "b"), follow, note, (OSError,)))
    await asyncio.wait_for(enough.wait(), 5)
    await ended(task)
    assert said[:5] == [("a", "of a"), ("b", "of b"), ("a", "of a"), ("b", "of b"), ("a", "of a")]


async def test_a_failure_at_the_moment_of_its_end() -> None:
    """The cancellation is not lost to what fails because of it."""
    begun = asyncio.Event()

    async def failing() -> None:
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            raise OSError("at the end")

    async def follow(endpoint: str) -> None:
        await together([failing(), failing()])

    task: asyncio.Task[None] = asyncio.create_task(follow_in_turn(("a",), follow, lambda *_: None, (OSError,)))
    await begun.wait()
    await ended(task)


async def test_together() -> None:
    done: list[int] = []

    async def one(number: int) -> None:
        try:
            await asyncio.sleep(60 if number > 1 else 0)
            if number:
                raise OSError(f"of {number}")
        finally:
            done.append(number)

    await together([])
    await together([one(0), one(0)])
    with pytest.raises(OSError, match="of 1"):
        await together([one(2), one(1), one(0), one(3)])
    assert sorted(done) == [0, 0, 0, 1, 2, 3], "none goes on"


async def test_other_errors_end_it() -> None:
    async def follow(endpoint: str) -> None:
        raise ValueError("a mistake")

    with pytest.raises(ValueError, match="a mistake"):
        await follow_in_turn(("a",), follow, lambda *_: None, (OSError,))
