"""Counters of what a listener's threads drop before it is known which block it is for."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily

from fastdns.corefile.labels import DROPPED, server_name
from fastdns.metrics._stats import layout
from fastdns.metrics.counters import zones
from fastdns.plugins.api import SupervisorView


def dropped(
    supervisor: SupervisorView, plugin: str, reasons: tuple[str, ...], name: str, text: str
) -> Iterator[CounterMetricFamily]:
    """The metric of each listener that has a block with the plugin.

    reasons: what the plugin's own counters count, in their order.
    """
    config = supervisor.config
    first = layout()["plugins"][0] + supervisor.first_counter(plugin)
    using = {block.index for block, _ in config.with_plugin(plugin)}
    counted = {server: values for (server, zone, _), values in zones(supervisor) if zone == DROPPED}
    family = CounterMetricFamily(name, text, labels=("server", "reason"))
    for listener in config.listeners:
        if using.isdisjoint(index for _, index in listener.zones):
            continue
        server = server_name(listener)
        for at, reason in enumerate(reasons, first):
            family.add_metric((server, reason), counted[server][at] if server in counted else 0)
    yield family
