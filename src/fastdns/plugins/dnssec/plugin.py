"""dnssec: signs what the plugins behind it answer, when it is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.model import ServerBlock, ServerConfig
from fastdns.metrics.reasons import OTHER_ERROR, Reason, first_reason
from fastdns.plugins.api import Check, InSupervisor, Plugin, Runtime, SupervisorView
from fastdns.plugins.dnssec.config import Config, parse

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from fastdns.plugins.python import PythonStep


class Keeping(InSupervisor):
    """Keys and signatures, which go on across reloads as long as they fit."""

    def __init__(self, supervisor: SupervisorView) -> None:
        self.supervisor = supervisor

    async def prepare(self, config: ServerConfig) -> Any:
        from fastdns.plugins.dnssec.shared import share_signatures

        before = self.supervisor.prepared("dnssec") or ()
        return await asyncio.to_thread(share_signatures, config, before)

    def families(self) -> Iterator[Metric]:
        from fastdns.metrics.counters import zones
        from fastdns.plugins.dnssec.metrics import families

        shared = self.supervisor.prepared("dnssec") or ()
        at = self.supervisor.first_counter("dnssec")
        return families(self.supervisor.config, shared, zones(self.supervisor), at)


class Dnssec(Plugin):
    """A step with two halves: the native one finds signatures, the one in Python makes them."""

    name = "dnssec"
    worker_modules = ("_step", "signing")
    counters = ("hits", "misses")
    reasons = (Reason("dnssec_too_large", "SERVFAIL", "the reply has too much to sign", OTHER_ERROR),)

    def parse(self, tokens: Dispenser, context: BlockContext) -> Config:
        return parse(tokens, context)

    def check(self, check: Check) -> None:
        from fastdns.plugins.dnssec.shared import look_at

        for block, config in check.config.with_plugin("dnssec"):
            with check.of("dnssec", block):
                look_at(config)

    def in_supervisor(self, supervisor: SupervisorView) -> InSupervisor:
        return Keeping(supervisor)

    def python_step(self, config: Config, block: ServerBlock, runtime: Runtime) -> PythonStep:
        from fastdns.plugins.dnssec.shared import of_block
        from fastdns.plugins.dnssec.signing import Signing

        shared = of_block(runtime.prepared["dnssec"], block)
        counter = runtime.first_counters.get("dnssec", 0)
        return Signing(config.zones, shared.keys, shared.signatures, counter, first_reason("dnssec"))


plugin = Dnssec()
