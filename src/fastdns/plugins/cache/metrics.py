"""The families of cache: what it has counted by server and zone, and how many entries it has now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from fastdns.corefile.labels import server_name
from fastdns.corefile.model import ServerConfig
from fastdns.metrics._stats import layout
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

# What one (server, zone) has counted: see _stats.layout.
ZoneValues = tuple[tuple[str, str], list[int]]


def families(
    config: ServerConfig, caches: Iterable[SharedCache], zones: Iterable[ZoneValues], first_counter: int = 0
) -> Iterator[Metric]:
    """Every family, with a sample of each server that has a block with a cache. zones: summed over threads.

    first_counter: of the cache's, in a zone.
    """
    by_block = {shared.block: shared for shared in caches}
    if not by_block:
        return
    counted = _by_server(config, zones, FIRST + first_counter)
    places = [
        (server_name(listener), block)
        for listener in config.listeners
        for block in sorted({index for _, index in listener.zones} & by_block.keys())
    ]
    entries = GaugeMetricFamily("coredns_cache_entries", "The number of elements in the cache.", labels=TYPE_LABELS)
    for server, block in places:
        for half in HALVES:
            labels = (server, half, _zones_label(config, block), "")
            entries.add_metric(labels, by_block[block].cache.entries(half))
    yield entries
    for name, documentation, field in TYPED_COUNTERS:
        family = CounterMetricFamily(f"coredns_cache_{name}", documentation, labels=TYPE_LABELS)
        for server, block in places:
            for half in HALVES:
                labels = (server, half, _zones_label(config, block), "")
                family.add_metric(labels, counted.get((server, block), {}).get(f"{field}_{half}", 0))
        yield family
    for name, documentation, field in COUNTERS:
        family = CounterMetricFamily(f"coredns_cache_{name}", documentation, labels=LABELS)
        for server, block in places:
            value = counted.get((server, block), {}).get(field, 0)
            family.add_metric((server, _zones_label(config, block), ""), value)
        yield family


def _zones_label(config: ServerConfig, block: int) -> str:
    return ",".join(config.blocks[block].plugins["cache"].zones)


def _by_server(config: ServerConfig, zones: Iterable[ZoneValues], at: int) -> dict[tuple[str, int], dict[str, int]]:
    """(server, block) to what its zones have counted together, by field."""
    blocks = {
        (server_name(listener), zone): index for listener in config.listeners for zone, index in listener.zones
    }
    found: dict[tuple[str, int], dict[str, int]] = {}
    for (server, zone), values in zones:
        block = blocks.get((server, zone))
        if block is not None:
            sums = found.setdefault((server, block), {})
            for field, value in zip(NAMES, values[at : at + len(NAMES)], strict=True):
                sums[field] = sums.get(field, 0) + value
    return found
