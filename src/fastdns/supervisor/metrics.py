"""What the watcher measures, as cumulative histograms and counters that travel to the supervisor as JSON."""

from __future__ import annotations

import gc
from bisect import bisect_left
from collections.abc import Iterator
from typing import Any

from fastdns.admin.server import Family
from fastdns.plugins.kubernetes.metrics import COUNTERS, HISTOGRAMS, OWN

# Names of the Prometheus client for Python, with the field of gc.get_stats; the label process is ours.
GARBAGE: dict[str, tuple[str, str]] = {
    "python_gc_objects_collected_total": ("Objects collected during gc", "collected"),
    "python_gc_objects_uncollectable_total": ("Uncollectable objects found during GC", "uncollectable"),
    "python_gc_collections_total": ("Number of times this generation was collected", "collections"),
}

Series = dict[tuple[str, tuple[str, ...]], list[float]]


def garbage_series(process: str) -> Series:
    """What the garbage collector of this process has done. One that was forked begins at its parent's."""
    return {
        (name, (process, str(generation))): [float(stats[field])]
        for generation, stats in enumerate(gc.get_stats())
        for name, (_, field) in GARBAGE.items()
    }


class WatcherMetrics:
    """Filled by sources and sinks. A series is a list: buckets, +Inf and sum of a histogram, or one count."""

    def __init__(self) -> None:
        self.series: Series = {}
        self.garbage_before = garbage_series("watcher")

    def observe(self, name: str, labels: tuple[str, ...], value: float) -> None:
        """Add one value to a histogram."""
        bounds = HISTOGRAMS[name][2]
        series = self.series.setdefault((name, labels), [0.0] * (len(bounds) + 2))
        series[bisect_left(bounds, value)] += 1
        series[-1] += value

    def count(self, name: str, labels: tuple[str, ...]) -> None:
        """Add one to a counter."""
        self.series.setdefault((name, labels), [0.0])[0] += 1

    def report(self) -> list[Any]:
        """Everything since the process began, as JSON can carry it."""
        garbage = garbage_series("watcher")
        for key, before in self.garbage_before.items():
            garbage[key][0] -= before[0]
        series = self.series | garbage
        return [[name, list(labels), values] for (name, labels), values in series.items()]


class WatcherTotals:
    """The sum over the watchers that have been, in the supervisor. A new watcher begins at nothing."""

    def __init__(self) -> None:
        self.before: Series = {}
        self.current: Series = {}

    def update(self, report: list[Any]) -> None:
        """Take the running watcher's report. What does not have the shape is left out."""
        for entry in report:
            name, labels, values = entry
            if name in HISTOGRAMS or name in COUNTERS or name in GARBAGE:
                self.current[name, tuple(labels)] = values

    def restart(self) -> None:
        """The watcher has ended: what it counted stays."""
        self.before = self.series()
        self.current = {}

    def series(self) -> Series:
        """The totals by name and label values."""
        totals = {key: list(values) for key, values in self.before.items()}
        for key, values in self.current.items():
            base = totals.get(key)
            totals[key] = list(values) if base is None else [a + b for a, b in zip(base, values, strict=True)]
        return totals

    def families(self, *, runtime: bool) -> Iterator[Family]:
        """Every family with its series; with runtime the garbage collectors', too, this process's own included."""
        found: dict[str, list[tuple[tuple[str, ...], list[float]]]] = {}
        series = self.series() | garbage_series("supervisor") if runtime else self.series()
        for (name, labels), values in series.items():
            found.setdefault(name, []).append((labels, values))
        for name, (documentation, keys, bounds) in HISTOGRAMS.items():
            yield Family(f"coredns_{name}", documentation, keys, bounds, found.get(name, []))
        for name, (documentation, keys) in COUNTERS.items():
            prefix = "fastdns" if name in OWN else "coredns"
            yield Family(f"{prefix}_{name}", documentation, keys, None, found.get(name, []))
        if runtime:
            for name, (documentation, _) in GARBAGE.items():
                yield Family(name, documentation, ("process", "generation"), None, found.get(name, []))
