"""acl: who may ask for what."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.model import ServerBlock, ServerConfig
from fastdns.plugins.acl.config import Config, parse
from fastdns.plugins.api import InSupervisor, Plugin, Runtime, SupervisorView

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from fastdns.serve._zones import NativeStep


class Counting(InSupervisor):
    """The counters, which go on across reloads."""

    def __init__(self, supervisor: SupervisorView) -> None:
        from fastdns.plugins.acl.places import Places

        self.places = Places()

    async def prepare(self, config: ServerConfig) -> Any:
        return self.places.counters, self.places.listening(config)

    def families(self) -> Iterator[Metric]:
        from fastdns.plugins.acl.metrics import families

        return families(self.places)


class Acl(Plugin):
    """A step that looks at each question, also at those that other plugins put in its place."""

    name = "acl"
    worker_modules = ("_step", "table")

    def parse(self, tokens: Dispenser, context: BlockContext) -> Config:
        return parse(tokens, context)

    def in_supervisor(self, supervisor: SupervisorView) -> InSupervisor:
        return Counting(supervisor)

    def step(self, config: Config, block: ServerBlock, runtime: Runtime) -> NativeStep:
        from fastdns.plugins.acl._step import AclStep

        counters, listening = runtime.prepared["acl"]
        return AclStep(config.rules, counters, listening[block.index])


plugin = Acl()
