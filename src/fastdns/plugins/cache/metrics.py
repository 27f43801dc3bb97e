"""The families of cache: what it has counted by server and zone, and how many entries it has now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from fastdns.corefile.labels import block_of_zones
from fastdns.corefile.model import ServerConfig
from fastdns.metrics._stats import layout
from fastdns.metrics.counters import ZoneValues
from fastdns.plugins.cache.counters import NAMES
from fastdns.plugins.cache.shared import SharedCache

LABELS = ("server", "zones", "view")
TYPE_LABELS = ("server", "type", "zones", "view")
HALVES: tuple[Literal["success", "denial"], ...] = ("success", "denial")

# The counters without a type: name, documentation, field.
COUNTERS = (
    ("requests", "The count of cache requests.", "requests"),
    ("misses", "The count of cache misses. Deprecated, derive misses from cache hits/requests counters.", "misses"),
    ("prefetch", "The number of times the cache has prefetched a cached item.", "prefetches"),
    ("drops", "The number of responses that were to be cached, and were too large.", "drops"),
    ("served_stale", "The number of requests served from stale cache entries.", "served_stale"),
)
TYPED_COUNTERS = (
    ("hits", "The count of cache hits.", "hits"),
    ("evictions", "The count of cache evictions.", "evictions"),
)

FIRST, _ = layout()["plugins"]

# The labels server, zones and view: blocks that have the same ones are counted together.
Place = tuple[str, str, str]


def families(
    config: ServerConfig, caches: Iterable[SharedCache], zones: Iterable[ZoneValues], first_counter: int = 0
) -> Iterator[Metric]:
    """Every family, with a sample of each server and view that has a cache. zones: summed over threads.

    first_counter: of the cache's, in a zone.
    """
    by_block = {shared.block: shared for shared in caches}
    if not by_block:
        return
    places = dict[Place, set[int]]()
    place_of = dict[tuple[str, str, str], Place]()
    for labels, block in block_of_zones(config):
        if block in by_block:
            place = labels[0], ",".join(config.blocks[block].plugins["cache"].zones), labels[2]
            places.setdefault(place, set()).add(block)
            place_of[labels] = place
    counted = _by_place(place_of, zones, FIRST + first_counter)
    entries = GaugeMetricFamily("coredns_cache_entries", "The number of elements in the cache.", labels=TYPE_LABELS)
    for (server, of, view), blocks in places.items():
        for half in HALVES:
            count = sum(by_block[block].cache.entries(half) for block in blocks)
            entries.add_metric((server, half, of, view), count)
    yield entries
    for name, documentation, field in TYPED_COUNTERS:
        family = CounterMetricFamily(f"coredns_cache_{name}", documentation, labels=TYPE_LABELS)
        for place in places:
            server, of, view = place
            for half in HALVES:
                family.add_metric((server, half, of, view), counted.get(place, {}).get(f"{field}_{half}", 0))
        yield family
    for name, documentation, field in COUNTERS:
        family = CounterMetricFamily(f"coredns_cache_{name}", documentation, labels=LABELS)
        for place in places:
            family.add_metric(place, counted.get(place, {}).get(field, 0))
        yield family


def _by_place(
    place_of: Mapping[tuple[str, str, str], Place], zones: Iterable[ZoneValues], at: int
) -> dict[Place, dict[str, int]]:
    """What the zones of each place have counted together, by field."""
    found: dict[Place, dict[str, int]] = {}
    for labels, values in zones:
        place = place_of.get(labels)
        if place is not None:
            sums = found.setdefault(place, {})
            for field, value in zip(NAMES, values[at : at + len(NAMES)], strict=True):
                sums[field] = sums.get(field, 0) + value
    return found
