"""health: tells over HTTP whether queries are answered, and how long a shutdown waits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.http.server import Endpoint
from fastdns.plugins.api import InSupervisor, Plugin, SupervisorView
from fastdns.plugins.health.config import Config, parse

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from fastdns.plugins.api import Handler

PATHS = ("/health", "/ready")


class Healthy(InSupervisor):
    """The page /health, and a probe of it."""

    def __init__(self, supervisor: SupervisorView) -> None:
        from fastdns.plugins.health.page import Health

        self.supervisor = supervisor
        self.page = Health(supervisor.serving)

    def handlers(self) -> Mapping[str, Handler]:
        return {"/health": self.page.handle}

    def lameduck_s(self) -> float:
        return max((config.lameduck_s for _, config in self.supervisor.config.with_plugin("health")), default=0.0)

    async def run(self) -> None:
        await self.page.probe(lambda: self.supervisor.http_address("/health"))

    def families(self) -> Iterator[Metric]:
        from fastdns.plugins.health.metrics import families

        return families(self.page)


class HealthPlugin(Plugin):
    """A page. Its listener serves /ready as well: manifests ask for both on one port."""

    name = "health"
    needs = ("ready",)

    def parse(self, tokens: Dispenser, context: BlockContext) -> Config:
        return parse(tokens, context)

    def endpoint(self, config: Config) -> Endpoint:
        return Endpoint(config.host, config.port, PATHS)

    def in_supervisor(self, supervisor: SupervisorView) -> InSupervisor:
        return Healthy(supervisor)


plugin = HealthPlugin()
