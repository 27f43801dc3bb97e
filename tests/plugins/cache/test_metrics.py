"""The families of cache, as a scrape sees them."""

from __future__ import annotations

from typing import Any

import pytest

from fastdns.corefile import load
from fastdns.metrics._stats import layout
from fastdns.plugins.cache.counters import NAMES
from fastdns.plugins.cache.metrics import families
from fastdns.plugins.cache.shared import share_caches
from tests.plugins.cache.support import START_NS, Cached, Said, a, question, soa

pytestmark = pytest.mark.native

AT, _ = layout()["plugins"]


def values(**counted: int) -> list[int]:
    """What a (server, zone) has counted."""
    found = [0] * AT
    return found + [counted.get(field, 0) for field in NAMES]


def samples(corefile: str, zones: list[Any]) -> dict[tuple[str, ...], float]:
    """Every sample: (name, labels in order) to value."""
    config = load(corefile, environ={})
    caches = share_caches(config)
    for one in caches:
        one.cache.put("success", b"key", b"", 60, START_NS)
    return {
        (sample.name.removeprefix("coredns_cache_"), *sample.labels.values()): sample.value
        for family in families(config, caches, zones)
        for sample in family.samples
    }


def test_every_family_by_server_and_zones() -> None:
    found = samples(
        "a:53 b:53 b:54 {\ncache\nwhoami\n}\nc:53 {\ncache x y\nwhoami\n}\nd:53 {\nwhoami\n}\n",
        [
            (("dns://:53", "a.", ""), values(requests=1, hits_success=2, misses=3, evictions_denial=4)),
            (("dns://:53", "b.", ""), values(requests=10, prefetches=5, served_stale=6, drops=7)),
            (("dns://:54", "b.", ""), values(requests=100, hits_denial=8)),
            (("dns://:53", "d.", ""), values(requests=1000)),
            (("dns://:99", "gone.", ""), values(requests=1000)),
        ],
    )
    expected = {
        ("requests_total", "dns://:53", "a.,b.", ""): 11,
        ("requests_total", "dns://:54", "a.,b.", ""): 100,
        ("requests_total", "dns://:53", "x.,y.", ""): 0,
        ("hits_total", "dns://:53", "success", "a.,b.", ""): 2,
        ("hits_total", "dns://:53", "denial", "a.,b.", ""): 0,
        ("hits_total", "dns://:54", "denial", "a.,b.", ""): 8,
        ("misses_total", "dns://:53", "a.,b.", ""): 3,
        ("evictions_total", "dns://:53", "denial", "a.,b.", ""): 4,
        ("prefetch_total", "dns://:53", "a.,b.", ""): 5,
        ("served_stale_total", "dns://:53", "a.,b.", ""): 6,
        ("drops_total", "dns://:53", "a.,b.", ""): 7,
        ("entries", "dns://:53", "success", "a.,b.", ""): 1,
        ("entries", "dns://:53", "denial", "a.,b.", ""): 0,
        ("entries", "dns://:54", "success", "a.,b.", ""): 1,
        ("entries", "dns://:53", "success", "x.,y.", ""): 1,
    }
    assert {key: found.get(key) for key in expected} == expected
    assert not any(value == 1000 for value in found.values())
    assert {name for name, *_ in found} == {
        "entries", "hits_total", "requests_total", "misses_total", "prefetch_total", "drops_total",
        "served_stale_total", "evictions_total",
    }  # fmt: skip


def test_without_a_cache_there_are_no_families() -> None:
    assert samples(".:53 {\nwhoami\n}\n", [(("dns://:53", ".", ""), values(requests=1))]) == {}


def test_what_the_step_counts_is_what_is_shown() -> None:
    cached = Cached("cache {;serve_stale;}")
    cached.fill(Said([a(60)]))
    cached.fill(Said((), [soa(60)], rcode="NXDOMAIN"), question("no.example.org."))
    cached.ask()
    cached.say(None)
    cached.ask(at_s=70)
    config = load(".:53 {\ncache\nwhoami\n}\n", environ={})
    zones = [(("dns://:53", ".", ""), cached.stats.zone_values([0], 0) or [])]
    found = {
        (sample.name.removeprefix("coredns_cache_"), sample.labels.get("type", "")): sample.value
        for family in families(config, share_caches(config), zones)
        for sample in family.samples
    }
    assert {key: value for key, value in found.items() if value} == {
        ("requests_total", ""): 4,
        ("hits_total", "success"): 2,
        ("misses_total", ""): 2,
        ("prefetch_total", ""): 1,
        ("served_stale_total", ""): 1,
    }
