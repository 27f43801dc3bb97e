"""clouddns: answers from managed zones of Google Cloud DNS."""

from __future__ import annotations

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.hostedzones.config import Config
from fastdns.plugins.api import Check
from fastdns.plugins.clouddns.config import check_credentials, parse
from fastdns.plugins.hosted import HostedZonesPlugin


class CloudDNS(HostedZonesPlugin):
    """Hosted zones."""

    name = "clouddns"
    provider = "gcp"
    libraries = ("google.auth", "requests")

    def parse(self, tokens: Dispenser, context: BlockContext) -> Config:
        return parse(tokens, context)

    def check(self, check: Check) -> None:
        super().check(check)
        for block, config in check.config.with_plugin(self.name):
            for listing in config.listings:
                if listing.access.credentials:
                    with check.of(self.name, block):
                        check_credentials(listing.access.credentials)


plugin = CloudDNS()
