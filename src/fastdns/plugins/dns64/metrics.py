"""The family of dns64."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, Metric

from fastdns.metrics._stats import layout
from fastdns.metrics.counters import by_server, zones
from fastdns.plugins.api import SupervisorView


def families(supervisor: SupervisorView) -> Iterator[Metric]:
    """A sample is there from when something was translated, as in CoreDNS."""
    family = CounterMetricFamily(
        "coredns_dns64_requests_translated", "Counter of DNS requests translated by dns64.", labels=("server",)
    )
    first, _ = layout()["plugins"]
    at = first + supervisor.first_counter("dns64")
    for server, translated in by_server(zones(supervisor), at).items():
        if translated:
            family.add_metric((server,), translated)
    yield family
