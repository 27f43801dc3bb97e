"""A cluster from its snapshot to its first listing: what is served, and whose cluster the snapshot is of."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fastdns.memory._store import Store, Writer
from fastdns.metrics.measured import WatcherMetrics
from fastdns.plugins.kubernetes.cluster import Cluster
from fastdns.plugins.kubernetes.config import Config
from fastdns.plugins.kubernetes.guard import Guard
from fastdns.plugins.kubernetes.metrics import MEASURES, ClusterMetrics
from fastdns.plugins.kubernetes.records._sink import ClusterWriter
from fastdns.plugins.kubernetes.sink import Resource
from tests.plugins.kubernetes.snapshot.test_keeper import make_service

pytestmark = pytest.mark.native

AS_OF = 1_800_000_000.0


def options_of(path: Path, **changes: Any) -> Config:
    """A cluster behind an API server, with a snapshot."""
    return Config(("cluster.local.",), "cluster.local.", endpoint="http://api", snapshot=str(path), **changes)


def cluster(path: Path, store: Store, number: int = 0, **changes: Any) -> Cluster:
    """As the watcher makes it."""
    return Cluster(number, options_of(path, **changes), Writer(store), ClusterMetrics(WatcherMetrics(MEASURES)))


def list_services(of: Cluster, names: list[str]) -> None:
    """What an API server would say of every resource."""
    for resource in (Resource.SERVICE, Resource.SLICE, Resource.NAMESPACE):
        of.sink.begin(resource)
        if resource == Resource.SERVICE:
            for name in names:
                of.sink.upsert(resource, make_service(name))
        of.sink.end(resource)


def speaks(uid: str) -> Any:
    """A source that has been in contact."""
    return SimpleNamespace(last_contact=AS_OF, identity=uid, relist=lambda why: None)


async def written(path: Path, names: list[str], uid: str = "one") -> None:
    """A snapshot of these Services."""
    first = cluster(path, Store(4 << 20))
    list_services(first, names)
    first.source = SimpleNamespace(last_contact=None, identity=uid)
    await first.close()


MANY = [f"s{number}" for number in range(150)]


async def test_restored_and_then_listed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "snapshot"
    await written(path, ["a", "b"])
    store = Store(4 << 20)
    second = cluster(path, store, number=2)
    second.restore()
    assert not store.source(2)[0]
    assert store.restored_at(2)
    assert len(store.items(b"\0\2S")) == 2
    with caplog.at_level(logging.INFO):
        second.tick()
        assert "no longer served" not in caplog.text
        list_services(second, ["b"])
        second.tick()
    assert caplog.text.count("no longer served") == 1
    assert store.source(2)[0]
    assert len(store.items(b"\0\2S")) == 1
    await second.close()


@pytest.mark.parametrize(("change", "used"), [({}, True), ({"ttl_s": 30}, True), ({"zonal": True}, False)])
async def test_options_that_shape_what_is_kept(tmp_path: Path, change: dict[str, Any], used: bool) -> None:
    await written(tmp_path / "snapshot", ["a"])
    store = Store(4 << 20)
    cluster(tmp_path / "snapshot", store, **change).restore()
    assert bool(store.restored_at(0)) is used


async def test_a_successor_does_not_read_it_again(tmp_path: Path) -> None:
    path = tmp_path / "snapshot"
    await written(path, ["a"])
    store = Store(4 << 20)
    cluster(path, store).restore()
    path.write_bytes(b"spoilt")
    metrics = WatcherMetrics(MEASURES)
    successor = Cluster(0, options_of(path), Writer(store), ClusterMetrics(metrics))
    successor.restore()
    assert not metrics.series
    assert len(store.items(b"\0\0S")) == 1


async def test_a_successor_of_one_that_died_while_it_read(tmp_path: Path) -> None:
    """Half of it is published, and nothing says that it is all."""
    path = tmp_path / "snapshot"
    await written(path, MANY)
    store = Store(4 << 20)
    cluster(path, store).restore()
    writer = Writer(store)
    for key, _ in store.items(b"\0\0")[::2]:
        writer.remove(key)
    writer.set_source(0, restored_at=0)
    cluster(path, store).restore()
    assert len(store.items(b"\0\0S")) == len(MANY)
    assert store.restored_at(0)


@pytest.mark.parametrize(("uid", "held"), [("one", 150), ("two", 0), ("", 150)])
@pytest.mark.parametrize("known_first", [True, False])
async def test_of_another_cluster(tmp_path: Path, uid: str, held: int, known_first: bool) -> None:
    """The guard holds what this cluster has lost, but not what another had. The uid may come after the listing."""
    await written(tmp_path / "snapshot", MANY)
    store = Store(4 << 20)
    second = cluster(tmp_path / "snapshot", store)
    second.restore()
    if known_first:
        second.source = speaks(uid)
        second.tick()
    list_services(second, [])
    second.source = speaks(uid)
    second.tick()
    assert len(store.items(b"\0\0S")) == held
    if second.snapshot and second.snapshot.writing:
        await second.snapshot.writing


async def test_the_cluster_is_listed_anew_half_way(tmp_path: Path) -> None:
    asked: list[str] = []
    store = Store(4 << 20)
    one = cluster(tmp_path / "snapshot", store, snapshot_max_age_s=60.0)
    one.snapshot = None
    now = 0.0
    guard = Guard(50, 100.0, clock=lambda: now)
    needed = [Resource.SERVICE, Resource.SLICE, Resource.NAMESPACE]
    one.sink = ClusterWriter(one.sink.records.writer, 0, needed, guard=guard)
    one.source = SimpleNamespace(last_contact=AS_OF, identity="one", relist=asked.append)
    list_services(one, MANY)
    list_services(one, [])
    one.tick()
    now = 50.0
    one.tick()
    one.tick()
    assert asked == ["held"]
