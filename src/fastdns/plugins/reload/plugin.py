"""reload: how often the Corefile is looked at."""

from __future__ import annotations

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.settings import Settings
from fastdns.plugins.api import Plugin
from fastdns.plugins.reload.config import Config, parse


class Reload(Plugin):
    """Only an interval: the supervisor reloads."""

    name = "reload"

    def parse(self, tokens: Dispenser, context: BlockContext) -> Config:
        return parse(tokens, context)

    def settings(self, config: Config) -> Settings:
        return Settings(look_interval_s=config.interval_s, look_jitter_s=config.jitter_s)


plugin = Reload()
