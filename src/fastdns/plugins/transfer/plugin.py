"""transfer: zones for secondaries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.model import ServerBlock
from fastdns.plugins.api import Plugin, Runtime
from fastdns.plugins.transfer.config import Config, parse

if TYPE_CHECKING:
    from fastdns.serve._zones import NativeStep


class Transfer(Plugin):
    """A step. Plugins with zones keep their history, and say when they change, because this one is there."""

    name = "transfer"
    worker_modules = ("step",)

    def parse(self, tokens: Dispenser, context: BlockContext) -> Config:
        return parse(tokens, context)

    def context(self, config: Config, context: BlockContext) -> BlockContext:
        return context.with_secondaries(config.secondaries)

    def step(self, config: Config, block: ServerBlock, runtime: Runtime) -> NativeStep:
        from fastdns.plugins.transfer.step import transfer_step

        return transfer_step(config, block, runtime)


plugin = Transfer()
