"""The families of tls."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from fastdns.metrics.handshakes import COMPLETE, FAILED, HandshakeCounts

if TYPE_CHECKING:
    from fastdns.plugins.tls.managing import Managing


def families(counts: HandshakeCounts, managing: Managing | None) -> Iterator[Metric]:
    """Handshakes that are complete, and those that have failed. managing: of certificates by ACME, if any."""
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
    if managing is None:
        return
    orders = CounterMetricFamily(
        "fastdns_tls_acme_orders", "Number of orders of certificates by ACME, by result.", labels=("result",)
    )
    for result in ("obtained", "failed"):
        orders.add_metric((result,), managing.orders[result])
    valid = GaugeMetricFamily(
        "fastdns_tls_acme_not_after_timestamp_seconds",
        "Until when a certificate by ACME is valid, in seconds of Unix time; 0: there is none.",
        labels=("domain",),
    )
    for one in managing.certificates.values():
        for domain in one.acme.domains:
            valid.add_metric((domain,), one.not_after_s)
    yield orders
    yield valid
