"""What became of the messages, by destination."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from fastdns.plugins.dnstap.draining import Draining

LABELS = ("destination",)


def families(draining: Draining) -> Iterator[Metric]:
    """All families."""
    sent = CounterMetricFamily(
        "fastdns_dnstap_messages", "Counter of dnstap messages that were given to a connection.", labels=LABELS
    )
    lost = CounterMetricFamily(
        "fastdns_dnstap_dropped_messages",
        "Counter of dnstap messages that were dropped: nobody took them, or not in time.", labels=LABELS,
    )  # fmt: skip
    connected = GaugeMetricFamily(
        "fastdns_dnstap_connections", "Gauge of connections that dnstap messages are sent on.", labels=LABELS
    )
    for destination, messages, dropped, connections in draining.counts():
        sent.add_metric((destination,), messages)
        lost.add_metric((destination,), dropped)
        connected.add_metric((destination,), connections)
    yield from (sent, lost, connected)
