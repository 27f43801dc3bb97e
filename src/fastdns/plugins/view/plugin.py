"""view: a block takes only the queries for which expressions are true."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.model import ServerBlock
from fastdns.corefile.settings import Settings
from fastdns.plugins.api import Plugin, Runtime
from fastdns.plugins.view.config import Config, parse

if TYPE_CHECKING:
    from fastdns.serve._values import NativeValue
    from fastdns.serve._zones import NativeFilter


class View(Plugin):
    """A filter, and the view's name as a value."""

    name = "view"
    is_handler_in_coredns = True
    worker_modules = ("_view",)

    def parse(self, tokens: Dispenser, context: BlockContext) -> Config:
        return parse(tokens, context)

    def settings(self, config: Config) -> Settings:
        return Settings(view=config.name)

    def filter(self, config: Config, block: ServerBlock, runtime: Runtime) -> NativeFilter:
        from fastdns.expr import Program
        from fastdns.plugins.values import value_of
        from fastdns.plugins.view._view import ViewFilter

        programs = [Program(text) for text in config.expressions]
        for program in programs:
            program.bind(value_of(name, block, runtime) for name in program.values)
        return ViewFilter(programs)

    def value(self, name: str, config: Config, block: ServerBlock, runtime: Runtime) -> NativeValue | None:
        if name != "view/name":
            return None
        from fastdns.plugins.view._view import ViewName

        return ViewName(config.name.encode())


plugin = View()
