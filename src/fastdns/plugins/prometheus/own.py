"""Metric families that CoreDNS does not have: the zone store, the processes, and what was not logged."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from fastdns.metrics.counters import buckets
from fastdns.metrics.delays import BOUNDS_S as LOOP_BOUNDS_S
from fastdns.plugins.api import SupervisorView


def own(server: SupervisorView) -> Iterator[Metric]:
    """All families, read now."""
    threads = [server.stats.thread(slot) for slot in server.counted_slots()]
    for name, documentation in (
        ("queries", "Number of messages that arrived, over any transport."),
        ("errors_unlogged", "Number of errors that the plugin errors did not log because too many waited."),
        (
            "log_dropped",
            "Number of queries that the plugin log did not log: too many waited, or output was blocked.",
        ),
    ):
        yield CounterMetricFamily(f"fastdns_{name}", documentation, sum(thread[name] for thread in threads))
    store = server.store
    yield GaugeMetricFamily("fastdns_store_bytes", "Bytes of the records in the zone store.", store.used_bytes)
    yield GaugeMetricFamily(
        "fastdns_store_taken_bytes",
        "Bytes of memory that the zone store takes: records, and room for reuse.",
        store.resident_bytes,
    )
    yield GaugeMetricFamily(
        "fastdns_store_max_bytes", "Limit in bytes on the memory of the zone store.", store.size_bytes
    )
    yield GaugeMetricFamily("fastdns_store_records", "Number of records in the zone store.", store.records)
    yield GaugeMetricFamily("fastdns_workers", "Number of worker processes that answer queries.", len(
        [child for child in server.children.values() if child.role == "worker" and child.ready]
    ))  # fmt: skip
    delays = HistogramMetricFamily(
        "fastdns_supervisor_loop_delay_seconds", "Histogram of the time (in seconds) that each iteration of "
        "the supervisor's event loop took.",
    )  # fmt: skip
    delays.add_metric((), buckets(LOOP_BOUNDS_S, list(server.delays.buckets)), server.delays.sum_s)
    yield delays
    yield GaugeMetricFamily(
        "fastdns_supervisor_loop_delay_max_seconds",
        "Longest iteration of the supervisor's event loop in seconds.",
        server.delays.max_s,
    )
    restarts = CounterMetricFamily(
        "fastdns_child_deaths", "Number of workers and watchers that ended unexpectedly, by role.", labels=("role",)
    )
    for role, count in server.deaths.items():
        restarts.add_metric((role,), count)
    yield restarts
    skipped = CounterMetricFamily(
        "fastdns_lines_skipped",
        "Number of invalid lines that were skipped in files of other programs, by file.",
        labels=("file",),
    )
    for file, count in server.skipped.counts.items():
        skipped.add_metric((file,), count)
    yield skipped
