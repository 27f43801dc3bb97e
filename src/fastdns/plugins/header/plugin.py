"""header: sets and clears bits of the header, in queries to upstreams and in responses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.model import ServerBlock
from fastdns.plugins.api import Plugin, Runtime
from fastdns.plugins.header.config import Config, parse

if TYPE_CHECKING:
    from fastdns.serve._zones import NativeStep


class Header(Plugin):
    """A step."""

    name = "header"
    worker_modules = ("_step",)

    def parse(self, tokens: Dispenser, context: BlockContext) -> Config:
        return parse(tokens, context)

    def step(self, config: Config, block: ServerBlock, runtime: Runtime) -> NativeStep:
        from fastdns.plugins.header._step import HeaderStep

        query, response = config.query, config.response
        return HeaderStep(query.set, query.cleared, response.set, response.cleared)


plugin = Header()
