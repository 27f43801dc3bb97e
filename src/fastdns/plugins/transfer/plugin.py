"""transfer: zones for secondaries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.model import ServerBlock
from fastdns.plugins.api import InSupervisor, Plugin, Runtime, SupervisorView
from fastdns.plugins.transfer.config import Config, parse
from fastdns.plugins.transfer.counters import NAMES

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from fastdns.serve._zones import NativeStep


class Counting(InSupervisor):
    """What is counted."""

    def __init__(self, supervisor: SupervisorView) -> None:
        self.supervisor = supervisor

    def families(self) -> Iterator[Metric]:
        from fastdns.plugins.transfer.metrics import families

        return families(self.supervisor)


class Transfer(Plugin):
    """A step. Plugins with zones keep their history, and say when they change, because this one is there."""

    name = "transfer"
    worker_modules = ("step",)
    counters = NAMES

    def parse(self, tokens: Dispenser, context: BlockContext) -> Config:
        return parse(tokens, context)

    def context(self, config: Config, context: BlockContext) -> BlockContext:
        return context.with_secondaries(config.secondaries)

    def in_supervisor(self, supervisor: SupervisorView) -> InSupervisor:
        return Counting(supervisor)

    def step(self, config: Config, block: ServerBlock, runtime: Runtime) -> NativeStep:
        from fastdns.plugins.transfer.step import transfer_step

        return transfer_step(config, block, runtime)


plugin = Transfer()
