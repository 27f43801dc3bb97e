"""bind: the addresses at which a block listens."""

from __future__ import annotations

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.settings import Settings
from fastdns.plugins.api import Plugin
from fastdns.plugins.bind.config import Config, parse


class Bind(Plugin):
    """Only addresses: the supervisor opens sockets."""

    name = "bind"

    def parse(self, tokens: Dispenser, context: BlockContext) -> Config:
        return parse(tokens, context)

    def settings(self, config: Config) -> Settings:
        return Settings(addresses=config.addresses)


plugin = Bind()
