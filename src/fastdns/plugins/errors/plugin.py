"""errors: logs why queries failed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.model import ServerBlock
from fastdns.corefile.settings import Settings
from fastdns.plugins.api import InWorker, Plugin, Runtime, WorkerView
from fastdns.plugins.errors.config import Config, parse

if TYPE_CHECKING:
    from fastdns.serve._zones import NativeStep


class Reporting(InWorker):
    """Takes what either thread has noted, and has each block's reporter log it."""

    def __init__(self, worker: WorkerView) -> None:
        from fastdns.plugins.errors.reporter import Reporter

        self.worker = worker
        self.reporters = {block.index: Reporter(config) for block, config in worker.config.with_plugin("errors")}

    def beat(self, *, last: bool) -> None:
        now = time.monotonic()
        for worker in (self.worker.hot_worker, *self.worker.slow_workers):
            for block, rcode, qname, qtype, text, upstream in worker.take_errors():
                self.reporters[block].report(rcode, qname, qtype, self.worker.explain(text, upstream), now)
        for reporter in self.reporters.values():
            reporter.tick(now, last=last)


class Errors(Plugin):
    """A step that notes failures, and reporters that log them."""

    name = "errors"
    worker_modules = ("_step", "reporter")

    def parse(self, tokens: Dispenser, context: BlockContext) -> Config:
        return parse(tokens, context)

    def settings(self, config: Config) -> Settings:
        return Settings(stacktrace=config.stacktrace)

    def step(self, config: Config, block: ServerBlock, runtime: Runtime) -> NativeStep:
        from fastdns.plugins.errors._step import ErrorsStep

        # The number tells the events of one block from another's.
        return ErrorsStep(block.index)

    def in_worker(self, worker: WorkerView) -> InWorker:
        return Reporting(worker)


plugin = Errors()
