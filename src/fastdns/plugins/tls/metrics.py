"""The families of tls."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, Metric

from fastdns.metrics.handshakes import COMPLETE, FAILED, HandshakeCounts


def families(counts: HandshakeCounts) -> Iterator[Metric]:
    """Handshakes that are complete, and those that have failed."""
    sums = counts.sums()
    complete = CounterMetricFamily(
        "fastdns_tls_handshakes",
        "Number of complete TLS handshakes with clients, by version and by whether a session was resumed.",
        labels=("version", "resumed"),
    )
    for labels in COMPLETE:
        complete.add_metric(labels, sums[labels])
    failed = CounterMetricFamily(
        "fastdns_tls_handshakes_failed",
        "Number of TLS handshakes with clients that failed, by reason.",
        labels=("reason",),
    )
    for why in FAILED:
        failed.add_metric((why,), sums[why,])
    yield complete
    yield failed
