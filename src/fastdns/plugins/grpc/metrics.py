"""The families of grpc: CoreDNS's, and the attempts that have failed."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric

from fastdns.metrics._stats import DURATION_BOUNDS_S, RCODES
from fastdns.metrics.counters import buckets
from fastdns.plugins.grpc.counts import BUCKETS_AT, FAILED_AT, RCODE_PLACES, SUM_AT, Counts


def families(counts: Counts) -> Iterator[Metric]:
    """All of them."""
    requests = CounterMetricFamily(
        "coredns_grpc_requests", "Counter of requests made per upstream.", labels=("to",)
    )
    responses = CounterMetricFamily(
        "coredns_grpc_responses", "Counter of requests made per upstream.", labels=("rcode", "to")
    )
    durations = HistogramMetricFamily(
        "coredns_grpc_request_duration_seconds", "Histogram of the time each request took.", labels=("to",)
    )
    failed = CounterMetricFamily(
        "fastdns_grpc_failed", "Number of attempts over gRPC without a reply.", labels=("to",)
    )
    for to, values in counts.totals().items():
        replies = values[:RCODE_PLACES]
        failed.add_metric((to,), values[FAILED_AT])
        if not any(replies):
            continue
        requests.add_metric((to,), sum(replies))
        for rcode, count in enumerate(replies):
            if count:
                responses.add_metric((RCODES.get(rcode, str(rcode)), to), count)
        durations.add_metric((to,), buckets(DURATION_BOUNDS_S, [*values[BUCKETS_AT:SUM_AT]]), values[SUM_AT] / 1e9)
    yield from (requests, responses, durations, failed)
