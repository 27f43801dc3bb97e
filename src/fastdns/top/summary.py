"""Two readings of a server made into what people look at: the JSON of ``fastdns top --json``."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from fastdns.top.reading import Reading

SCHEMA = "fastdns-top-view/1"
QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
# Attempts to ask an upstream that were in vain.
FAILED_ATTEMPTS = (
    "fastdns_forward_timeouts_total", "fastdns_forward_refused_total", "fastdns_forward_broken_total",
    "coredns_proxy_healthcheck_failures_total",
)  # fmt: skip
TABLES = ("clients", "names", "nxdomains", "slow")

# Buckets of a histogram: their upper bounds, and how much is at or below each.
Histogram = Mapping[float, float]


def grown(before: float, after: float) -> float:
    """By how much a counter has grown. A server that was started anew has counted from 0."""
    return after - before if after >= before else after


class Interval:
    """What has changed from one reading to the next."""

    def __init__(self, before: Reading, after: Reading) -> None:
        self.before = before
        self.after = after
        self.seconds = max(after.at_s - before.at_s, 1e-3)

    def by(self, name: str, label: str) -> dict[str, float]:
        """By how much the counters of a metric have grown, by one of their labels."""
        past: dict[tuple[tuple[str, str], ...], float] = {
            tuple(sorted(labels.items())): value for labels, value in self.before.of(name)
        }
        found: dict[str, float] = defaultdict(float)
        for labels, value in self.after.of(name):
            found[labels.get(label, "")] += grown(past.get(tuple(sorted(labels.items())), 0.0), value)
        return dict(found)

    def total(self, name: str) -> float:
        """By how much all counters of a metric have grown together."""
        return sum(self.by(name, "").values())

    def rates(self, name: str, label: str) -> dict[str, float]:
        """The same by label, each second; the largest first. What stood still is left out."""
        found = sorted(self.by(name, label).items(), key=lambda item: (-item[1], item[0]))
        return {key: round(value / self.seconds, 3) for key, value in found if value}

    def histograms(self, name: str, label: str = "") -> dict[str, dict[float, float]]:
        """What was observed meanwhile, by a label."""
        found: dict[str, dict[float, float]] = defaultdict(lambda: defaultdict(float))
        past = {tuple(sorted(labels.items())): value for labels, value in self.before.of(f"{name}_bucket")}
        for labels, value in self.after.of(f"{name}_bucket"):
            more = grown(past.get(tuple(sorted(labels.items())), 0.0), value)
            found[labels.get(label, "")][float(labels.get("le", "inf"))] += more
        return {key: dict(buckets) for key, buckets in found.items()}


def quantile(buckets: Histogram, part: float) -> float | None:
    """As histogram_quantile of Prometheus: the value in its bucket by interpolation. None: nothing was observed."""
    bounds = sorted(buckets)
    if not bounds or not buckets[bounds[-1]]:
        return None
    wanted = part * buckets[bounds[-1]]
    low = below = 0.0
    for bound in bounds:
        if buckets[bound] >= wanted and buckets[bound] > below:
            if math.isinf(bound):
                return low
            return low + (bound - low) * (wanted - below) / (buckets[bound] - below)
        low, below = bound, buckets[bound]
    return low


def quantiles(buckets: Histogram) -> dict[str, float] | None:
    """Percentiles, in seconds."""
    found = {name: quantile(buckets, part) for name, part in QUANTILES.items()}
    return {name: round(value, 6) for name, value in found.items() if value is not None} or None


def summed(reading: Reading, name: str) -> float | None:
    """The sum of a metric's samples; None where it has none."""
    values = [value for _, value in reading.of(name)]
    return sum(values) if values else None


def labels_of(reading: Reading, name: str) -> Mapping[str, str]:
    """The labels of a metric's first sample."""
    return next((labels for labels, _ in reading.of(name)), {})


def cache_of(interval: Interval) -> dict[str, Any] | None:
    """Hits and entries of all caches; None without a cache."""
    entries = summed(interval.after, "coredns_cache_entries")
    if entries is None:
        return None
    hits = interval.total("coredns_cache_hits_total")
    asked = hits + interval.total("coredns_cache_misses_total")
    return {"entries": int(entries), "hit_ratio": round(hits / asked, 4) if asked else None}


def workers_of(interval: Interval) -> list[dict[str, Any]]:
    """CPUs that each worker uses, and what it answers each second, as far as the server tells."""
    before, after = ((reading.tables or {}).get("workers", ()) for reading in (interval.before, interval.after))
    past = {worker["pid"]: worker for worker in before}
    found = []
    for worker in after:
        was = past.get(worker["pid"], {"cpu_seconds": 0.0, "queries": 0})
        found.append(
            {
                "process": worker["process"],
                "pid": worker["pid"],
                "cpus": round(grown(was["cpu_seconds"], worker["cpu_seconds"]) / interval.seconds, 3),
                "queries_per_second": round(grown(was["queries"], worker["queries"]) / interval.seconds, 1),
            }
        )
    if not found:
        cpus = interval.rates("fastdns_process_cpu_seconds_total", "process")
        found = [
            {"process": name, "pid": None, "cpus": cpus[name], "queries_per_second": None} for name in sorted(cpus)
        ]
    return found


def upstreams_of(interval: Interval) -> list[dict[str, Any]]:
    """Each upstream: what it answers each second, how fast, and how many attempts are in vain."""
    name = "coredns_proxy_request_duration_seconds"
    histograms = interval.histograms(name, "to")
    replies = interval.by(f"{name}_count", "to")
    failed: dict[str, float] = defaultdict(float)
    for metric in FAILED_ATTEMPTS:
        for to, count in interval.by(metric, "to").items():
            failed[to] += count
    loops = {labels.get("to", "") for labels, value in interval.after.of("fastdns_forward_loops") if value}
    return [
        {
            "to": to,
            "replies_per_second": round(replies.get(to, 0.0) / interval.seconds, 1),
            "latency_seconds": quantiles(histograms.get(to, {})),
            "failures_per_second": round(failed.get(to, 0.0) / interval.seconds, 2),
            "loop": to in loops,
        }
        for to in sorted({*replies, *failed})
    ]


def cluster_of(interval: Interval) -> dict[str, Any] | None:
    """How fast changes of the cluster come into answers; None where no cluster is followed."""
    name = "coredns_kubernetes_dns_programming_duration_seconds"
    samples = interval.after.of("fastdns_kubernetes_snapshot_age_seconds")
    ages = {labels.get("zone", ""): value for labels, value in samples}
    if not ages and name + "_bucket" not in interval.after.samples:
        return None
    # Changes are rare: since the start, not since the last reading.
    ever = Interval(Reading(0.0), interval.after).histograms(name)
    return {
        "programming_seconds": quantiles(ever.get("", {})),
        "changes_per_second": round(interval.total(f"{name}_count") / interval.seconds, 2),
        "snapshot_age_seconds": ages,
    }


def summary(url: str, before: Reading, after: Reading, rows: int, now_s: float) -> dict[str, Any]:
    """All of it. now_s: Unix time."""
    interval = Interval(before, after)
    latency = interval.histograms("coredns_dns_request_duration_seconds").get("", {})
    rates: Callable[[str, str], dict[str, float]] = interval.rates
    started = summed(after, "process_start_time_seconds")
    return {
        "schema": SCHEMA,
        "url": url,
        "version": labels_of(after, "coredns_build_info").get("version"),
        "uptime_seconds": round(now_s - started, 1) if started else None,
        "interval_seconds": round(interval.seconds, 3),
        "queries_per_second": round(interval.total("fastdns_queries_total") / interval.seconds, 1),
        "rcodes": rates("coredns_dns_responses_total", "rcode"),
        "types": rates("coredns_dns_requests_total", "type"),
        "failed": rates("fastdns_queries_failed_total", "reason"),
        "latency_seconds": quantiles(latency),
        "cache": cache_of(interval),
        "cpus": round(interval.total("process_cpu_seconds_total") / interval.seconds, 3),
        "memory_bytes": summed(after, "process_resident_memory_bytes"),
        "workers": workers_of(interval),
        "upstreams": upstreams_of(interval),
        "kubernetes": cluster_of(interval),
        "top": None
        if after.tables is None
        else {key: value[:rows] if key in TABLES else value for key, value in after.tables.items()},
    }
