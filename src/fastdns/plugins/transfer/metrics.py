"""The families of transfer. CoreDNS has none."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, Metric

from fastdns.metrics._stats import layout
from fastdns.metrics.counters import zones
from fastdns.plugins.api import SupervisorView
from fastdns.plugins.transfer.counters import FAILED, GIVEN

PLACE = ("server", "zone", "view")


def families(supervisor: SupervisorView) -> Iterator[Metric]:
    """A sample is there from when something was counted."""
    given = CounterMetricFamily(
        "fastdns_transfer_given", "Counter of zone transfers that were given whole.", labels=(*PLACE, "kind")
    )
    failed = CounterMetricFamily(
        "fastdns_transfer_failed", "Counter of zone transfers that were refused or cut off.",
        labels=(*PLACE, "reason"),
    )  # fmt: skip
    first, _ = layout()["plugins"]
    at = first + supervisor.first_counter("transfer")
    for labels, values in zones(supervisor):
        for family, names, start in ((given, GIVEN, at), (failed, FAILED, at + len(GIVEN))):
            for name, value in zip(names, values[start:], strict=False):
                if value:
                    family.add_metric((*labels, name), value)
    yield given
    yield failed
