"""Which cache a block has, before and after a reload."""

from __future__ import annotations

import pytest

from fastdns.corefile import load
from fastdns.plugins.cache._cache import Cache
from fastdns.plugins.cache.shared import cache_of, share_caches

pytestmark = pytest.mark.native

BASE = ".:53 {\ncache 30\nwhoami\n}\n"


def caches(text: str, before: str = "") -> tuple[list[Cache], list[Cache]]:
    """The caches of one configuration, and those of the next one."""
    old = share_caches(load(before or BASE, environ={}))
    new = share_caches(load(text, environ={}), old)
    return [one.cache for one in old], [one.cache for one in new]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (BASE, "nothing has changed"),
        ("# a comment\n" + BASE, "another line"),
        (BASE.replace("whoami", "whoami\nerrors\nloadbalance\nprometheus"), "plugins that see the answer later"),
        ("a:53 {\nwhoami\n}\n" + BASE, "another block before it"),
        (BASE.replace("cache 30", "cache 30 {\n}"), "the same options in other words"),
    ],
    ids=lambda value: value if "{" not in value else "",
)
def test_a_cache_survives_a_reload(text: str, why: str) -> None:
    (old,), (new,) = caches(text)
    assert new is old


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (BASE.replace("30", "60"), "other bounds of TTLs"),
        (BASE.replace(".:53", "a:53"), "other zones"),
        (BASE.replace("whoami", "whoami\nkubernetes cluster.local {\nmanifests x\n}"), "somebody else answers"),
        (BASE.replace("cache 30", "cache 30 {\ndisable denial\n}"), "another option"),
    ],
    ids=lambda value: value if "{" not in value else "",
)
def test_a_cache_does_not_survive_what_its_answers_depend_on(text: str, why: str) -> None:
    (old,), (new,) = caches(text)
    assert new is not old


def test_blocks_that_are_alike_have_caches_of_their_own() -> None:
    two = BASE + BASE.replace("53", "54")
    old, new = caches(two, two)
    assert len({id(one) for one in old}) == 2
    assert new == old


def test_a_block_that_is_gone_takes_its_cache_along() -> None:
    old, new = caches("a:53 {\nwhoami\n}\n")
    assert len(old) == 1
    assert new == []


@pytest.mark.parametrize(
    ("options", "capacities", "ring_bytes"),
    [
        ("", (10_000, 10_000), (5_120_000, 5_120_000)),
        ("success 5000\ndenial 2500", (5000, 2504), (2_560_000, 1_280_000)),
        ("success 10", (1024, 10_000), (1 << 20, 5_120_000)),
        ("max_bytes 64Ki 1Mi", (10_000, 10_000), (65536, 1 << 20)),
        ("max_bytes 100k", (10_000, 10_000), (100_032, 100_032)),
    ],
)
def test_the_size_of_a_cache(options: str, capacities: tuple[int, int], ring_bytes: tuple[int, int]) -> None:
    config = load(f". {{\ncache {{\n{options}\n}}\nwhoami\n}}\n", environ={})
    cache = cache_of(share_caches(config), config.blocks[0])
    assert cache.capacities == capacities
    assert cache.ring_bytes == ring_bytes


def test_a_block_without_a_cache() -> None:
    config = load(BASE, environ={})
    with pytest.raises(KeyError):
        cache_of((), config.blocks[0])
