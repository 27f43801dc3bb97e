"""log: writes a line for each query."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.model import ServerBlock
from fastdns.dns.names import wire_name
from fastdns.plugins.api import InWorker, Plugin, Runtime, WorkerView
from fastdns.plugins.log.config import Config, parse

if TYPE_CHECKING:
    import asyncio

    from fastdns.serve._values import NativeValue
    from fastdns.serve._zones import NativeStep

# Of the reply: NOERROR, NXDOMAIN, NODATA, DELEGATION, …, and success, denial or error.
VALUES = ("log/type", "log/class")

class Writing(InWorker):
    """Writes the lines of what both threads have served."""

    def __init__(self, worker: WorkerView) -> None:
        from fastdns.plugins.log.writer import QueryLog

        self.log = QueryLog(
            worker.config, worker.tables, worker.hot_worker, worker.slow_workers, lines_s=worker.log_lines_s,
            count_dropped=partial(worker.stats.count_log_dropped, worker.slow_slot),
        )  # fmt: skip

    def start(self, loop: asyncio.AbstractEventLoop) -> Sequence[asyncio.Task[None]]:
        self.log.start(loop)
        return ()

    def close(self) -> None:
        self.log.close()


class Log(Plugin):
    """A step that notes queries, and a writer of their lines."""

    name = "log"
    worker_modules = ("_step", "writer")

    def parse(self, tokens: Dispenser, context: BlockContext) -> Config:
        return parse(tokens, context)

    def step(self, config: Config, block: ServerBlock, runtime: Runtime) -> NativeStep:
        from fastdns.plugins.log._step import LogStep
        from fastdns.plugins.values import value_of

        # The number tells the formats of one block from another's.
        return LogStep(
            block.index,
            [
                (wire_name(rule.name), rule.classes, *[value_of(name, block, runtime) for name in rule.values])
                for rule in config.rules
            ],
            [(rule.sample, rule.limits) for rule in config.rules],
        )

    def value(self, name: str, config: Config, block: ServerBlock, runtime: Runtime) -> NativeValue | None:
        if name not in VALUES:
            return None
        from fastdns.plugins.log._step import ReplyValue

        return ReplyValue(name.partition("/")[2])

    def in_worker(self, worker: WorkerView) -> InWorker:
        return Writing(worker)


plugin = Log()
