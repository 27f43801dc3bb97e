"""https3: bounds of DNS over HTTP/3."""

from __future__ import annotations

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.settings import Settings
from fastdns.plugins.api import Plugin
from fastdns.plugins.https3.config import DEFAULT_STREAMS, Config, parse
from fastdns.transports.limits import ListenerLimits


class Https3(Plugin):
    """Only bounds of connections."""

    name = "https3"

    def parse(self, tokens: Dispenser, context: BlockContext) -> Config:
        return parse(tokens, context)

    def settings(self, config: Config) -> Settings:
        return Settings(https3=ListenerLimits(config.max_connections, config.max_streams or DEFAULT_STREAMS))


plugin = Https3()
