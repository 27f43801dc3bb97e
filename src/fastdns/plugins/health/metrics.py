"""What the probe of /health has measured."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric

from fastdns.metrics.counters import buckets
from fastdns.plugins.health.page import BOUNDS_S, Health


def families(health: Health) -> Iterator[Metric]:
    """Both families."""
    duration = HistogramMetricFamily(
        "coredns_health_request_duration_seconds", "Histogram of the time (in seconds) each request took."
    )
    duration.add_metric((), buckets(BOUNDS_S, list(health.buckets)), health.sum_s)
    yield duration
    yield CounterMetricFamily(
        "coredns_health_request_failures", "The number of times the health check failed.", health.failures
    )
