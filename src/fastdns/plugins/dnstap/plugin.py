"""dnstap: tells collectors of every query and reply, in messages of dnstap."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.model import ServerBlock, ServerConfig
from fastdns.errors import FastdnsError
from fastdns.plugins.api import Check, InSupervisor, InWorker, Plugin, Runtime, SupervisorView, WorkerView
from fastdns.plugins.dnstap.config import Config, parse

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from fastdns.plugins.dnstap._step import TapStep
    from fastdns.serve._exchanges import NativeObserver
    from fastdns.serve._zones import NativeStep


class Collecting(InSupervisor):
    """Reads what all workers write, and sends it."""

    def __init__(self, supervisor: SupervisorView) -> None:
        from fastdns.plugins.dnstap.draining import Draining

        self.supervisor = supervisor
        self.draining = Draining(self.is_in_use)

    async def prepare(self, config: ServerConfig) -> Any:
        from fastdns.plugins.dnstap.shared import make_rings

        try:
            return make_rings(config, self.supervisor.count_workers(config))
        except MemoryError:
            raise FastdnsError("plugin/dnstap: no memory for the queues of all workers") from None

    def serves(self, config: ServerConfig, prepared: Any) -> None:
        self.draining.follow(self.supervisor.generation, prepared)

    def is_in_use(self, generation: int) -> bool:
        """Whether a generation serves, or has a worker left."""
        return generation == self.supervisor.generation or any(
            child.role == "worker" and child.generation == generation for child in self.supervisor.children.values()
        )

    async def run(self) -> None:
        self.draining.start()

    async def close(self) -> None:
        self.draining.close()

    def families(self) -> Iterator[Metric]:
        from fastdns.plugins.dnstap.metrics import families

        return families(self.draining)


class Writing(InWorker):
    """Gives the rings of a worker to its threads."""

    def __init__(self, worker: WorkerView) -> None:
        from fastdns.plugins.dnstap._thread import ThreadTaps
        from fastdns.plugins.dnstap.shared import HOT, SLOW, Rings

        rings: Rings = worker.runtime.prepared["dnstap"]
        self.hot = ThreadTaps(rings.of_thread(worker.index, HOT))
        self.hot.attach(worker.hot_worker)
        self.slow = ThreadTaps(rings.of_thread(worker.index, SLOW))
        for one in worker.slow_workers:
            self.slow.attach(one)


class Dnstap(Plugin):
    """A step and an observer in the workers; the connections are the supervisor's."""

    name = "dnstap"
    worker_modules = ("_step", "_thread", "shared")

    def parse(self, tokens: Dispenser, context: BlockContext) -> Config:
        return parse(tokens, context)

    def check(self, check: Check) -> None:
        from fastdns.servertls import served

        for block, config in check.config.with_plugin(self.name):
            for tap in config.taps:
                if tap.destination.tls is not None:
                    with check.of(self.name, block):
                        served(tap.destination.tls)

    def in_supervisor(self, supervisor: SupervisorView) -> InSupervisor:
        return Collecting(supervisor)

    def step(self, config: Config, block: ServerBlock, runtime: Runtime) -> NativeStep:
        return self.made(config, block, runtime)

    def observer(self, config: Config, block: ServerBlock, runtime: Runtime) -> NativeObserver:
        from fastdns.plugins.dnstap._step import TapObserver

        return TapObserver(self.made(config, block, runtime))

    def made(self, config: Config, block: ServerBlock, runtime: Runtime) -> TapStep:
        """What writes the messages of a block."""
        from fastdns.plugins.dnstap._step import TapStep
        from fastdns.plugins.values import value_of

        destinations = runtime.prepared["dnstap"].destinations
        return TapStep([
            (
                destinations.index(tap.destination), tap.full, tap.identity, tap.version,
                [
                    value_of(piece.value, block, runtime) if piece.value else piece.label or piece.literal.encode()
                    for piece in tap.extra
                ],
            )
            for tap in config.taps
        ])  # fmt: skip

    def in_worker(self, worker: WorkerView) -> InWorker:
        return Writing(worker)


plugin = Dnstap()
