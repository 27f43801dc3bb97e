"""chaos: which version this server is, whose, and on which host."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.model import ServerBlock
from fastdns.corefile.settings import Settings
from fastdns.plugins.api import Plugin, Runtime
from fastdns.plugins.chaos.config import Config, parse

if TYPE_CHECKING:
    from fastdns.serve._zones import NativeStep


class Chaos(Plugin):
    """A step that answers five names."""

    name = "chaos"
    worker_modules = ("_step",)

    def parse(self, tokens: Dispenser, context: BlockContext) -> Config:
        return parse(tokens, context)

    def settings(self, config: Config) -> Settings:
        return Settings(every_class=True)

    def step(self, config: Config, block: ServerBlock, runtime: Runtime) -> NativeStep:
        from fastdns.plugins.chaos._step import ChaosStep

        version, host = [config.version], [socket.gethostname()]
        return ChaosStep(
            {
                "version.bind.": version,
                "version.server.": version,
                "authors.bind.": list(config.authors),
                "hostname.bind.": host,
                "id.server.": host,
            }
        )


plugin = Chaos()
