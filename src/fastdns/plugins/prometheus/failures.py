"""The metric families of queries that were not answered, by reason, and of clients' TCP connections."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from fastdns.metrics._stats import CLOSINGS
from fastdns.metrics.reasons import REASONS
from fastdns.plugins.api import SupervisorView

# Reasons that no thread counts: the kernel had no room for the query, or answering it raised an exception.
SOCKET_FULL = ("socket_full", "none")
PANIC = ("panic", "SERVFAIL")


def failures(server: SupervisorView) -> Iterator[Metric]:
    """All families, read now."""
    slots = server.counted_slots()
    dropped = server.sockets.drops()
    failed = Counter({(reason.name, reason.reply): 0 for reason in REASONS[1:]})
    for slot in slots:
        failed.update(server.stats.failed(slot))
    failed[PANIC] = sum(server.stats.thread(slot)["panics"] for slot in slots)
    failed[SOCKET_FULL] = dropped["udp"]
    queries = CounterMetricFamily(
        "fastdns_queries_failed",
        "Number of queries that were not answered, by reason and by the reply of fastdns.",
        labels=("reason", "reply"),
    )  # fmt: skip
    for name, count in sorted(failed.items()):
        queries.add_metric(name, count)
    yield queries
    yield from connections(server, dropped["tcp"])


def connections(server: SupervisorView, refused: int) -> Iterator[Metric]:
    """The families of TCP connections. refused: by the kernel."""
    slots = server.counted_slots()
    yield GaugeMetricFamily(
        "fastdns_tcp_connections_open", "Number of open TCP connections of clients.",
        sum(server.stats.thread(slot)["connections_open"] for slot in slots),
    )  # fmt: skip
    yield GaugeMetricFamily(
        "fastdns_tcp_held_bytes", "Bytes that TCP connections of clients hold: incomplete or waiting queries, "
        "and unread replies.", sum(server.stats.thread(slot)["connections_bytes"] for slot in slots),
    )  # fmt: skip
    yield GaugeMetricFamily(
        "fastdns_tcp_max_held_bytes", "Limit in bytes on fastdns_tcp_held_bytes.", server.max_held_bytes
    )
    closed = CounterMetricFamily(
        "fastdns_tcp_connections_closed",
        "Number of closed TCP connections of clients, by reason.",
        labels=("reason",),
    )
    for reason in CLOSINGS:
        closed.add_metric((reason,), sum(server.stats.closed(slot)[reason] for slot in slots))
    yield closed
    yield CounterMetricFamily(
        "fastdns_tcp_connections_refused",
        "Number of TCP connections that were refused because a listener's queue was full.",
        refused,
    )  # fmt: skip
