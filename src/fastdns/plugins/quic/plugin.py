"""quic: bounds of DNS over QUIC."""

from __future__ import annotations

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.settings import Settings
from fastdns.plugins.api import Plugin
from fastdns.plugins.quic.config import Config, parse
from fastdns.transports.limits import ListenerLimits


class Quic(Plugin):
    """Only bounds of connections."""

    name = "quic"

    def parse(self, tokens: Dispenser, context: BlockContext) -> Config:
        return parse(tokens, context)

    def settings(self, config: Config) -> Settings:
        return Settings(quic=ListenerLimits(max_streams=config.max_streams, pool=config.worker_pool_size))


plugin = Quic()
