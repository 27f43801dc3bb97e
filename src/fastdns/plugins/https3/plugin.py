"""https3: bounds of DNS over HTTP/3."""

from __future__ import annotations

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.settings import Settings
from fastdns.plugins.api import Plugin
from fastdns.plugins.https3.config import Config, parse
from fastdns.transports.limits import DEFAULT_STREAMS, QuicLimits


class Https3(Plugin):
    """Only bounds of connections."""

    name = "https3"

    def parse(self, tokens: Dispenser, context: BlockContext) -> Config:
        return parse(tokens, context)

    def settings(self, config: Config) -> Settings:
        streams = config.max_streams or DEFAULT_STREAMS
        return Settings(https3=QuicLimits(streams, max_connections=config.max_connections))


plugin = Https3()
