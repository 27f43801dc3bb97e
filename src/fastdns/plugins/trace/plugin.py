"""trace: tells collectors of traces what some queries have gone through."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.model import ServerBlock, ServerConfig
from fastdns.plugins.api import InSupervisor, InWorker, Plugin, Runtime, SupervisorView, WorkerView
from fastdns.plugins.trace.config import Config, parse

if TYPE_CHECKING:
    import asyncio

    from prometheus_client.core import Metric

    from fastdns.serve._values import NativeValue
    from fastdns.serve._zones import NativeStep

TRACE_ID = "trace/traceid"


class Counting(InSupervisor):
    """What workers count, of all generations."""

    def __init__(self, supervisor: SupervisorView) -> None:
        from fastdns.plugins.trace.counts import Counts

        self.counts = Counts(supervisor.stats.slots)

    async def prepare(self, config: ServerConfig) -> Any:
        return self.counts

    def families(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily

        for name, meaning in (
            ("sent", "Counter of spans that a collector of traces has taken."),
            ("dropped", "Counter of spans that were dropped: more came than were sent."),
            ("failed", "Counter of spans that a collector of traces did not take."),
        ):
            yield CounterMetricFamily(f"fastdns_trace_{name}_spans", meaning, self.counts.total(name))


class Tracing(InWorker):
    """Sends what both threads have traced."""

    def __init__(self, worker: WorkerView) -> None:
        from fastdns.plugins.trace._step import TraceRing
        from fastdns.plugins.trace.sending import Sending
        from fastdns.transports.table import TRANSPORTS

        hot, slow = (TraceRing(int.from_bytes(os.urandom(8), "big")) for _ in range(2))
        hot.attach(worker.hot_worker)
        for one in worker.slow_workers:
            slow.attach(one)
        configs = {
            block.index: (config, tuple(worker.steps[block.index]))
            for block, config in worker.config.with_plugin("trace")
        }
        count = partial(worker.runtime.prepared["trace"].add, worker.slow_slot)
        self.sending = Sending(configs, (hot, slow), count, [row.proto for row in TRANSPORTS])

    def start(self, loop: asyncio.AbstractEventLoop) -> Sequence[asyncio.Task[None]]:
        return (loop.create_task(self.sending.run()),)

    async def drain(self) -> None:
        await self.sending.close()


class Trace(Plugin):
    """A step, and what sends its traces."""

    name = "trace"
    worker_modules = ("_step", "sending")

    def parse(self, tokens: Dispenser, context: BlockContext) -> Config:
        return parse(tokens, context)

    def in_supervisor(self, supervisor: SupervisorView) -> InSupervisor:
        return Counting(supervisor)

    def step(self, config: Config, block: ServerBlock, runtime: Runtime) -> NativeStep:
        from fastdns.plugins.trace._step import TraceStep

        return TraceStep(block.index, config.every)

    def value(self, name: str, config: Config, block: ServerBlock, runtime: Runtime) -> NativeValue | None:
        if name != TRACE_ID:
            return None
        from fastdns.plugins.trace._step import TraceIdValue

        return TraceIdValue()

    def in_worker(self, worker: WorkerView) -> InWorker:
        return Tracing(worker)


plugin = Trace()
