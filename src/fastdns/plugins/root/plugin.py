"""root: what later plugins of the block find their files below."""

from __future__ import annotations

from dataclasses import replace

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.plugins.api import Plugin
from fastdns.plugins.root.config import Config, parse


class Root(Plugin):
    """Only what it says to the plugins after it."""

    name = "root"

    def parse(self, tokens: Dispenser, context: BlockContext) -> Config:
        return parse(tokens, context)

    def context(self, config: Config, context: BlockContext) -> BlockContext:
        return replace(context, root=config.path)


plugin = Root()
