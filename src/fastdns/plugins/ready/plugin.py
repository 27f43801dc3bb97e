"""ready: tells over HTTP whether every plugin has what it waits for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.model import ServerConfig
from fastdns.http.server import Endpoint
from fastdns.plugins.api import InSupervisor, Plugin, SupervisorView
from fastdns.plugins.ready.config import Config, parse

if TYPE_CHECKING:
    from fastdns.plugins.api import Handler

PATHS = ("/health", "/ready")


class Readying(InSupervisor):
    """The page /ready, anew for each configuration that serves."""

    def __init__(self, supervisor: SupervisorView) -> None:
        from fastdns.plugins.ready.page import Readiness

        self.page = Readiness(supervisor)

    def serves(self, config: ServerConfig, prepared: Any) -> None:
        self.page.reset(config)

    def handlers(self) -> Mapping[str, Handler]:
        return {"/ready": self.page.handle}


class Ready(Plugin):
    """A page. Its listener serves /health as well: manifests ask for both on one port."""

    name = "ready"
    needs = ("health",)

    def parse(self, tokens: Dispenser, context: BlockContext) -> Config:
        return parse(tokens, context)

    def endpoint(self, config: Config) -> Endpoint:
        return Endpoint(config.host, config.port, PATHS)

    def in_supervisor(self, supervisor: SupervisorView) -> InSupervisor:
        return Readying(supervisor)


plugin = Ready()
