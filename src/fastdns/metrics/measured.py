"""What the watcher's sources measure: histograms and counters that go to the supervisor as JSON."""

from __future__ import annotations

import gc
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

# Names of the Prometheus client for Python, with the field of gc.get_stats; the label process is ours.
GARBAGE: dict[str, tuple[str, str]] = {
    "python_gc_objects_collected_total": ("Objects collected during gc", "collected"),
    "python_gc_objects_uncollectable_total": ("Uncollectable objects found during GC", "uncollectable"),
    "python_gc_collections_total": ("Number of times this generation was collected", "collections"),
}

@dataclass(frozen=True, slots=True)
class Measure:
    """A metric family that a Source measures. bounds: of a histogram's buckets; None: a counter."""

    documentation: str
    labels: tuple[str, ...]
    bounds: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class Family:
    """A metric that another process measured. bounds: of a histogram's buckets; None: a counter.

    series: label values, and the numbers: of a histogram its buckets, +Inf and sum, of a counter one.
    """

    name: str
    documentation: str
    labels: tuple[str, ...]
    bounds: tuple[float, ...] | None
    series: list[tuple[tuple[str, ...], list[float]]]


Series = dict[tuple[str, tuple[str, ...]], list[float]]


def garbage_series(process: str) -> Series:
    """What the garbage collector of this process has done. One that was forked begins at its parent's."""
    return {
        (name, (process, str(generation))): [float(stats[field])]
        for generation, stats in enumerate(gc.get_stats())
        for name, (_, field) in GARBAGE.items()
    }


class WatcherMetrics:
    """Filled by sources. A series is a list: buckets, +Inf and sum of a histogram, or one count.

    refused: what refuse calls.
    """

    def __init__(
        self, measures: Mapping[str, Measure], refused: Callable[[int, str], object] = lambda number, why: None
    ) -> None:
        self.measures = measures
        self.refused = refused
        self.series: Series = {}
        self.garbage_before = garbage_series("watcher")

    def observe(self, name: str, labels: tuple[str, ...], value: float) -> None:
        """Add one value to a histogram."""
        bounds = self.measures[name].bounds or ()
        series = self.series.setdefault((name, labels), [0.0] * (len(bounds) + 2))
        series[bisect_left(bounds, value)] += 1
        series[-1] += value

    def count(self, name: str, labels: tuple[str, ...]) -> None:
        """Add one to a counter."""
        self.series.setdefault((name, labels), [0.0])[0] += 1

    def refuse(self, number: int, why: str) -> None:
        """What a source has found: nothing may be begun with it. See Recorder."""
        self.refused(number, why)

    def report(self) -> list[Any]:
        """Everything since the process began, as JSON can carry it."""
        garbage = garbage_series("watcher")
        for key, before in self.garbage_before.items():
            garbage[key][0] -= before[0]
        series = self.series | garbage
        return [[name, list(labels), values] for (name, labels), values in series.items()]


class WatcherTotals:
    """The sum over the watchers that have been, in the supervisor. A new watcher begins at nothing.

    measures: those of the plugins that have been met.
    """

    def __init__(self) -> None:
        self.measures: dict[str, Measure] = {}
        self.before: Series = {}
        self.current: Series = {}

    def update(self, report: list[Any]) -> None:
        """Take the running watcher's report. What does not have the shape is left out."""
        for entry in report:
            name, labels, values = entry
            if name in self.measures or name in GARBAGE:
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
        for name, measure in self.measures.items():
            yield Family(name, measure.documentation, measure.labels, measure.bounds, found.get(name, []))
        if runtime:
            for name, (documentation, _) in GARBAGE.items():
                yield Family(name, documentation, ("process", "generation"), None, found.get(name, []))
