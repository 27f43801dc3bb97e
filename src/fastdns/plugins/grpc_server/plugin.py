"""grpc_server: bounds of the listeners of gRPC."""

from __future__ import annotations

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.settings import Settings
from fastdns.plugins.api import Plugin
from fastdns.plugins.grpc_server.config import Config, parse
from fastdns.transports.limits import ListenerLimits


class GrpcServer(Plugin):
    """Only settings of the listener, which transports/grpc.py keeps."""

    name = "grpc_server"

    def parse(self, tokens: Dispenser, context: BlockContext) -> Config:
        return parse(tokens, context)

    def settings(self, config: Config) -> Settings:
        return Settings(grpc=ListenerLimits(config.max_connections, config.max_streams))


plugin = GrpcServer()
