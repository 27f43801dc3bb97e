"""prometheus: counts queries, and tells all metrics over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.labels import server_name
from fastdns.corefile.model import ServerBlock, ServerConfig
from fastdns.corefile.settings import Settings
from fastdns.http.server import Endpoint
from fastdns.plugins.api import InSupervisor, Plugin, Runtime, SupervisorView
from fastdns.plugins.prometheus.config import Config, parse
from fastdns.transports.kinds import KINDS

if TYPE_CHECKING:
    from ssl import SSLContext

    from fastdns.plugins.api import Handler
    from fastdns.serve._zones import NativeStep


class Telling(InSupervisor):
    """The page /metrics."""

    def __init__(self, supervisor: SupervisorView) -> None:
        from fastdns.plugins.prometheus.page import MAX_AGE_MS, Renderings

        self.supervisor = supervisor
        self.page = Renderings(self.render, MAX_AGE_MS.of(supervisor.environ) / 1000)

    async def prepare(self, config: ServerConfig) -> None:
        # What workers count by labels, the supervisor knows before it forks them.
        for listener in config.listeners:
            if statuses := KINDS[listener.transport].statuses:
                from fastdns.metrics.responses import responses

                responses().know(listener.transport, server_name(listener), statuses)

    async def render(self, form: str, gzip: bool) -> bytes:
        """All metrics as they are now, in one of the page's formats, compressed or not. Raises FastdnsError."""

        def rendered() -> bytes:
            # The Prometheus client takes memory that only this child has.
            from fastdns.plugins.prometheus import families

            return families.rendered(self.supervisor, form, gzip)

        return await self.supervisor.in_child("metrics", rendered)

    def tls(self, file: str) -> SSLContext:
        from fastdns.plugins.prometheus.webconfig import TlsFromFile

        return TlsFromFile(file)

    def handlers(self) -> Mapping[str, Handler]:
        return {"/metrics": self.page.handle}


class Prometheus(Plugin):
    """A step that counts, and a page."""

    name = "prometheus"
    offers = ("page",)
    worker_modules = ("_step",)

    def parse(self, tokens: Dispenser, context: BlockContext) -> Config:
        return parse(tokens, context)

    def settings(self, config: Config) -> Settings:
        return Settings(counted=True, runtime_metrics=config.runtime_metrics)

    def endpoint(self, config: Config) -> Endpoint:
        return Endpoint(config.host, config.port, ("/metrics",), config.tls_config_file)

    def in_supervisor(self, supervisor: SupervisorView) -> InSupervisor:
        return Telling(supervisor)

    def step(self, config: Config, block: ServerBlock, runtime: Runtime) -> NativeStep:
        from fastdns.plugins.prometheus._step import PrometheusStep

        return PrometheusStep()


plugin = Prometheus()
