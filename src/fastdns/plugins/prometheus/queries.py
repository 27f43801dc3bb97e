"""What zones have been asked and have answered: CoreDNS's families coredns_dns_*."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric

from fastdns.corefile.labels import PROTOS, PROTOS_AND_FAMILIES, block_of_zones
from fastdns.corefile.model import ServerBlock, ServerConfig
from fastdns.metrics._stats import DURATION_BOUNDS_S, RCODES, SIZE_BOUNDS, TYPES, layout
from fastdns.metrics.counters import buckets, part, zones
from fastdns.metrics.responses import responses as responses_by_status
from fastdns.plugins.api import SupervisorView
from fastdns.plugins.order import load, with_step

# CoreDNS's families of these transports: what they say of themselves.
BY_STATUS = {
    "https": "Counter of DoH responses per server and http status code.",
    "https3": "Counter of DoH3 responses per server and http status code.",
    "quic": "Counter of DoQ responses per server and QUIC application code.",
}
of_zone = partial(part, layout())
SERVER_LABELS = ("server", "zone", "view")


def next_plugin(block: ServerBlock) -> str:
    """The plugin after the one that counts: CoreDNS's label ``plugin``."""
    chain = list(with_step(block.plugins))
    for name, after in zip(chain, [*chain[1:], ""], strict=True):
        if load(name).settings(block.plugins[name]).counted:
            return after
    return ""


def next_plugins(config: ServerConfig) -> dict[tuple[str, str, str], str]:
    """By the labels server, zone and view."""
    return {labels: next_plugin(config.blocks[index]) for labels, index in block_of_zones(config)}


def queries(server: SupervisorView) -> Iterator[Metric]:
    """Requests and responses, by server, zone and view."""
    requests = CounterMetricFamily(
        "coredns_dns_requests", "Counter of DNS requests made per zone, protocol and family.",
        labels=(*SERVER_LABELS, "proto", "family", "type"),
    )  # fmt: skip
    durations = HistogramMetricFamily(
        "coredns_dns_request_duration_seconds",
        "Histogram of the time (in seconds) each request took per zone.",
        labels=SERVER_LABELS,
    )  # fmt: skip
    request_sizes = HistogramMetricFamily(
        "coredns_dns_request_size_bytes", "Size of the EDNS0 UDP buffer in bytes (64K for TCP) per zone and "
        "protocol.", labels=(*SERVER_LABELS, "proto"),
    )  # fmt: skip
    response_sizes = HistogramMetricFamily(
        "coredns_dns_response_size_bytes", "Size of the returned response in bytes.",
        labels=(*SERVER_LABELS, "proto"),
    )  # fmt: skip
    do_requests = CounterMetricFamily(
        "coredns_dns_do_requests", "Counter of DNS requests with DO bit set per zone.", labels=SERVER_LABELS
    )
    responses = CounterMetricFamily(
        "coredns_dns_responses", "Counter of response status codes.",
        labels=(*SERVER_LABELS, "rcode", "plugin"),
    )  # fmt: skip
    after = next_plugins(server.config)
    for labels, values in zones(server):
        for which, (proto, family) in enumerate(PROTOS_AND_FAMILIES):
            for number, count in enumerate(of_zone(values, "requests", which)[: len(TYPES)]):
                if count:
                    requests.add_metric((*labels, proto, family, TYPES[number]), count)
        for by_plugin in (0, 1):
            plugin = after.get(labels, "") if by_plugin else ""
            for rcode, count in enumerate(of_zone(values, "responses", by_plugin)):
                if count:
                    responses.add_metric((*labels, RCODES.get(rcode, f"RCODE{rcode}"), plugin), count)
        if of_zone(values, "do_requests"):
            do_requests.add_metric(labels, of_zone(values, "do_requests"))
        durations.add_metric(
            labels,
            buckets(DURATION_BOUNDS_S, of_zone(values, "duration")),
            of_zone(values, "duration_sum_ns") / 1e9,
        )
        for index, proto in enumerate(PROTOS):
            for family_, field in ((request_sizes, "request_bytes"), (response_sizes, "response_bytes")):
                counts = of_zone(values, field, index)
                if any(counts):
                    family_.add_metric(
                        (*labels, proto), buckets(SIZE_BOUNDS, counts), of_zone(values, f"{field}_sum", index)
                    )
    yield from (requests, durations, request_sizes, response_sizes, do_requests, responses)
    yield from by_status(server.config)


def by_status(config: ServerConfig) -> Iterator[Metric]:
    """Responses of the transports that have statuses of their own, where there is such a listener."""
    served = {listener.transport for listener in config.listeners}
    counts = responses_by_status().sums()
    for scheme, help_text in BY_STATUS.items():
        if scheme not in served:
            continue
        family = CounterMetricFamily(f"coredns_dns_{scheme}_responses", help_text, labels=("server", "status"))
        for labels, count in counts.items():
            of, server, status = labels
            if of == scheme:
                family.add_metric((str(server), str(status)), count)
        yield family
