"""rewrite: other questions in the place of those that clients ask, and replies that agree with what was asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.model import ServerBlock
from fastdns.metrics.reasons import OTHER_ERROR, Reason
from fastdns.plugins.api import Plugin, Runtime
from fastdns.plugins.rewrite.config import Config, parse
from fastdns.plugins.rewrite.edns0 import VARIABLES, OptionRule

if TYPE_CHECKING:
    from fastdns.serve._zones import NativeStep


class Rewrite(Plugin):
    """A step."""

    name = "rewrite"
    worker_modules = ("_step",)
    # In the order of the enums of _step.pyx and _reply.pyx.
    reasons = (
        Reason("invalid_name", "SERVFAIL", "invalid name after rewrite", OTHER_ERROR),
        Reason("invalid_answer", "SERVFAIL", "invalid name in a reply after rewrite", OTHER_ERROR),
    )

    def parse(self, tokens: Dispenser, context: BlockContext) -> Config:
        return parse(tokens, context)

    def step(self, config: Config, block: ServerBlock, runtime: Runtime) -> NativeStep:
        from fastdns.metrics.reasons import first_reason
        from fastdns.plugins.rewrite._step import RewriteStep
        from fastdns.plugins.values import value_of

        names = {rule.variable for rule in config.rules if isinstance(rule, OptionRule)} - {"", *VARIABLES}
        values = {name: value_of(name, block, runtime) for name in sorted(names)}
        return RewriteStep(config.rules, values, first_reason("rewrite"))


plugin = Rewrite()
