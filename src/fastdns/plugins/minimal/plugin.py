"""minimal: positive answers without what was not asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.model import ServerBlock
from fastdns.plugins.api import Plugin, Runtime
from fastdns.plugins.minimal.config import Config, parse

if TYPE_CHECKING:
    from fastdns.serve._zones import NativeStep


class Minimal(Plugin):
    """A step."""

    name = "minimal"
    worker_modules = ("_step",)

    def parse(self, tokens: Dispenser, context: BlockContext) -> Config:
        return parse(tokens, context)

    def step(self, config: Config, block: ServerBlock, runtime: Runtime) -> NativeStep:
        from fastdns.plugins.minimal._step import MinimalStep

        return MinimalStep()


plugin = Minimal()
