"""multisocket: how many processes serve."""

from __future__ import annotations

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.settings import Settings
from fastdns.plugins.api import Plugin
from fastdns.plugins.multisocket.config import Config, parse


class Multisocket(Plugin):
    """Only a number of processes."""

    name = "multisocket"

    def parse(self, tokens: Dispenser, context: BlockContext) -> Config:
        return parse(tokens, context)

    def settings(self, config: Config) -> Settings:
        return Settings(workers=config.sockets)


plugin = Multisocket()
