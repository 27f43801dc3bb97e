"""dns64: IPv6 addresses for what has IPv4 addresses only (RFC 6147)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.model import ServerBlock
from fastdns.plugins.api import InSupervisor, Plugin, Runtime, SupervisorView
from fastdns.plugins.dns64.config import Config, parse

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from fastdns.serve._zones import NativeStep


class Counting(InSupervisor):
    """What is counted."""

    def __init__(self, supervisor: SupervisorView) -> None:
        self.supervisor = supervisor

    def families(self) -> Iterator[Metric]:
        from fastdns.plugins.dns64.metrics import families

        return families(self.supervisor)


class Dns64(Plugin):
    """A step that asks the steps behind it for A, where they have no AAAA."""

    name = "dns64"
    worker_modules = ("_step",)
    counters = ("translated",)

    def parse(self, tokens: Dispenser, context: BlockContext) -> Config:
        return parse(tokens, context)

    def in_supervisor(self, supervisor: SupervisorView) -> InSupervisor:
        return Counting(supervisor)

    def step(self, config: Config, block: ServerBlock, runtime: Runtime) -> NativeStep:
        from fastdns.plugins.dns64._step import Dns64Step

        return Dns64Step(
            config.prefix.network_address.packed,
            config.prefix.prefixlen,
            translate_all=config.translate_all,
            allow_ipv4=config.allow_ipv4,
            first_counter=runtime.first_counters.get("dns64", 0),
        )


plugin = Dns64()
