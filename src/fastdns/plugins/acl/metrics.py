"""The families of acl: the queries that were allowed, blocked, filtered and dropped."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, Metric

from fastdns.plugins.acl.places import Places

ACTIONS = ("blocked", "filtered", "dropped")


def families(places: Places) -> Iterator[Metric]:
    """Every family. A sample is there from when something was counted, as in CoreDNS."""
    counted = {labels: places.counters.at(place) for labels, place in places.of.items()}
    for number, action in enumerate(ACTIONS, 1):
        family = CounterMetricFamily(
            f"coredns_acl_{action}_requests", f"Counter of DNS requests being {action}.",
            labels=("server", "zone", "view"),
        )  # fmt: skip
        for labels, row in counted.items():
            if row[number]:
                family.add_metric(labels, row[number])
        yield family
    family = CounterMetricFamily(
        "coredns_acl_allowed_requests", "Counter of DNS requests being allowed.", labels=("server", "view")
    )
    for (server, _, view), row in counted.items():
        if row[0]:
            family.add_metric((server, view), row[0])
    yield family
