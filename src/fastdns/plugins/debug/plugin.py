"""debug: failures end a worker, and the log says more."""

from __future__ import annotations

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.settings import Settings
from fastdns.plugins.api import Plugin
from fastdns.plugins.debug.config import Config, parse


class Debug(Plugin):
    """Only a switch."""

    name = "debug"

    def parse(self, tokens: Dispenser, context: BlockContext) -> Config:
        return parse(tokens, context)

    def settings(self, config: Config) -> Settings:
        return Settings(debug=True)


plugin = Debug()
