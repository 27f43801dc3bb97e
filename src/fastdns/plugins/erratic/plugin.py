"""erratic: answers that are dropped, truncated or late, to test clients with."""

from __future__ import annotations

import mmap
import sys
from typing import TYPE_CHECKING

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.model import ServerBlock, ServerConfig
from fastdns.plugins.api import InSupervisor, InWorker, Plugin, Runtime, SupervisorView, WorkerView
from fastdns.plugins.erratic.config import Config, parse

if TYPE_CHECKING:
    from fastdns.plugins.erratic._delays import DelayService
    from fastdns.serve._search import NativeSearch
    from fastdns.serve._zones import NativeStep

COUNTER_BYTES = 8
# Of every client, as in CoreDNS.
SEARCH = (b"\1a\7example\3org\0", b"\1b\7example\3org\0")
# It flips, so that it can be tested what becomes of a server that is not ready.
READY_AFTER = range(3, 5)


class Counting(InSupervisor):
    """The number of queries that each block has had since its configuration serves."""

    def __init__(self, supervisor: SupervisorView) -> None:
        self.supervisor = supervisor

    async def prepare(self, config: ServerConfig) -> dict[int, mmap.mmap]:
        return {block.index: mmap.mmap(-1, COUNTER_BYTES) for block, _ in config.with_plugin("erratic")}

    def is_ready(self) -> bool:
        counters = self.supervisor.prepared("erratic") or {}
        return all(
            int.from_bytes(counter[:COUNTER_BYTES], sys.byteorder) in READY_AFTER for counter in counters.values()
        )


class Delaying(InWorker):
    """What delayed queries wait for."""

    def __init__(self, worker: WorkerView) -> None:
        self.delays = any(config.delay for _, config in worker.config.with_plugin("erratic"))

    def service(self, slot: int, room: int) -> DelayService | None:
        if not self.delays:
            return None
        from fastdns.plugins.erratic._delays import DelayService

        return DelayService(room)


class Erratic(Plugin):
    """A step, a counter that all workers share, and a service for each thread of a worker."""

    name = "erratic"
    worker_modules = ("_step", "_delays")

    def parse(self, tokens: Dispenser, context: BlockContext) -> Config:
        return parse(tokens, context)

    def in_supervisor(self, supervisor: SupervisorView) -> InSupervisor:
        return Counting(supervisor)

    def step(self, config: Config, block: ServerBlock, runtime: Runtime) -> NativeStep:
        from fastdns.plugins.erratic._step import ErraticStep

        counter = runtime.prepared["erratic"][block.index]
        delay_ns = round(config.delay_s * 1e9)
        return ErraticStep(counter, config.drop, config.truncate, config.delay, delay_ns, config.large)

    def search(self, config: Config, block: ServerBlock, runtime: Runtime) -> NativeSearch:
        from fastdns.serve._search import FixedSearch

        return FixedSearch(SEARCH)

    def in_worker(self, worker: WorkerView) -> InWorker:
        return Delaying(worker)


plugin = Erratic()
