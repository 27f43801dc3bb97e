"""The metrics of nomad: what workers count by namespace, as CoreDNS does, and what the watcher measures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from fastdns.metrics.measured import Measure

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from fastdns.metrics.counters import ZoneValues

LISTINGS = "fastdns_nomad_listings_total"
ERRORS = "fastdns_nomad_errors_total"
LEFT_OUT = "fastdns_nomad_left_out_total"

MEASURES: Mapping[str, Measure] = {
    LISTINGS: Measure("Number of times that all services were read.", ()),
    ERRORS: Measure("Number of times that an agent failed.", ("address",)),
    LEFT_OUT: Measure("Number of services and instances that cannot be served.", ()),
}

# As COUNTED of _namespaces.pxd, and one for all other namespaces.
NUMBERS = 16
COUNTERS = tuple(f"{kind}_{number}" for kind in ("success", "failed") for number in range(NUMBERS))
FAMILIES = (
    ("coredns_nomad_success_requests", "Counter of DNS requests handled successfully."),
    ("coredns_nomad_failed_requests", "Counter of DNS requests failed."),
)


def families(names: Sequence[str | None], zones: Iterable[ZoneValues], first_counter: int) -> Iterator[Metric]:
    """Both families, with a sample of each server and namespace that was asked.

    names: of namespaces, by number. zones: summed over threads. first_counter: of the plugin's, in a zone.
    """
    from prometheus_client.core import CounterMetricFamily

    from fastdns.metrics._stats import layout

    at = layout()["plugins"][0] + first_counter
    found: list[dict[tuple[str, str], int]] = [{}, {}]
    for (server, _, _), values in zones:
        for kind, sums in enumerate(found):
            for number, name in enumerate(names):
                value = values[at + kind * NUMBERS + number]
                if value and name is not None:
                    sums[server, name] = sums.get((server, name), 0) + value
    for (name, documentation), sums in zip(FAMILIES, found, strict=True):
        family = CounterMetricFamily(name, documentation, labels=("server", "namespace"))
        for labels, value in sums.items():
            family.add_metric(labels, value)
        yield family
