"""local: names that mean the host itself never leave."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.model import ServerBlock
from fastdns.plugins.api import InSupervisor, Plugin, Runtime, SupervisorView
from fastdns.plugins.local.config import Config, parse

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from fastdns.serve._zones import NativeStep


class Counting(InSupervisor):
    """The one metric, of all servers and zones together."""

    def __init__(self, supervisor: SupervisorView) -> None:
        self.supervisor = supervisor

    def families(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily

        from fastdns.metrics._stats import layout
        from fastdns.metrics.counters import zones

        at = layout()["plugins"][0] + self.supervisor.first_counter("local")
        total = sum(values[at] for _, values in zones(self.supervisor))
        help_text = "Counter of special localhost subdomain requests."
        yield CounterMetricFamily("coredns_local_localhost_requests", help_text, total)


class Local(Plugin):
    """A step."""

    name = "local"
    worker_modules = ("_step",)
    counters = ("localhost_requests",)

    def parse(self, tokens: Dispenser, context: BlockContext) -> Config:
        return parse(tokens, context)

    def in_supervisor(self, supervisor: SupervisorView) -> InSupervisor:
        return Counting(supervisor)

    def step(self, config: Config, block: ServerBlock, runtime: Runtime) -> NativeStep:
        from fastdns.plugins.local._step import LocalStep

        return LocalStep(config.prefix, runtime.first_counters.get("local", 0))


plugin = Local()
