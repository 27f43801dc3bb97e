"""The query log of a worker on an event loop: lines on time, bounded, and told of what is missing."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
import uvloop

from fastdns.corefile import load
from fastdns.plugins.api import Runtime
from fastdns.plugins.log import writer
from fastdns.plugins.log.writer import QueryLog
from fastdns.plugins.steps import build_steps
from fastdns.serve._worker import Worker
from fastdns.serve._zones import ServerTable
from tests.plugins.log.support import query
from tests.plugins.log.test_output import drain
from tests.support import open_fds

pytestmark = pytest.mark.native

WARNING = re.compile(rb"\[WARNING\] plugin/log: ([0-9]+) queries not logged: more than ([0-9]+) a second, .*\n")


class Set:
    """A worker's two threads' Workers for a Corefile, and its log into a pipe."""

    def __init__(self, corefile: str = ".:53 {\nlog . {>id}\nwhoami\n}\n", **options: Any) -> None:
        config = load(corefile)
        blocks = [list(build_steps(block, Runtime()).values()) for block in config.blocks]
        self.tables = [
            ServerTable([(zone, block, None) for zone, block in listener.zones], blocks)
            for listener in config.listeners
        ]
        self.hot = Worker(self.tables[0])
        self.slow = [Worker(table) for table in self.tables]
        self.read_end, self.write_end = os.pipe()
        self.dropped = 0
        self.log = QueryLog(
            config, self.tables, self.hot, self.slow, fd=self.write_end, count_dropped=self.count, **options
        )

    def count(self, lines: int) -> None:
        self.dropped += lines

    def close(self) -> None:
        for end in (self.read_end, self.write_end):
            with contextlib.suppress(OSError):
                os.close(end)


@pytest.fixture
def sets() -> Iterator[Callable[..., Set]]:
    made: list[Set] = []

    def make(*args: Any, **options: Any) -> Set:
        made.append(Set(*args, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def on_loop(body: Callable[[asyncio.AbstractEventLoop], Awaitable[None]]) -> None:
    """Run on the loop that workers have."""

    async def run() -> None:
        await body(asyncio.get_running_loop())

    uvloop.run(run())


def ask(worker: Worker, number: int = 1, count: int = 1, **how: Any) -> None:
    message = number.to_bytes(2, "big") + query()[2:]
    for _ in range(count):
        assert worker.serve(message, **how) is not None


def test_a_line_is_there_in_time(sets: Callable[..., Set]) -> None:
    one = sets()

    async def body(loop: asyncio.AbstractEventLoop) -> None:
        one.log.start(loop)
        for number in range(5):
            ask(one.hot, number)
            begins = time.monotonic()
            while not (data := drain(one.read_end)):
                await asyncio.sleep(0.001)
            assert data == b"[INFO] %d\n" % number
            assert time.monotonic() - begins < 1
        one.log.close()

    on_loop(body)


def test_both_threads_and_every_listener_log(sets: Callable[..., Set]) -> None:
    corefile = (
        ".:53 {\nbind 127.0.0.1 ::1\nlog . \"{>id} {proto} {local}\"\nwhoami\n}\n"
        ".:54 {\nlog . \"{>id} other {local}\"\nwhoami\n}\n"
    )  # fmt: skip
    one = sets(corefile)
    assert len(one.slow) == 3
    ask(one.hot, 1)
    for number, worker in enumerate(one.slow):
        ask(worker, 10 + number, tcp=True)
    one.log.close()
    assert sorted(drain(one.read_end).splitlines()) == [
        b"[INFO] 1 udp 127.0.0.1",
        b"[INFO] 10 tcp 127.0.0.1",
        b"[INFO] 11 tcp [::1]",
        b"[INFO] 12 other [::]",
    ]


def test_a_half_full_ring_is_written_at_once(sets: Callable[..., Set], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "INTERVAL_S", 1000.0)
    monkeypatch.setattr(writer, "SLOW_RING_BYTES", 1 << 12)
    one = sets()

    async def body(loop: asyncio.AbstractEventLoop) -> None:
        one.log.start(loop)
        ask(one.slow[0], count=10)
        await asyncio.sleep(0.05)
        assert not drain(one.read_end)
        ask(one.slow[0], count=20)
        lines = 0
        ends = time.monotonic() + 5
        while lines < 30 and time.monotonic() < ends:
            await asyncio.sleep(0.001)
            lines += drain(one.read_end).count(b"\n")
        assert lines == 30
        one.log.close()

    on_loop(body)


def test_a_reader_that_sleeps_holds_nobody_up(sets: Callable[..., Set], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "WARN_S", 0.0)
    monkeypatch.setattr(writer, "HOT_RING_BYTES", 1 << 16)
    one = sets(".:53 {\nlog\nwhoami\n}\n")
    asked = 5000
    data = b""

    async def body(loop: asyncio.AbstractEventLoop) -> None:
        nonlocal data
        one.log.start(loop)
        begins = time.monotonic()
        for _ in range(10):
            ask(one.hot, count=asked // 10)
            await asyncio.sleep(0)
        assert time.monotonic() - begins < 5
        await asyncio.sleep(0.2)
        # What pipe, one batch of lines and ring hold is not lost; the rest is.
        while part := drain(one.read_end):
            data += part
            await asyncio.sleep(0.06)
        one.log.close()
        data += drain(one.read_end)

    on_loop(body)
    told = sum(int(found[1]) for found in WARNING.finditer(data))
    written = data.count(b"[INFO] ")
    assert 0 < told < asked and written + told == asked
    assert WARNING.sub(b"", data).count(b"\n") == written


def test_a_reader_that_is_slow_gets_everything(sets: Callable[..., Set]) -> None:
    one = sets(".:53 {\nlog\nwhoami\n}\n")

    async def body(loop: asyncio.AbstractEventLoop) -> None:
        one.log.start(loop)
        ask(one.hot, count=5000)
        data = b""
        ends = time.monotonic() + 20
        while data.count(b"\n") < 5000 and time.monotonic() < ends:
            with contextlib.suppress(BlockingIOError):
                os.set_blocking(one.read_end, False)
                data += os.read(one.read_end, 1 << 16)
            await asyncio.sleep(0.001)
        assert data.count(b"[INFO] ") == 5000
        one.log.close()

    on_loop(body)


def test_a_sleeping_reader_is_looked_for_less_often(
    sets: Callable[..., Set], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = sets(".:53 {\nlog\nwhoami\n}\n")
    flushes = 0
    flush = one.log.output.flush

    def counted() -> bool:
        nonlocal flushes
        flushes += 1
        return flush()

    monkeypatch.setattr(one.log.output, "flush", counted)

    async def body(loop: asyncio.AbstractEventLoop) -> None:
        one.log.start(loop)
        ask(one.hot, count=2000)
        await asyncio.sleep(0.5)
        assert flushes < 40
        one.log.close()

    on_loop(body)


def test_too_many_lines_are_told_of_once_in_a_while(sets: Callable[..., Set]) -> None:
    one = sets(lines_s=10)

    async def body(loop: asyncio.AbstractEventLoop) -> None:
        one.log.start(loop)
        for _ in range(4):
            ask(one.hot, count=100)
            await asyncio.sleep(0.1)
        data = drain(one.read_end)
        (warning,) = WARNING.finditer(data)
        assert warning[2] == b"10" and int(warning[1]) >= 80
        one.log.close()
        data += drain(one.read_end)
        told = sum(int(found[1]) for found in WARNING.finditer(data))
        assert told + data.count(b"[INFO]") == 400

    on_loop(body)


def test_a_reader_that_is_gone_is_counted(sets: Callable[..., Set]) -> None:
    one = sets()
    os.close(one.read_end)
    ask(one.hot, count=50)
    one.log.close()
    assert one.dropped == 50


def test_the_end_writes_what_is_left(sets: Callable[..., Set]) -> None:
    one = sets()

    async def body(loop: asyncio.AbstractEventLoop) -> None:
        one.log.start(loop)
        ask(one.hot, 7, count=300)
        ask(one.slow[0], 8, count=200)
        one.log.close()

    on_loop(body)
    data = drain(one.read_end)
    assert data.count(b"[INFO] 7\n") == 300 and data.count(b"[INFO] 8\n") == 200


def test_the_end_waits_for_nobody_for_long(sets: Callable[..., Set], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "LAST_S", 0.1)
    one = sets(".:53 {\nlog\nwhoami\n}\n")
    ask(one.hot, count=3000)
    begins = time.monotonic()
    one.log.close()
    assert time.monotonic() - begins < 1


def test_neither_thread_starves_the_other(sets: Callable[..., Set], monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard output takes one batch at a time, and the ring of one thread is never empty."""
    one = sets()
    written: list[bytes] = []

    def once(lines: bytes) -> bool:
        written.append(lines)
        return False

    monkeypatch.setattr(one.log.output, "write", once)
    for number in range(6):
        ask(one.hot, 1)
        if number == 0:
            ask(one.slow[0], 2)
        one.log.transfer()
    assert b"[INFO] 2\n" in written[:2]


def test_nothing_stays_open(sets: Callable[..., Set]) -> None:
    before = open_fds()
    one = sets()
    one.log.close()
    one.close()
    assert open_fds() == before
