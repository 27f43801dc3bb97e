"""Work in a child: its result, whatever its size, and what becomes of it when the child fails."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time

import pytest

from fastdns.errors import FastdnsError
from fastdns.process import in_child as module
from fastdns.process.in_child import NoRoomError, in_child
from tests.support import children, open_fds, wait_until


@pytest.fixture(autouse=True)
def nothing_is_left() -> object:
    """No descriptor, and no process but those that a reaper finds."""
    before = open_fds()
    yield
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, 0):
            pass
    assert open_fds() <= before


@pytest.mark.parametrize("size", [0, 1, 70_000, 5_000_000])
async def test_its_result(size: int) -> None:
    assert await in_child("test", lambda: b"x" * size) == b"x" * size


async def test_it_sees_what_is_and_changes_nothing() -> None:
    here = ["before"]

    def call() -> bytes:
        here.append("child")
        return ",".join(here).encode()

    assert await in_child("test", call) == b"before,child"
    assert here == ["before"]


async def test_it_has_only_what_it_needs_of_descriptors() -> None:
    read, write = os.pipe()
    try:
        some = await in_child("test", lambda: os.write(write, b"x") and str(open_fds()).encode(), (write,))
        assert os.read(read, 1) == b"x"
        # Of the standard streams, the pipe of the result, the one that is asked for, and the folder that is read.
        assert int(some) <= 6
        with pytest.raises(FastdnsError, match="no result; the log lines above show why"):
            await in_child("test", lambda: os.write(write, b"x") and b"")
    finally:
        os.close(read)
        os.close(write)


async def test_the_loop_goes_on_meanwhile() -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    await in_child("test", lambda: time.sleep(0.1) or b"")
    counting.cancel()
    assert turns > 50


async def test_one_that_fails() -> None:
    def call() -> bytes:
        raise ValueError("not today")

    with pytest.raises(FastdnsError, match=r"^test: no result; the log lines above show why$"):
        await in_child("test", call)


async def test_one_that_is_killed() -> None:
    with pytest.raises(FastdnsError, match="no result"):
        await in_child("test", lambda: os.kill(os.getpid(), 9) or b"")


async def test_one_that_hangs_is_ended() -> None:
    with pytest.raises(FastdnsError, match=r"^test: no result within 0.05 s$"):
        await in_child("test", lambda: time.sleep(1000) or b"", limit_s=0.05)
    wait_until(lambda: "fastdns: test" not in children(os.getpid()).values())


async def test_one_that_nobody_waits_for_any_more_is_ended() -> None:
    waiting = asyncio.create_task(in_child("test", lambda: time.sleep(1000) or b""))
    while "fastdns: test" not in children(os.getpid()).values():
        await asyncio.sleep(0.01)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    wait_until(lambda: "fastdns: test" not in children(os.getpid()).values())


async def test_no_room_for_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise BlockingIOError(11, "")

    monkeypatch.setattr(module, "fork_child", full)
    with pytest.raises(NoRoomError, match=r"^test: no process can be started: Resource temporarily unavailable$"):
        await in_child("test", lambda: b"")
