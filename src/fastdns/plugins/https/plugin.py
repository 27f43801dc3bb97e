"""https: bounds of the listeners of DNS over HTTPS."""

from __future__ import annotations

from dataclasses import replace

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.settings import Settings
from fastdns.plugins.api import Plugin
from fastdns.plugins.https.config import LIMITS, Config, parse


class Https(Plugin):
    """Only settings of the listener, which transports/https.py keeps."""

    name = "https"

    def parse(self, tokens: Dispenser, context: BlockContext) -> Config:
        return parse(tokens, context)

    def settings(self, config: Config) -> Settings:
        return Settings(https=replace(LIMITS, max_connections=config.max_connections))


plugin = Https()
