"""Calls beside an event loop."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time

import pytest

from fastdns.errors import FastdnsError
from fastdns.threads import in_thread


async def test_what_it_returns_and_raises() -> None:
    before = threading.active_count()
    assert await in_thread(lambda: 5) == 5
    with pytest.raises(ZeroDivisionError):
        await in_thread(lambda: 1 // 0)
    assert threading.active_count() == before


async def test_the_loop_goes_on_meanwhile() -> None:
    waiting = asyncio.create_task(in_thread(lambda: time.sleep(0.2)))
    begun = time.monotonic()
    await asyncio.sleep(0.01)
    assert time.monotonic() - begun < 0.15
    await waiting


async def test_no_room_for_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reload ended the server where it could not start a thread."""

    def start(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(FastdnsError, match="no room for a thread: can't start new thread"):
        await in_thread(lambda: 5)


def test_the_end_does_not_wait_for_it() -> None:
    program = """
import asyncio, time
from fastdns.threads import in_thread

async def main():
    waiting = asyncio.create_task(in_thread(lambda: time.sleep(60)))
    await asyncio.sleep(0.1)
    waiting.cancel()

asyncio.run(main())
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)
