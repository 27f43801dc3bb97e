"""What the store says under a cluster's numbers, and which blocks may share a snapshot."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fastdns.memory._store import Store, Writer
from fastdns.plugins.kubernetes.config import Config
from fastdns.plugins.kubernetes.numbers import identity, shared_snapshot, snapshot_age_s
from fastdns.process.numbers import first_of_pair, is_known, is_listed, mark_unknown

pytestmark = pytest.mark.native

OPTIONS = Config(("cluster.local.",), "cluster.local.", endpoint="http://a", snapshot="s")


@pytest.mark.parametrize(("number", "first"), [(0, 0), (1, 0), (62, 62), (63, 62), (65535, 65534)])
def test_first_of_pair(number: int, first: int) -> None:
    assert first_of_pair(number) == first


def test_nothing_then_a_snapshot_then_listings_then_nothing_again(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(1 << 20)
    writer = Writer(store)
    monkeypatch.setattr("fastdns.plugins.kubernetes.numbers.time.time", lambda: 1030.0)
    assert (is_listed(store, 2), is_known(store, 2), snapshot_age_s(store, 2)) == (False, False, 0.0)
    writer.set_source(2, restored_at=1000)
    assert (is_listed(store, 2), is_known(store, 2), snapshot_age_s(store, 2)) == (False, True, 30.0)
    writer.set_source(2, synced=True)
    writer.set_source(3, synced=True)
    assert (is_listed(store, 2), is_known(store, 2), snapshot_age_s(store, 2)) == (True, True, 0.0)
    mark_unknown(writer, 2)
    assert (is_listed(store, 2), is_known(store, 2), snapshot_age_s(store, 2)) == (False, False, 0.0)
    assert not is_listed(store, 3)


def test_a_snapshot_from_the_future_has_an_age_that_is_not_zero() -> None:
    """Zero means that no snapshot is served."""
    store = Store(1 << 20)
    Writer(store).set_source(0, restored_at=1 << 40)
    assert snapshot_age_s(store, 0) == 0.001


@pytest.mark.parametrize(
    ("changes", "shared"),
    [
        ({}, False),
        ({"ttl_s": 30}, False),
        ({"snapshot": "t", "endpoint": "http://b"}, False),
        ({"snapshot": None, "endpoint": "http://b"}, False),
        ({"endpoint": "http://b"}, True),
        ({"guard_percent": 0}, True),
    ],
    ids=str,
)
def test_two_clusters_may_not_share_a_snapshot(changes: dict[str, object], shared: bool) -> None:
    other = replace(OPTIONS, **changes)  # type: ignore[arg-type]
    assert shared_snapshot([("first", OPTIONS), ("second", other)]) == (("first", "second") if shared else None)
    assert shared == (other.snapshot == "s" and identity(other) != identity(OPTIONS))
