"""The metric families of the plugins forward and loop: CoreDNS's, and those that CoreDNS does not have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from fastdns.metrics._stats import DURATION_BOUNDS_S, PROTOS, RCODES, upstream_layout
from fastdns.metrics.counters import added, buckets, part
from fastdns.plugins.api import SupervisorView
from fastdns.plugins.forward.routes import Routes, RouteTable

PROXY_NAME = "forward"
# The label of upstreams that have no counters of their own.
OTHER = "other"
LAYOUT = upstream_layout()
RCODE_SLOTS = LAYOUT["duration"][1][0]
of_upstream = partial(part, LAYOUT)


def families(server: SupervisorView, table: RouteTable) -> Iterator[Metric]:
    """All families. table: the upstreams of this configuration and of all earlier ones."""
    values = {to: counters_of(server, slot) for slot, to in names(table.slots).items()}
    shown = current(server)
    yield from proxies(values, shown)
    yield from whole_plugin(server)
    yield from upstreams(values, shown)
    yield loops(server, table)


def names(slots: Mapping[str, int]) -> dict[int, str]:
    """The label ``to`` of each slot."""
    found: dict[int, str] = {}
    for to, slot in slots.items():
        found[slot] = OTHER if slot in found else to
    return found


def current(server: SupervisorView) -> dict[str, int]:
    """The upstreams of the configuration that serves, with the slots of their counters."""
    routes: Routes | None = server.prepared("forward")
    return {} if routes is None else {route.upstream.to: route.slot for route in routes.upstreams}


def counters_of(server: SupervisorView, slot: int) -> list[int]:
    """The counters of one upstream, summed over all threads."""
    return added(server.stats.upstream_values(thread, slot) for thread in server.counted_slots())


def proxies(values: Mapping[str, list[int]], shown: Mapping[str, int]) -> Iterator[Metric]:
    """coredns_proxy_*. As in CoreDNS, only the family of failed health checks shows zeros; others begin at one."""
    durations = HistogramMetricFamily(
        "coredns_proxy_request_duration_seconds", "Histogram of the time each request took.",
        labels=("proxy_name", "to", "rcode"),
    )  # fmt: skip
    failures = CounterMetricFamily(
        "coredns_proxy_healthcheck_failures", "Counter of the number of failed healthchecks.",
        labels=("proxy_name", "to"),
    )  # fmt: skip
    misses, hits = (
        CounterMetricFamily(
            f"coredns_proxy_conn_cache_{name}",
            f"Counter of connection cache {name} per upstream and protocol.",
            labels=("proxy_name", "to", "proto"),
        )
        for name in ("misses", "hits")
    )
    for to, counts in values.items():
        for rcode in range(RCODE_SLOTS):
            replies = of_upstream(counts, "duration", rcode)
            if any(replies):
                durations.add_metric(
                    (PROXY_NAME, to, RCODES.get(rcode, str(rcode))),
                    buckets(DURATION_BOUNDS_S, replies),
                    of_upstream(counts, "duration_sum_ns", rcode) / 1e9,
                )
        failed = of_upstream(counts, "failed_probes")
        if failed or to in shown:
            failures.add_metric((PROXY_NAME, to), failed)
        for reused, family in enumerate((misses, hits)):
            for proto, count in zip(PROTOS, of_upstream(counts, "connections", reused), strict=True):
                if count:
                    family.add_metric((PROXY_NAME, to, proto), count)
    yield from (durations, failures, hits, misses)


def whole_plugin(server: SupervisorView) -> Iterator[Metric]:
    """The families that have no label for the upstream."""
    threads = [server.stats.thread(slot) for slot in server.counted_slots()]

    def total(name: str) -> int:
        return sum(thread[name] for thread in threads)

    for family, documentation, name in (
        (
            "coredns_forward_healthcheck_broken",
            "Counter of the number of complete failures of the healthchecks.",
            "all_down",
        ),
        (
            "coredns_forward_max_concurrent_rejects",
            "Counter of the number of queries rejected because the concurrent queries were at maximum.",
            "concurrent_rejects",
        ),
        ("fastdns_forward_parked", "Number of queries that were suspended to wait for upstreams.", "parked"),
        ("fastdns_forward_joined", "Number of suspended queries that joined an equal outstanding query.", "joined"),
        (
            "fastdns_forward_mismatched",
            "Number of replies that match no outstanding query: late, stray or forged.",
            "mismatched",
        ),
        ("fastdns_forward_malformed", "Number of replies that are not valid DNS messages.", "malformed"),
        (
            "fastdns_forward_streams_shed",
            "Number of attempts over TCP, TLS and HTTPS not made because room, connections or descriptors ran out.",
            "streams_shed",
        ),
    ):
        yield CounterMetricFamily(family, documentation, total(name))
    yield GaugeMetricFamily(
        "fastdns_forward_waiting", "Number of queries that wait for upstreams now.", total("waiting")
    )


def upstreams(values: Mapping[str, list[int]], shown: Mapping[str, int]) -> Iterator[Metric]:
    """fastdns's families with the label ``to``: samples for upstreams in use, and for earlier ones with a count."""
    for name, documentation in (
        ("timeouts", "Number of attempts without a reply within read_timeout."),
        ("silent", "Number of attempts without a reply within the adaptive timeout, after which another was made."),
        ("refused", "Number of attempts that the upstream's host refused."),
        ("broken", "Number of attempts over TCP, TLS or HTTPS whose connection failed before the reply."),
        (
            "passed_over",
            "Number of replies with SERVFAIL or a code of failover, after which another upstream was asked.",
        ),
        ("truncated", "Number of truncated replies over UDP that were asked for again over TCP."),
    ):
        family = CounterMetricFamily(f"fastdns_forward_{name}", documentation, labels=("to",))
        for to, counts in values.items():
            count = of_upstream(counts, name)
            if count or to in shown:
                family.add_metric((to,), count)
        yield family


def loops(server: SupervisorView, table: RouteTable) -> Metric:
    """The upstreams that loop has cut off."""
    family = GaugeMetricFamily(
        "fastdns_forward_loops",
        "1 for an upstream that is not asked because it sends queries back to this server, otherwise 0.",
        labels=("to",),
    )  # fmt: skip
    for to, slot in current(server).items():
        family.add_metric((to,), table.shared.is_cut(slot))
    return family
