"""The metric families of steps in Python, by plugin."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from fastdns.metrics._stats import layout
from fastdns.metrics.counters import added, buckets, part, zones
from fastdns.metrics.registry import python_row
from fastdns.plugins.api import Plugin, SupervisorView
from fastdns.plugins.order import in_python
from fastdns.serve.python._step import COUNTERS, RESULT_NAMES, SHED_NAMES, TIME_BOUNDS_S


def python_steps(server: SupervisorView) -> Iterator[Metric]:
    """All families; none if no plugin has a step in Python."""
    plugins = in_python(server.config)
    if not plugins:
        return
    queries = CounterMetricFamily(
        "fastdns_python_step_queries", "Number of queries that steps in Python handled, by result.",
        labels=("plugin", "result"),
    )  # fmt: skip
    shed = CounterMetricFamily(
        "fastdns_python_step_shed", "Number of queries that got SERVFAIL at once because steps in Python were "
        "overloaded, by the limit that was reached.", labels=("plugin", "reason"),
    )  # fmt: skip
    times = HistogramMetricFamily(
        "fastdns_python_step_duration_seconds", "Histogram of the time (in seconds) that queries waited for steps "
        "in Python.", labels=("plugin",),
    )  # fmt: skip
    for plugin in plugins:
        counted = iter(counters_of(server, plugin))
        for name in RESULT_NAMES:
            queries.add_metric((plugin.name, name), next(counted))
        for name in SHED_NAMES:
            shed.add_metric((plugin.name, name), next(counted))
        *waited, sum_us = counted
        times.add_metric((plugin.name,), buckets(TIME_BOUNDS_S, waited), sum_us / 1e6)
    yield queries
    yield shed
    yield times
    yield GaugeMetricFamily(
        "fastdns_python_step_waiting", "Number of queries that wait for steps in Python now.",
        sum(server.stats.thread(slot)["python_waiting"] for slot in server.counted_slots()),
    )  # fmt: skip


def counters_of(server: SupervisorView, plugin: Plugin) -> list[float]:
    """The counters of a plugin's steps in Python, all zones together: by COUNTERS."""
    first = server.first_counter(python_row(plugin.name))
    rows = [part(layout(), values, "plugins")[first : first + len(COUNTERS)] for _, values in zones(server)]
    return list(map(float, added([[0] * len(COUNTERS), *rows])))
