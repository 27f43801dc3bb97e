"""The families of template."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, Metric

from fastdns.dns import mnemonics
from fastdns.metrics._labelled import LabelledCounters
from fastdns.plugins.template.counters import MATCH, RR_FAILURE, TEMPLATE_FAILURE, class_name

LABELS = ("server", "zone", "view", "class", "type")
FAMILIES = (
    (MATCH, "coredns_template_matches", "Counter of template regex matches.", LABELS),
    (
        TEMPLATE_FAILURE, "coredns_template_template_failures", "Counter of go template failures.",
        (*LABELS, "section", "template"),
    ),
    (
        RR_FAILURE, "coredns_template_rr_failures", "Counter of mis-templated RRs.",
        (*LABELS, "section", "template"),
    ),
)  # fmt: skip


def families(counters: LabelledCounters, zone_slots: Mapping[tuple[str, str, str], int]) -> Iterator[Metric]:
    """Every family; samples of what was counted. zone_slots: (server, zone, view) to the slot of its counters."""
    places = {slot: labels for labels, slot in zone_slots.items()}
    sums: Counter[tuple[int, tuple[str, ...]]] = Counter()
    for (slot, labels, kind, qtype), count in counters.counts():
        server, _, view = places.get(slot, ("", "", ""))
        zone, *record = map(str, labels)
        values = (server, zone, view, class_name(kind), mnemonics.TYPES.get(qtype, ""), *record)
        sums[kind >> 3, values] += count
    for what, name, documentation, label_names in FAMILIES:
        family = CounterMetricFamily(name, documentation, labels=label_names)
        for (kind, values), count in sorted(sums.items()):
            if kind == what:
                family.add_metric(values, count)
        yield family
