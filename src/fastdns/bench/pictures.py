"""The plots of a report's page, made from its JSON."""

from __future__ import annotations

import math

from fastdns.bench import plot
from fastdns.bench.report import COLUMNS, JSON, duration

# The marks of the axis of percentiles, which is scaled by nines.
PERCENTS = (0, 50, 90, 99, 99.9, 99.99, 99.999)
MOST_PERCENT = 99.9999


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
        rates = [plot.Line("answers a second", [(one["end_s"], one["answers_per_second"]) for one in course])]
        if any(one["lost"] for one in course):
            rates.append(plot.Line("lost in the interval", [(one["end_s"], one["lost"]) for one in course]))
        values = [value for line in rates for _, value in line.points]
        made.append(plot.lines("Throughput", rates, times, plot.linear(values, lambda value: f"{value:,.0f}")))
        latencies = [
            plot.Line(key.removesuffix("_us"), [(one["end_s"], one[key]) for one in course if one["answered"]])
            for key in ("p50_us", "p99_us", "max_us")
        ]
        values = [value for line in latencies for _, value in line.points]
        axis = plot.logarithmic(values, duration)
        made.append(plot.lines("Latency of the answers of each interval", latencies, times, axis))
    names = {nines(percent): f"{percent:g}%" for percent in PERCENTS}
    percents = plot.Axis(0.0, nines(100), list(names), lambda place: names[place])
    curve = [(nines(percent), us) for percent, us in report["result"]["latency"]["curve"]]
    axis = plot.logarithmic([us for _, us in curve], duration)
    made.append(plot.lines("Latency by percentile", [plot.Line("latency", curve)], percents, axis))
    return made


def versus_plots(report: JSON) -> list[str]:
    """Each figure as bars with spreads, and by round."""
    made = []
    count = report["rounds"]
    for key, title, digits, unit in COLUMNS:
        servers = [server for server in report["servers"] if server[key] is not None]
        if not servers:
            continue
        bars = [
            plot.Bar(server["name"], *(server[key][end] / unit for end in ("median", "min", "max")))
            for server in servers
        ]
        made.append(plot.bars(title, [plot.Group("median (least-most)", bars)], digits=digits))
        if count > 1:
            lines = [
                plot.Line(server["name"], [(i, one[key] / unit) for i, one in enumerate(server["rounds"], 1)])
                for server in servers
                if all(one[key] is not None for one in server["rounds"])
            ]
            rounds = plot.Axis(1, count, range(1, count + 1, max(1, count // 10)), lambda value: f"{value:g}")
            values = [value for line in lines for _, value in line.points]
            made.append(plot.lines(f"{title}, by round", lines, rounds, plot.linear(values, lambda v: f"{v:,g}")))
    return made
