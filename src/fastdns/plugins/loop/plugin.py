"""loop: finds upstreams that send queries back here."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.model import ServerBlock
from fastdns.plugins.api import InWorker, Plugin, Runtime, WorkerView
from fastdns.plugins.forward.plugin import Forwarding, routes_of
from fastdns.plugins.loop.config import Config, parse

if TYPE_CHECKING:
    from fastdns.serve._zones import NativeStep


class Probing(InWorker):
    """The first worker probes the upstreams for all."""

    def __init__(self, worker: WorkerView) -> None:
        self.worker = worker

    def start(self, loop: asyncio.AbstractEventLoop) -> Sequence[asyncio.Task[None]]:
        forwarding: Forwarding = self.worker.part("forward")
        if self.worker.index or forwarding.desk is None:
            return ()
        from fastdns.plugins.loop.probes import find_loops

        return [loop.create_task(find_loops(self.worker.config, forwarding.routes, forwarding.desk))]


class Loop(Plugin):
    """A step that knows the probes, and their sender."""

    name = "loop"
    needs = ("forward",)
    worker_modules = ("_step", "probes")

    def parse(self, tokens: Dispenser, context: BlockContext) -> Config:
        return parse(tokens, context)

    def step(self, config: Config, block: ServerBlock, runtime: Runtime) -> NativeStep:
        from fastdns.plugins.loop._step import LoopStep

        return LoopStep(routes_of(runtime).shared)

    def in_worker(self, worker: WorkerView) -> InWorker:
        return Probing(worker)


plugin = Loop()
