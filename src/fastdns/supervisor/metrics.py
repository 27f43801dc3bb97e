"""What the watcher measures, as cumulative histograms and counters that travel to the supervisor as JSON."""

from __future__ import annotations

import gc
from bisect import bisect_left
from collections.abc import Iterator
from typing import Any

from fastdns.admin.server import Family

PROGRAMMING_BOUNDS_S = tuple(0.001 * 2**i for i in range(20))
# The Prometheus client's default buckets.
DEFAULT_BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

LATENCY = "kubernetes_dns_programming_duration_seconds"
REQUEST_DURATION = "kubernetes_rest_client_request_duration_seconds"
RATE_LIMITER = "kubernetes_rest_client_rate_limiter_duration_seconds"
REQUESTS = "kubernetes_rest_client_requests_total"
RELISTS = "kubernetes_relists_total"
HELD = "kubernetes_held_listings_total"
SNAPSHOTS = "kubernetes_snapshots_total"
LEFT_OUT = "kubernetes_left_out_total"
# Families that CoreDNS does not have.
OWN = {RELISTS, HELD, SNAPSHOTS, LEFT_OUT}

HISTOGRAMS: dict[str, tuple[str, tuple[str, ...], tuple[float, ...]]] = {
    LATENCY: (
        "Histogram of the time (in seconds) it took to program a dns instance.",
        ("service_kind",),
        PROGRAMMING_BOUNDS_S,
    ),
    REQUEST_DURATION: (
        "Request latency in seconds. Broken down by verb and host.",
        ("verb", "host"),
        DEFAULT_BOUNDS_S,
    ),
    RATE_LIMITER: (
        "Client side rate limiter latency in seconds. Broken down by verb and host.",
        ("verb", "host"),
        DEFAULT_BOUNDS_S,
    ),
}
COUNTERS: dict[str, tuple[str, tuple[str, ...]]] = {
    REQUESTS: (
        "Number of HTTP requests, partitioned by status code, method, and host.",
        ("code", "method", "host"),
    ),
    RELISTS: ("Listings of a resource that began afresh, by why.", ("resource", "why")),
    HELD: ("Listings that were not followed at once, as they lacked too much.", ("zone", "resource")),
    LEFT_OUT: ("Objects that were taken without what of them cannot be served, by what.", ("resource", "what")),
    SNAPSHOTS: ("Snapshots written, failed to be, served or refused at a start.", ("zone", "result")),
}
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

    def observe_latency(self, kind: str, seconds: float) -> None:
        """The time from an endpoint's change to its publication. kind: cluster_ip, headless_with_selector."""
        self.observe(LATENCY, (kind,), seconds)

    def request(self, verb: str, host: str, code: str, method: str, seconds: float) -> None:
        """One HTTP request to the API server; code is "<error>" where none came back."""
        self.observe(REQUEST_DURATION, (verb, host), seconds)
        self.series.setdefault((REQUESTS, (code, method, host)), [0.0])[0] += 1

    def rate_limited(self, verb: str, host: str, seconds: float) -> None:
        """How long a request waited for its turn."""
        self.observe(RATE_LIMITER, (verb, host), seconds)

    def relist(self, resource: str, why: str) -> None:
        """A resource is listed afresh."""
        self.series.setdefault((RELISTS, (resource, why)), [0.0])[0] += 1

    def listing_held(self, zone: str, resource: str) -> None:
        """The guard of a cluster holds a listing."""
        self.series.setdefault((HELD, (zone, resource)), [0.0])[0] += 1

    def left_out(self, resource: str, what: str) -> None:
        """Of an object something is not served: "object", "addresses", "names", "ports" or "zones"."""
        self.series.setdefault((LEFT_OUT, (resource, what)), [0.0])[0] += 1

    def snapshot(self, zone: str, result: str) -> None:
        """What became of a snapshot: "written", "failed", "served" or "refused"."""
        self.series.setdefault((SNAPSHOTS, (zone, result)), [0.0])[0] += 1

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
