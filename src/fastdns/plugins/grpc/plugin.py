"""grpc: asks upstreams over gRPC, as CoreDNS's own servers speak it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.model import ServerBlock, ServerConfig
from fastdns.plugins.api import Check, Demand, InSupervisor, InWorker, Plugin, Runtime, SupervisorView, WorkerView
from fastdns.plugins.grpc.config import Config, parse

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from fastdns.plugins.grpc.counts import Counts
    from fastdns.plugins.grpc.routes import Route
    from fastdns.plugins.grpc.step import GrpcStep
    from fastdns.plugins.python import PythonStep
    from fastdns.serve.python._step import HandOver

# What is prepared: the counters, and by number of a block its upstreams.
Prepared = tuple["Counts", "dict[int, Route]"]


class Upstreams(InSupervisor):
    """Reads files of nameservers and certificates, and has the counters of all that were asked."""

    def __init__(self, supervisor: SupervisorView) -> None:
        from fastdns.plugins.grpc.counts import Counts
        from fastdns.plugins.grpc.routes import Files

        self.counts = Counts(supervisor.stats.slots)
        self.files = Files(supervisor.skipped)

    async def prepare(self, config: ServerConfig) -> Prepared:
        from fastdns.plugins.grpc.routes import Route, context_of, upstreams_of

        routes = {}
        for block, options in config.with_plugin("grpc"):
            found = upstreams_of(options, self.files.nameservers)
            context = None if options.tls is None else context_of(options.tls)
            routes[block.index] = Route(tuple((one, self.counts.row_of(one.to)) for one in found), context)
        return self.counts, routes

    def serves(self, config: ServerConfig, prepared: Any) -> None:
        self.files.follow(options for _, options in config.with_plugin("grpc"))

    def has_changed(self) -> bool:
        return self.files.changed()

    def demands(self, prepared: Prepared) -> Sequence[Demand]:
        most = sum(len(route.upstreams) for route in prepared[1].values())
        return (Demand("connections", most, 1, "connections", "gRPC upstreams"),)

    def families(self) -> Iterator[Metric]:
        from fastdns.plugins.grpc.metrics import families

        return families(self.counts)


class InThisWorker(InWorker):
    """Tells the steps where they count."""

    def __init__(self, worker: WorkerView) -> None:
        for by_plugin in worker.steps:
            if "grpc" in by_plugin:
                step = cast("GrpcStep", cast("HandOver", by_plugin["grpc"]).python)
                step.slot = worker.slow_slot


class Grpc(Plugin):
    """A step in Python: waiting is its work."""

    name = "grpc"
    worker_modules = ("step",)

    def parse(self, tokens: Dispenser, context: BlockContext) -> Config:
        return parse(tokens, context)

    def check(self, check: Check) -> None:
        from fastdns.plugins.grpc.routes import context_of, log, upstreams_of
        from fastdns.plugins.nameservers import NameserverFiles

        for block, options in check.config.with_plugin(self.name):
            with check.of(self.name, block):
                upstreams_of(options, NameserverFiles(log, check.skipped))
                if options.tls is not None:
                    context_of(options.tls)

    def in_supervisor(self, supervisor: SupervisorView) -> InSupervisor:
        return Upstreams(supervisor)

    def in_worker(self, worker: WorkerView) -> InWorker:
        return InThisWorker(worker)

    def python_step(self, config: Config, block: ServerBlock, runtime: Runtime) -> PythonStep:
        from fastdns.plugins.grpc.step import GrpcStep
        from fastdns.plugins.order import with_step

        counts, routes = runtime.prepared[self.name]
        has_next = [*with_step(block.plugins)][-1] != self.name
        return GrpcStep(config, routes[block.index], counts, has_next=has_next)


plugin = Grpc()
