"""proxyproto: proxies tell for which client they send a message or make a connection."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.settings import Settings
from fastdns.plugins.api import InSupervisor, Plugin, SupervisorView

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from fastdns.transports.proxied import ProxyConfig

# In the order in which the transport counts them: _proxies.pxd: Unserved.
REASONS = ("rejected", "malformed")


class Counting(InSupervisor):
    """The metric, of each listener that has a block with the plugin."""

    def __init__(self, supervisor: SupervisorView) -> None:
        self.supervisor = supervisor

    def families(self) -> Iterator[Metric]:
        # Only here: whoever scrapes needs it.
        from fastdns.plugins.dropped import dropped

        return dropped(
            self.supervisor, "proxyproto", REASONS, "fastdns_proxyproto_datagrams_dropped",
            "Counter of datagrams dropped for their PROXY header, per server, by reason.",
        )  # fmt: skip


class ProxyProto(Plugin):
    """What the listeners of a block do before anything is served; there is no step."""

    name = "proxyproto"
    worker_modules = ("fastdns.transports.proxied",)
    counters = ("dropped_rejected", "dropped_malformed")

    def parse(self, tokens: Dispenser, context: BlockContext) -> ProxyConfig:
        # Only here: it imports the transport.
        from fastdns.plugins.proxyproto.config import parse

        return parse(tokens, context)

    def settings(self, config: ProxyConfig) -> Settings:
        return Settings(proxied=config)

    def in_supervisor(self, supervisor: SupervisorView) -> InSupervisor:
        return Counting(supervisor)


plugin = ProxyProto()
