"""cancel: a query has so long, and no longer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.model import ServerBlock
from fastdns.plugins.api import Plugin, Runtime
from fastdns.plugins.cancel.config import Config, parse

if TYPE_CHECKING:
    from fastdns.serve._zones import NativeStep


class Cancel(Plugin):
    """A step."""

    name = "cancel"
    worker_modules = ("_step",)

    def parse(self, tokens: Dispenser, context: BlockContext) -> Config:
        return parse(tokens, context)

    def step(self, config: Config, block: ServerBlock, runtime: Runtime) -> NativeStep:
        from fastdns.plugins.cancel._step import CancelStep

        return CancelStep(round(config.timeout_s * 1e9))


plugin = Cancel()
