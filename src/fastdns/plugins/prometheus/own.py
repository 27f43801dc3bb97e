"""What CoreDNS has no family for: the store, the processes, and what was not logged."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from fastdns.metrics.counters import buckets
from fastdns.metrics.delays import BOUNDS_S as LOOP_BOUNDS_S
from fastdns.plugins.api import SupervisorView


def own(server: SupervisorView) -> Iterator[Metric]:
    """What CoreDNS has no family for: the store, the processes, and what was not logged."""
    threads = [server.stats.thread(slot) for slot in server.counted_slots()]
    for name, documentation in (
        ("queries", "Messages that came in, on any transport."),
        ("errors_unlogged", "Errors that were not logged as too many waited."),
        ("log_dropped", "Queries that the log plugin could not log: too many, or nobody read."),
    ):
        yield CounterMetricFamily(f"fastdns_{name}", documentation, sum(thread[name] for thread in threads))
    store = server.store
    yield GaugeMetricFamily("fastdns_store_bytes", "Bytes of the zone store in use.", store.used_bytes)
    yield GaugeMetricFamily(
        "fastdns_store_taken_bytes", "Memory that the zone store takes.", store.resident_bytes
    )
    yield GaugeMetricFamily("fastdns_store_max_bytes", "The zone store's bound.", store.size_bytes)
    yield GaugeMetricFamily("fastdns_store_records", "Records in the zone store.", store.records)
    yield GaugeMetricFamily("fastdns_workers", "Worker processes that answer.", len(
        [child for child in server.children.values() if child.role == "worker" and child.ready]
    ))  # fmt: skip
    delays = HistogramMetricFamily(
        "fastdns_supervisor_loop_delay_seconds", "Histogram of the time (in seconds) that one iteration of the "
        "supervisor's event loop took: all that it does besides waits for its end.",
    )  # fmt: skip
    delays.add_metric((), buckets(LOOP_BOUNDS_S, list(server.delays.buckets)), server.delays.sum_s)
    yield delays
    yield GaugeMetricFamily(
        "fastdns_supervisor_loop_delay_max_seconds", "The longest of these iterations.", server.delays.max_s
    )
    restarts = CounterMetricFamily(
        "fastdns_child_deaths", "Processes that ended without being told to.", labels=("role",)
    )
    for role, count in server.deaths.items():
        restarts.add_metric((role,), count)
    yield restarts
    skipped = CounterMetricFamily(
        "fastdns_lines_skipped", "Lines of files, which others write, that could not be used.", labels=("file",)
    )
    for file, count in server.skipped.counts.items():
        skipped.add_metric((file,), count)
    yield skipped
