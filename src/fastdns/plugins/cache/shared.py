"""The caches of a configuration: one a block, made before the fork, kept across reloads while they fit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from fastdns.corefile.model import ServerBlock, ServerConfig
from fastdns.plugins.cache._cache import MIN_CAPACITY, Cache
from fastdns.plugins.cache.config import Config
from fastdns.plugins.order import in_order, load, with_step


@dataclass(frozen=True, slots=True)
class SharedCache:
    """A block's cache, and what its answers depend on: the block's zones, and its plugins from cache downwards.

    As long as these stay, a reload goes on with the same cache. What an upstream that is no longer asked has said,
    or under other bounds of TTL, does not outlive a reload.
    """

    block: int
    zones: tuple[str, ...]
    plugins: tuple[tuple[str, Any], ...]
    cache: Cache

    def fits(self, block: ServerBlock) -> bool:
        """Whether a block of another configuration may go on with this cache."""
        return self.zones == block.zones and self.plugins == plugins_below(block)


def plugins_below(block: ServerBlock) -> tuple[tuple[str, Any], ...]:
    """The configurations that shape what is kept: cache's own and those of the plugins that it stands before."""
    names = in_order(block.plugins)
    return tuple((name, block.plugins[name]) for name in names[names.index("cache") :])


def new_cache(config: Config) -> Cache:
    """An empty cache of the size that the options name. Raises OSError."""
    return Cache(
        max(config.success.capacity, MIN_CAPACITY),
        max(config.denial.capacity, MIN_CAPACITY),
        config.success.max_bytes,
        config.denial.max_bytes,
    )


def share_caches(config: ServerConfig, before: Iterable[SharedCache] = ()) -> tuple[SharedCache, ...]:
    """The cache of each block that has the plugin; of those before, what fits. Raises OSError."""
    free = list(before)
    shared = []
    for block, options in config.with_plugin("cache"):
        kept = next((one for one in free if one.fits(block)), None)
        if kept is not None:
            free.remove(kept)
        cache = new_cache(options) if kept is None else kept.cache
        shared.append(SharedCache(block.index, block.zones, plugins_below(block), cache))
    return tuple(shared)


def cache_of(shared: Iterable[SharedCache], block: ServerBlock) -> Cache:
    """The cache of a block. Raises KeyError where it has none."""
    for one in shared:
        if one.block == block.index:
            return one.cache
    raise KeyError(block.index)


def passing_zones(block: ServerBlock) -> tuple[str, ...]:
    """The zones of which a block's cache holds nothing: the very next step answers all their names."""
    steps = list(with_step(block.plugins))
    after = steps[steps.index("cache") + 1 :][:1]
    return tuple(zone for name in after for zone in load(name).answered_zones(block.plugins[name]))
