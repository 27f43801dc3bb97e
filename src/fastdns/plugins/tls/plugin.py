"""tls: the certificate of the listeners that encrypt."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.model import ServerBlock, ServerConfig
from fastdns.corefile.settings import Settings
from fastdns.plugins.api import Check, InSupervisor, Plugin, SupervisorView
from fastdns.transports.table import of_scheme

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from fastdns.servertls import ServerTls


class Counting(InSupervisor):
    """Shows what became of handshakes."""

    async def prepare(self, config: ServerConfig) -> None:
        from fastdns.metrics.handshakes import handshakes

        handshakes()

    def families(self) -> Iterator[Metric]:
        from fastdns.metrics.handshakes import handshakes
        from fastdns.plugins.tls.metrics import families

        return families(handshakes())


def negotiated(config: ServerConfig, block: ServerBlock) -> set[tuple[str, ...]]:
    """What clients negotiate with TLS on the streams that a block is served on: ALPN of each transport."""
    schemes = {one.transport for one in config.listeners if block.index in (index for _, index in one.zones)}
    found = {one.alpn for scheme in schemes for one in of_scheme(scheme) if one.alpn}
    # Of others the files are read all the same.
    return found or {()}


class Tls(Plugin):
    """Files, which are read before anything changes and whenever they change."""

    name = "tls"

    def parse(self, tokens: Dispenser, context: BlockContext) -> ServerTls:
        # Only here: it imports ssl.
        from fastdns.plugins.tls.config import parse

        return parse(tokens, context)

    def settings(self, config: ServerTls) -> Settings:
        return Settings(tls=config)

    def in_supervisor(self, supervisor: SupervisorView) -> InSupervisor:
        return Counting()

    def check(self, check: Check) -> None:
        from fastdns.servertls import served

        for block, files in check.config.with_plugin(self.name):
            with check.of(self.name, block):
                for alpn in negotiated(check.config, block):
                    served(files, alpn)
                if files.keylog:
                    check.warnings.append(f'plugin/tls: Writing TLS Key Log to "{files.keylog}"')


plugin = Tls()
