"""When snapshots are written: bounded, tried again after a failure, and without delaying anything else."""

from __future__ import annotations

import asyncio
import errno
import logging
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from fastdns.memory._store import Store, Writer
from fastdns.plugins.kubernetes.config import Config
from fastdns.plugins.kubernetes.objects import Metadata, Service, ServiceSpec
from fastdns.plugins.kubernetes.records._sink import ClusterWriter
from fastdns.plugins.kubernetes.sink import Resource
from fastdns.plugins.kubernetes.snapshot.file import Head
from fastdns.plugins.kubernetes.snapshot.keeper import BYTES_S, MIN_INTERVAL_S, SnapshotKeeper

pytestmark = pytest.mark.native

AS_OF = 1_800_000_000.0


class Results(Counter[str]):
    """Counts what became of snapshots."""

    def snapshot(self, zone: str, result: str) -> None:
        self[result] += 1


class Keeper:
    """A keeper whose clock and disk are the test's."""

    def __init__(self, path: Path, max_age_s: float = 86400.0, store: Store | None = None) -> None:
        self.options = Config(
            ("cluster.local.",), "cluster.local.", snapshot=str(path), snapshot_max_age_s=max_age_s
        )
        self.sink = ClusterWriter(Writer(store or Store(4 << 20)), 0, [Resource.SERVICE])
        self.results = Results()
        self.now = 0.0
        self.size = 1000
        self.error: Exception | None = None
        self.heads: list[Head] = []
        self.keeper = SnapshotKeeper(
            self.options, self.sink, self.results, write=self.write, clock=lambda: self.now
        )

    def write(self, path: str, head: Head, store: Store, source: int) -> int:
        if self.error is not None:
            raise self.error
        self.heads.append(head)
        return self.size

    def list(self, *names: str) -> None:
        """A listing of Services."""
        self.sink.begin(Resource.SERVICE)
        for name in names:
            self.sink.upsert(Resource.SERVICE, make_service(name))
        self.sink.end(Resource.SERVICE)

    async def tick(self, as_of: float = AS_OF) -> int:
        """A second's work; how often it has been written."""
        self.keeper.tick(as_of, "uid")
        if self.keeper.writing is not None:
            await self.keeper.writing
        return len(self.heads)


def make_service(name: str) -> Service:
    return Service(Metadata(name, "ns"), ServiceSpec("ClusterIP", "10.0.0.1", ["10.0.0.1"]))


@pytest.fixture
def keeper(tmp_path: Path) -> Keeper:
    return Keeper(tmp_path / "snapshot")


async def test_not_before_the_first_listing_and_then_at_once(keeper: Keeper) -> None:
    assert await keeper.tick() == 0
    keeper.list("a")
    assert await keeper.tick() == 1
    assert (keeper.heads[0].as_of, keeper.heads[0].uid) == (int(AS_OF), "uid")


async def test_not_again_where_nothing_has_changed_and_not_too_often_where_it_has(keeper: Keeper) -> None:
    keeper.list("a")
    await keeper.tick()
    keeper.now += MIN_INTERVAL_S
    assert await keeper.tick() == 1
    keeper.list("a", "b")
    assert await keeper.tick() == 2
    keeper.list("a", "b", "c")
    keeper.now += MIN_INTERVAL_S - 1
    assert await keeper.tick() == 2
    keeper.now += 1
    assert await keeper.tick() == 3


async def test_a_large_one_less_often(keeper: Keeper) -> None:
    keeper.size = 60 * BYTES_S
    keeper.list("a")
    await keeper.tick()
    keeper.list("b")
    keeper.now += 59
    assert await keeper.tick() == 1
    keeper.now += 1
    assert await keeper.tick() == 2


@pytest.mark.parametrize(("max_age_s", "refreshed_s"), [(86400.0, 3600.0), (80.0, 10.0)])
async def test_what_stays_true_does_not_grow_old(tmp_path: Path, max_age_s: float, refreshed_s: float) -> None:
    keeper = Keeper(tmp_path / "snapshot", max_age_s)
    keeper.list("a")
    await keeper.tick()
    keeper.now += refreshed_s
    assert await keeper.tick(AS_OF + refreshed_s - 1) == 1
    assert await keeper.tick(AS_OF + refreshed_s) == 2
    keeper.now += 10 * refreshed_s
    assert await keeper.tick(AS_OF + refreshed_s) == 2, "while the API server is away, it does not get younger"


async def test_a_full_disk_is_logged_once_counted_and_tried_again(
    keeper: Keeper, caplog: pytest.LogCaptureFixture
) -> None:
    keeper.list("a")
    keeper.error = OSError(errno.ENOSPC, "No space left on device")
    waits = []
    for _ in range(8):
        await keeper.tick()
        waits.append(keeper.keeper.next_at - keeper.now)
        keeper.now = keeper.keeper.next_at - 0.1
        before = keeper.results["failed"]
        await keeper.tick()
        assert keeper.results["failed"] == before
        keeper.now += 0.2
    assert waits == pytest.approx([10, 20, 40, 80, 160, 300, 300, 300])
    assert keeper.results == {"failed": 8}
    (line,) = [record.message for record in caplog.records if record.levelno == logging.ERROR]
    assert "cannot be written: No space left on device; the previous one is kept" in line
    keeper.error = None
    with caplog.at_level(logging.INFO):
        assert await keeper.tick() == 1
    assert "can be written again" in caplog.text


async def test_a_disk_that_hangs_holds_up_nothing(keeper: Keeper) -> None:
    """One write at a time, in a thread; the loop goes on."""
    going = asyncio.Event()
    loop = asyncio.get_running_loop()
    held = threading.Event()

    def hang(*what: Any) -> int:
        loop.call_soon_threadsafe(going.set)
        held.wait(10)
        return 1

    keeper.keeper.write = hang
    keeper.list("a")
    keeper.keeper.tick(AS_OF, "")
    await going.wait()
    first = keeper.keeper.writing
    keeper.list("a", "b")
    keeper.now += 1000
    keeper.keeper.tick(AS_OF, "")
    assert keeper.keeper.writing is first and first is not None
    held.set()
    await first
    assert keeper.results == {"written": 1}


async def test_at_the_end_what_is_not_written_yet(keeper: Keeper) -> None:
    await keeper.keeper.close(AS_OF, "uid")
    assert not keeper.heads, "nothing was listed"
    keeper.list("a")
    await keeper.tick()
    await keeper.keeper.close(AS_OF, "uid")
    assert len(keeper.heads) == 1
    await keeper.keeper.close(AS_OF + 1, "uid")
    assert len(keeper.heads) == 2, "it is younger"
