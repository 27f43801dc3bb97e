"""The plots of a report's page, made from its JSON."""

from __future__ import annotations

import math

from fastdns.bench import plot
from fastdns.bench.report import COLUMNS, JSON, duration

# The marks of the axis of percentiles, which is scaled by nines.
PERCENTS = (0, 50, 90, 99, 99.9, 99.99, 99.999)
MOST_PERCENT = 99.9999
TIME = "time since the start"
LATENCY = "latency"
# What the bars of each figure show, and in what unit.
TITLES = {
    "queries_per_second": "Queries answered a second",
    "cpu_us_per_query": "CPU time of the server for a query, us",
    "p50_us": "Latency, median (p50), us",
    "p99_us": "Latency, p99, us",
    "p99.9_us": "Latency, p99.9, us",
    "pss_kib": "Memory of the server (PSS), MiB",
}


def nines(percent: float) -> float:
    """The place of a percentile on the axis: 0 at 0%, 1 at 90%, 2 at 99%."""
    return -math.log10(1 - min(percent, MOST_PERCENT) / 100)


def run_plots(report: JSON) -> list[str]:
    """Throughput and latency over a run, and latency by percentile."""
    made = []
    course = report["course"]
    if course:
        end_s = course[-1]["end_s"]
        marks = [at for at in plot.linear([end_s], str).ticks if at <= end_s]
        times = plot.Axis(0.0, end_s, marks, lambda value: f"{value:g} s")
        rates = [plot.Line("answers", [(one["end_s"], one["answers_per_second"]) for one in course])]
        if any(one["lost"] for one in course):
            begins_s = [0.0, *(one["end_s"] for one in course)]
            lost = [one["lost"] / max(1e-3, one["end_s"] - begin_s)
                    for begin_s, one in zip(begins_s, course, strict=False)]  # fmt: skip
            ends_s = [one["end_s"] for one in course]
            rates.append(plot.Line("lost queries", list(zip(ends_s, lost, strict=True))))
        values = [value for line in rates for _, value in line.points]
        axis = plot.linear(values, lambda value: f"{value:,.0f}")
        made.append(plot.lines("Throughput", rates, times, axis, x_label=TIME, y_label="a second"))
        latencies = [
            plot.Line(key.removesuffix("_us"), [(one["end_s"], one[key]) for one in course if one["answered"]])
            for key in ("p50_us", "p99_us", "max_us")
        ]
        values = [value for line in latencies for _, value in line.points]
        axis = plot.logarithmic(values, duration)
        title = "Latency of the answers of each interval"
        if values:
            made.append(plot.lines(title, latencies, times, axis, x_label=TIME, y_label=LATENCY))
    if not report["result"]["answered"]:
        return made
    names = {nines(percent): f"{percent:g}%" for percent in PERCENTS}
    percents = plot.Axis(0.0, nines(100), list(names), lambda place: names[place])
    curve = [(nines(percent), us) for percent, us in report["result"]["latency"]["curve"]]
    axis = plot.logarithmic([us for _, us in curve], duration)
    line, x_label = plot.Line("latency", curve), "share of the answers"
    made.append(plot.lines("Latency by percentile", [line], percents, axis, x_label=x_label, y_label=LATENCY))
    return made


def versus_plots(report: JSON) -> list[str]:
    """Each figure once, as bars with spreads. The rounds are in the report."""
    made = []
    for key, _, digits, unit in COLUMNS:
        servers = [server for server in report["servers"] if server[key] is not None]
        if not servers:
            continue
        bars = [
            plot.Bar(server["name"], *(server[key][end] / unit for end in ("median", "min", "max")))
            for server in servers
        ]
        group = plot.Group("median (least-most of the rounds)", bars)
        made.append(plot.bars(TITLES[key], [group], digits=digits))
    return made
