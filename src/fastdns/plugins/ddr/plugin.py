"""ddr: clients find the encrypted transports of this server (Discovery of Designated Resolvers, RFC 9462)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.model import ServerBlock, ServerConfig
from fastdns.plugins.api import Check, InSupervisor, Plugin, Runtime, SupervisorView
from fastdns.plugins.ddr.config import Config, parse
from fastdns.plugins.ddr.records import ALPN, svcb

if TYPE_CHECKING:
    from fastdns.serve._zones import NativeStep


def listening(config: ServerConfig) -> tuple[tuple[str, int], ...]:
    """Scheme and port of each encrypted listener."""
    return tuple((one.transport, one.port) for one in config.listeners if one.transport in ALPN)


class Listening(InSupervisor):
    """Tells the steps what this server listens on."""

    async def prepare(self, config: ServerConfig) -> Any:
        return listening(config)


class Ddr(Plugin):
    """A step that answers a few names from the Corefile."""

    name = "ddr"
    worker_modules = ("_step",)

    def parse(self, tokens: Dispenser, context: BlockContext) -> Config:
        return parse(tokens, context)

    def check(self, check: Check) -> None:
        if not listening(check.config):
            check.warnings.append(
                "plugin/ddr: no encrypted transport to tell of: no server block has a key such as tls://."
            )

    def in_supervisor(self, supervisor: SupervisorView) -> InSupervisor:
        return Listening()

    def step(self, config: Config, block: ServerBlock, runtime: Runtime) -> NativeStep:
        from fastdns.dns.names import wire_name
        from fastdns.plugins.ddr._step import DdrStep

        records = svcb(
            wire_name(config.name), runtime.prepared["ddr"], dict(config.ports), config.hints, config.path
        )
        return DdrStep(config.name, records, config.ttl_s)


plugin = Ddr()
