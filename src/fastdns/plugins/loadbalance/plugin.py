"""loadbalance: the order of addresses in a reply, and of upstreams."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.model import ServerBlock
from fastdns.corefile.settings import Settings
from fastdns.plugins.api import Check, InWorker, Plugin, Runtime, WorkerView
from fastdns.plugins.loadbalance.config import Config, parse

if TYPE_CHECKING:
    from fastdns.serve._zones import NativeStep


class Weighing(InWorker):
    """Gives each block's step the weights of its file, now and when they change."""

    def __init__(self, worker: WorkerView) -> None:
        self.worker = worker

    def start(self, loop: asyncio.AbstractEventLoop) -> Sequence[asyncio.Task[None]]:
        tasks = []
        for block, config in self.worker.config.with_plugin("loadbalance"):
            if config.weight_file is not None:
                from fastdns.plugins.loadbalance.weights import keep_weights

                tell = None if self.worker.index else self.worker.tell_skipped
                step = self.worker.steps[block.index]["loadbalance"]
                tasks.append(loop.create_task(keep_weights(config, step, tell)))
        return tasks


class Loadbalance(Plugin):
    """A step."""

    name = "loadbalance"
    worker_modules = ("_step",)

    def parse(self, tokens: Dispenser, context: BlockContext) -> Config:
        return parse(tokens, context)

    def settings(self, config: Config) -> Settings:
        return Settings(take_turns=True)

    def check(self, check: Check) -> None:
        for block, config in check.config.with_plugin("loadbalance"):
            if config.weight_file is not None:
                from fastdns.plugins.loadbalance.weights import check_weights

                with check.of("loadbalance", block):
                    found = check_weights(config, check.skipped)
                    check.warnings += [f"plugin/loadbalance: {warning}" for warning in found]

    def step(self, config: Config, block: ServerBlock, runtime: Runtime) -> NativeStep:
        from fastdns.plugins.loadbalance._step import LoadbalanceStep

        # Weights are read later, by the thread that may wait for a disk.
        return LoadbalanceStep(config.policy, list(config.networks))

    def in_worker(self, worker: WorkerView) -> InWorker:
        return Weighing(worker)


plugin = Loadbalance()
