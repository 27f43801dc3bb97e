"""geoip: where a client is, as values."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.model import ServerBlock, ServerConfig
from fastdns.plugins.api import Check, InSupervisor, Plugin, Runtime, SupervisorView
from fastdns.plugins.geoip.config import Config, parse

if TYPE_CHECKING:
    from fastdns.serve._values import NativeValue


class Opening(InSupervisor):
    """The databases, which workers inherit."""

    def __init__(self, supervisor: SupervisorView) -> None:
        self.supervisor = supervisor

    async def prepare(self, config: ServerConfig) -> Any:
        from fastdns.plugins.geoip.databases import open_databases

        # Off the loop, which must not wait for a disk.
        return await asyncio.to_thread(open_databases, config, self.supervisor.prepared("geoip") or {})


class GeoIP(Plugin):
    """Values. A value is looked up when it is read, so there is no step."""

    name = "geoip"
    is_handler_in_coredns = True
    worker_modules = ("_database", "values")

    def parse(self, tokens: Dispenser, context: BlockContext) -> Config:
        return parse(tokens, context)

    def check(self, check: Check) -> None:
        from fastdns.plugins.geoip.databases import open_database

        for block, config in check.config.with_plugin("geoip"):
            with check.of("geoip", block):
                open_database(config.file)

    def in_supervisor(self, supervisor: SupervisorView) -> InSupervisor:
        return Opening(supervisor)

    def value(self, name: str, config: Config, block: ServerBlock, runtime: Runtime) -> NativeValue | None:
        if not name.startswith("geoip/"):
            return None
        from fastdns.plugins.geoip.values import make_value

        return make_value(name.removeprefix("geoip/"), runtime.prepared["geoip"][config.file], config.edns_subnet)


plugin = GeoIP()
