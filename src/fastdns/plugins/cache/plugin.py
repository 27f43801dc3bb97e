"""cache: keeps what others have answered, for all workers together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.model import ServerBlock, ServerConfig
from fastdns.plugins.api import InSupervisor, Plugin, Runtime, SupervisorView
from fastdns.plugins.cache.config import Config, parse
from fastdns.plugins.cache.counters import NAMES

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from fastdns.serve._zones import NativeStep


class Keeping(InSupervisor):
    """The caches, which go on across reloads as long as they fit."""

    def __init__(self, supervisor: SupervisorView) -> None:
        self.supervisor = supervisor

    async def prepare(self, config: ServerConfig) -> Any:
        from fastdns.plugins.cache.shared import share_caches

        return share_caches(config, self.supervisor.prepared("cache") or ())

    def families(self) -> Iterator[Metric]:
        from fastdns.metrics.counters import zones
        from fastdns.plugins.cache.metrics import families

        caches = self.supervisor.prepared("cache") or ()
        return families(
            self.supervisor.config, caches, zones(self.supervisor), self.supervisor.first_counter("cache")
        )


class CachePlugin(Plugin):
    """A step on memory that all workers share."""

    name = "cache"
    worker_modules = ("_step",)
    counters = NAMES

    def parse(self, tokens: Dispenser, context: BlockContext) -> Config:
        return parse(tokens, context)

    def in_supervisor(self, supervisor: SupervisorView) -> InSupervisor:
        return Keeping(supervisor)

    def step(self, config: Config, block: ServerBlock, runtime: Runtime) -> NativeStep:
        from fastdns.plugins.cache._step import CacheStep
        from fastdns.plugins.cache.shared import cache_of, passing_zones

        first_counter = runtime.first_counters.get("cache", 0)
        return CacheStep(cache_of(runtime.prepared["cache"], block), config, passing_zones(block), first_counter)


plugin = CachePlugin()
