"""route53: answers from hosted zones of AWS Route 53."""

from __future__ import annotations

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.hostedzones.config import Config
from fastdns.plugins.hosted import HostedZonesPlugin
from fastdns.plugins.route53.config import parse


class Route53(HostedZonesPlugin):
    """Hosted zones."""

    name = "route53"
    provider = "route53"
    libraries = ("botocore",)

    def parse(self, tokens: Dispenser, context: BlockContext) -> Config:
        return parse(tokens, context)


plugin = Route53()
