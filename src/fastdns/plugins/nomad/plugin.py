"""nomad: answers from the services that are registered with Nomad."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.model import ServerBlock, ServerConfig
from fastdns.dns.names import wire_name
from fastdns.metrics.reasons import NOT_READY, Reason, first_reason
from fastdns.plugins.api import InSupervisor, Plugin, Recorder, Runtime, Source, SupervisorView
from fastdns.plugins.nomad.config import Config, parse
from fastdns.plugins.nomad.metrics import COUNTERS, MEASURES

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from fastdns.memory._store import Writer
    from fastdns.plugins.nomad._namespaces import Namespaces
    from fastdns.serve._zones import NativeStep


class Counting(InSupervisor):
    """The namespaces that workers count for, and whether Nomad has been read."""

    def __init__(self, supervisor: SupervisorView) -> None:
        self.supervisor = supervisor
        self.namespaces: Namespaces | None = None

    async def prepare(self, config: ServerConfig) -> Any:
        from fastdns.plugins.nomad._namespaces import Namespaces

        if self.namespaces is None:
            self.namespaces = Namespaces()
        return self.namespaces

    def is_ready(self) -> bool:
        return all(map(self.supervisor.is_known, self.supervisor.active_sources("nomad")))

    def families(self) -> Iterator[Metric]:
        from fastdns.metrics.counters import zones
        from fastdns.plugins.nomad.metrics import families

        names = self.namespaces.names() if self.namespaces is not None else []
        return families(names, zones(self.supervisor), self.supervisor.first_counter("nomad"))


class Nomad(Plugin):
    """A step on the zone store, and the source that follows Nomad."""

    name = "nomad"
    worker_modules = ("_step",)
    counters = COUNTERS
    reasons = (Reason("nomad_unread", "SERVFAIL", "Nomad has not been read yet", NOT_READY),)
    measures = MEASURES
    waiting = "waiting for Nomad before starting server"
    unlisted = "starting server before Nomad has been read"

    def parse(self, tokens: Dispenser, context: BlockContext) -> Config:
        return parse(tokens, context)

    def in_supervisor(self, supervisor: SupervisorView) -> InSupervisor:
        return Counting(supervisor)

    def source_identity(self, config: Config) -> Hashable:
        # Zone and TTL are the step's.
        return replace(config, zone="", ttl_s=0)

    def source_zones(self, config: Config) -> Sequence[str]:
        return (config.zone,)

    def startup_timeout_s(self, config: Config) -> float:
        return 5.0

    def source(self, number: int, config: Config, writer: Writer, recorder: Recorder) -> Source:
        from fastdns.plugins.nomad.source import NomadSource

        return NomadSource(number, config, writer, recorder)

    def step(self, config: Config, block: ServerBlock, runtime: Runtime) -> NativeStep:
        from fastdns.plugins.nomad._step import NomadStep

        return NomadStep(
            source=runtime.sources[self.name, block.index],
            zone=wire_name(config.zone),
            ttl_s=config.ttl_s,
            unread=first_reason(self.name),
            first_counter=runtime.first_counters.get(self.name, 0),
            namespaces=runtime.prepared[self.name],
        )


plugin = Nomad()
