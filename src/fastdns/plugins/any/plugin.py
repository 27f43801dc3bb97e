"""any: a short answer to questions for all records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.model import ServerBlock
from fastdns.plugins.any.config import Config, parse
from fastdns.plugins.api import Plugin, Runtime

if TYPE_CHECKING:
    from fastdns.serve._zones import NativeStep


class Any(Plugin):
    """A step."""

    name = "any"
    worker_modules = ("_step",)

    def parse(self, tokens: Dispenser, context: BlockContext) -> Config:
        return parse(tokens, context)

    def step(self, config: Config, block: ServerBlock, runtime: Runtime) -> NativeStep:
        from fastdns.plugins.any._step import AnyStep

        return AnyStep()


plugin = Any()
