"""shed: under overload the newest queries over UDP are answered first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.settings import Settings
from fastdns.plugins.api import InSupervisor, Plugin, SupervisorView
from fastdns.plugins.shed.config import Config, parse

if TYPE_CHECKING:
    from prometheus_client.core import Metric

# In the order in which the transport counts them: _udp.pxd: Dropped.
REASONS = ("query", "response")


class Counting(InSupervisor):
    """The metric, of each listener that has a block with the plugin."""

    def __init__(self, supervisor: SupervisorView) -> None:
        self.supervisor = supervisor

    def families(self) -> Iterator[Metric]:
        # Only here: whoever scrapes needs it.
        from fastdns.plugins.dropped import dropped

        return dropped(
            self.supervisor, "shed", REASONS, "coredns_shed_dropped",
            "Counter of queries and responses dropped, per server, by reason.",
        )  # fmt: skip


class Shed(Plugin):
    """What the UDP threads of a block's listeners do; there is no step."""

    name = "shed"
    is_handler_in_coredns = True
    counters = ("dropped_queries", "dropped_responses")

    def parse(self, tokens: Dispenser, context: BlockContext) -> Config:
        return parse(tokens, context)

    def settings(self, config: Config) -> Settings:
        return Settings(newest_first="shed")

    def in_supervisor(self, supervisor: SupervisorView) -> InSupervisor:
        return Counting(supervisor)


plugin = Shed()
