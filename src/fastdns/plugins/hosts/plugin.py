"""hosts: answers from hosts files."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import TYPE_CHECKING

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.model import ServerBlock
from fastdns.dns.names import wire_name
from fastdns.plugins.api import InSupervisor, Plugin, Recorder, Runtime, Source, SupervisorView
from fastdns.plugins.hosts.config import Config, parse

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from fastdns.memory._store import Writer
    from fastdns.serve._zones import NativeStep

# A start waits so long for the first reading: large lists take a second.
STARTUP_TIMEOUT_S = 5.0


class Measuring(InSupervisor):
    """The metrics of the files that the watcher follows."""

    def __init__(self, supervisor: SupervisorView) -> None:
        self.supervisor = supervisor

    def families(self) -> Iterator[Metric]:
        from fastdns.plugins.hosts.metrics import families

        yield from families(self.supervisor.store, self.supervisor.active_sources("hosts"))


class Hosts(Plugin):
    """A step on the zone store, and the sources that fill it."""

    name = "hosts"
    worker_modules = ("_step",)
    waiting = "waiting for hosts files before starting server"
    unlisted = "starting server without hosts files"

    def parse(self, tokens: Dispenser, context: BlockContext) -> Config:
        return parse(tokens, context)

    def in_supervisor(self, supervisor: SupervisorView) -> InSupervisor:
        return Measuring(supervisor)

    def source_identity(self, config: Config) -> Hashable:
        # Blocks that differ otherwise share what was read: see the step.
        return config.path, config.inline, config.reload_s

    def source_zones(self, config: Config) -> Sequence[str]:
        return config.zones

    def startup_timeout_s(self, config: Config) -> float:
        return STARTUP_TIMEOUT_S

    def source(self, number: int, config: Config, writer: Writer, recorder: Recorder) -> Source:
        from fastdns.plugins.hosts.source import HostsSource

        return HostsSource(number, config, writer)

    def step(self, config: Config, block: ServerBlock, runtime: Runtime) -> NativeStep:
        from fastdns.plugins.hosts._step import HostsStep

        return HostsStep(
            runtime.sources[self.name, block.index],
            [wire_name(zone) for zone in config.zones],
            [wire_name(zone) for zone in config.fallthrough or ()],
            ttl_s=config.ttl_s,
            reverse=not config.no_reverse,
            fall_unsupported=config.fallthrough_unsupported,
        )


plugin = Hosts()
