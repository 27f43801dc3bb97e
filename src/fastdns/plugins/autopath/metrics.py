"""The family of autopath."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, Metric

from fastdns.metrics._stats import layout
from fastdns.metrics.counters import by_server, zones
from fastdns.plugins.api import SupervisorView


def families(supervisor: SupervisorView) -> Iterator[Metric]:
    """A sample is there from when a name was completed, as in CoreDNS."""
    family = CounterMetricFamily(
        "coredns_autopath_success", "Counter of requests that did autopath.", labels=("server",)
    )
    first, _ = layout()["plugins"]
    at = first + supervisor.first_counter("autopath")
    for server, completed in by_server(zones(supervisor), at).items():
        if completed:
            family.add_metric((server,), completed)
    yield family
