"""timeouts: how long a connection may take, and how much it may ask."""

from __future__ import annotations

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.settings import Settings
from fastdns.plugins.api import Plugin
from fastdns.plugins.timeouts.config import Config, parse


class Timeouts(Plugin):
    """Only bounds of connections."""

    name = "timeouts"

    def parse(self, tokens: Dispenser, context: BlockContext) -> Config:
        return parse(tokens, context)

    def settings(self, config: Config) -> Settings:
        return Settings(
            read_s=config.read_s, write_s=config.write_s, idle_s=config.idle_s, max_queries=config.max_tcp_queries
        )


plugin = Timeouts()
