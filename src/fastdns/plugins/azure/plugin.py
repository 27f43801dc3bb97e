"""azure: answers from zones of Azure DNS, public and private."""

from __future__ import annotations

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.hostedzones.config import Config
from fastdns.plugins.api import Check
from fastdns.plugins.azure.config import endpoints, parse
from fastdns.plugins.hosted import HostedZonesPlugin


class Azure(HostedZonesPlugin):
    """Hosted zones."""

    name = "azure"
    provider = "azure"
    libraries = ("azure.core", "azure.identity")

    def parse(self, tokens: Dispenser, context: BlockContext) -> Config:
        return parse(tokens, context)

    def check(self, check: Check) -> None:
        super().check(check)
        for block, config in check.config.with_plugin(self.name):
            for listing in config.listings:
                with check.of(self.name, block):
                    endpoints(listing.access.environment)


plugin = Azure()
