"""nsid: an identifier of this server, in replies to clients that ask for it."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.model import ServerBlock
from fastdns.plugins.api import Plugin, Runtime
from fastdns.plugins.nsid.config import Config, parse

if TYPE_CHECKING:
    from fastdns.serve._zones import NativeStep


class Nsid(Plugin):
    """A step."""

    name = "nsid"
    worker_modules = ("_step",)

    def parse(self, tokens: Dispenser, context: BlockContext) -> Config:
        return parse(tokens, context)

    def step(self, config: Config, block: ServerBlock, runtime: Runtime) -> NativeStep:
        from fastdns.plugins.nsid._step import NsidStep

        return NsidStep(socket.gethostname().encode() if config.data is None else config.data)


plugin = Nsid()
