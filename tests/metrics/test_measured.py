"""What the watcher measures, and what becomes of it when the watcher ends."""

from __future__ import annotations

import gc
import json
from typing import Any

from fastdns.metrics.measured import GARBAGE, WatcherMetrics, WatcherTotals
from fastdns.plugins.kubernetes.metrics import MEASURES, ClusterMetrics

REQUESTS = "coredns_kubernetes_rest_client_requests_total"
LATENCY = "coredns_kubernetes_dns_programming_duration_seconds"
COLLECTIONS = "python_gc_collections_total"


def totals_of_all() -> WatcherTotals:
    totals = WatcherTotals()
    totals.measures = dict(MEASURES)
    return totals


def families(totals: WatcherTotals, *, runtime: bool = False) -> dict[str, dict[tuple[str, ...], Any]]:
    return {family.name: dict(family.series) for family in totals.families(runtime=runtime)}


def sent(metrics: WatcherMetrics) -> Any:
    """A snapshot as it comes out of the channel."""
    return json.loads(json.dumps(metrics.report()))


def test_series_add_up_over_watchers() -> None:
    totals = totals_of_all()
    for _ in range(2):
        metrics = WatcherMetrics(MEASURES)
        cluster = ClusterMetrics(metrics)
        cluster.request("GET", "api", "200", "GET", 0.3)
        cluster.observe_latency("cluster_ip", 0.0015)
        totals.update(sent(metrics))
        totals.update(sent(metrics))
        totals.restart()
    found = families(totals)
    assert found[REQUESTS] == {("200", "GET", "api"): [2]}
    assert found[LATENCY]["cluster_ip",] == [0, 2, *[0] * 19, 0.003]


def test_every_family_is_there_from_the_start() -> None:
    found = families(totals_of_all())
    assert {REQUESTS, LATENCY, "fastdns_kubernetes_relists_total"} <= set(found)
    assert not any(found.values())


def test_an_unknown_series_is_left_out() -> None:
    totals = totals_of_all()
    totals.update([["of another version", [], [1]]])
    assert not totals.series()


def test_garbage_collectors_with_runtime_metrics_only() -> None:
    totals = totals_of_all()
    for _ in range(2):
        metrics = WatcherMetrics(MEASURES)
        gc.collect()
        totals.update(sent(metrics))
        totals.restart()
    assert not families(totals).keys() & GARBAGE
    found = families(totals, runtime=True)
    assert GARBAGE.keys() <= found.keys()
    counts = found[COLLECTIONS]
    assert set(counts) == {(process, str(number)) for process in ("supervisor", "watcher") for number in range(3)}
    # A watcher is forked with what the supervisor has counted, which is not the watcher's.
    assert counts["watcher", "2"] == [2]
    assert counts["supervisor", "2"][0] >= 2
