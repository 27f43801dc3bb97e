"""metadata: values that plugins know of a query can be read by other plugins of the block."""

from __future__ import annotations

from dataclasses import replace

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.settings import Settings
from fastdns.plugins.api import Plugin
from fastdns.plugins.metadata.config import Config, parse


class Metadata(Plugin):
    """A setting of the block. A value is computed when it is read, so there is no step."""

    name = "metadata"
    is_handler_in_coredns = True

    def parse(self, tokens: Dispenser, context: BlockContext) -> Config:
        return parse(tokens, context)

    def context(self, config: Config, context: BlockContext) -> BlockContext:
        return replace(context, value_zones=config.zones)

    def settings(self, config: Config) -> Settings:
        return Settings(value_zones=config.zones)


plugin = Metadata()
