"""tls: the certificate of the listeners that encrypt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.settings import Settings
from fastdns.plugins.api import Check, Plugin

if TYPE_CHECKING:
    from fastdns.servertls import ServerTls


class Tls(Plugin):
    """Files, which are read before anything changes and whenever they change."""

    name = "tls"

    def parse(self, tokens: Dispenser, context: BlockContext) -> ServerTls:
        # Only here: it imports ssl.
        from fastdns.plugins.tls.config import parse

        return parse(tokens, context)

    def settings(self, config: ServerTls) -> Settings:
        return Settings(tls=config)

    def check(self, check: Check) -> None:
        from fastdns.servertls import served

        for block, files in check.config.with_plugin(self.name):
            with check.of(self.name, block):
                served(files)
                if files.keylog:
                    check.warnings.append(f'plugin/tls: Writing TLS Key Log to "{files.keylog}"')


plugin = Tls()
