"""forward: forwards queries to upstream servers."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.model import ServerBlock, ServerConfig
from fastdns.corefile.settings import Settings
from fastdns.errors import FastdnsError
from fastdns.metrics.reasons import NETWORK_ERROR, NO_REACHABLE_AUTHORITY, OTHER_ERROR, Reason
from fastdns.plugins.api import Check, Demand, InSupervisor, InWorker, Plugin, Runtime, SupervisorView, WorkerView
from fastdns.plugins.forward.config import Config, parse

if TYPE_CHECKING:
    import asyncio

    from prometheus_client.core import Metric

    from fastdns.plugins.forward.desk import Desk
    from fastdns.plugins.forward.engine._engine import ForwardEngine
    from fastdns.plugins.forward.routes import Routes
    from fastdns.serve._values import NativeValue
    from fastdns.serve._zones import NativeStep

log = logging.getLogger("plugin/forward")

# The value that names the upstream that has replied.
UPSTREAM = "forward/upstream"
# The text of an error for which the streams may know a better one.
STREAM_ERROR = "{}: connection failed"


def routes_of(runtime: Runtime) -> Routes:
    """The routes of a generation."""
    routes: Routes = runtime.prepared["forward"]
    return routes


class Routing(InSupervisor):
    """The part in the supervisor: the upstreams of each configuration, and the table that outlives it."""

    def __init__(self, supervisor: SupervisorView) -> None:
        from fastdns.plugins.forward.routes import Nameservers, RouteTable

        self.supervisor = supervisor
        self.table = RouteTable(supervisor.skipped)
        self.nameservers = Nameservers()

    async def prepare(self, config: ServerConfig) -> Routes:
        return await self.table.find(config)

    def serves(self, config: ServerConfig, prepared: Any) -> None:
        self.nameservers.follow(prepared)

    def has_changed(self) -> bool:
        if not self.nameservers.changed():
            return False
        log.info("A file of nameservers or an interface of an upstream has changed")
        return True

    def demands(self, prepared: Any) -> Sequence[Demand]:
        from fastdns.plugins.forward.descriptors import demands

        return demands(prepared)

    def counters_in_use(self) -> int:
        return self.table.slots_in_use()

    def families(self) -> Iterator[Metric]:
        from fastdns.plugins.forward.metrics import families

        return families(self.supervisor, self.table)


class Forwarding(InWorker):
    """The part in a worker: the engines of both threads, and the streams. desk: None if there is no upstream."""

    def __init__(self, worker: WorkerView) -> None:
        self.worker = worker
        self.routes = routes_of(worker.runtime)
        self.engines: list[ForwardEngine] = []
        self.desk: Desk | None = None

    def service(self, slot: int, room: int) -> ForwardEngine | None:
        if not self.routes.upstreams:
            return None
        from fastdns.plugins.forward.engine._engine import ForwardEngine

        engine = ForwardEngine(
            self.routes.table(), self.routes.shared, self.worker.stats, slot, room,
            max(1, len(self.routes.stanzas)), sockets=self.worker.allowed("sockets"),
        )  # fmt: skip
        # All workers of a thread have the same in their slots.
        engine.serve_with(self.worker.slow_workers[0] if slot == self.worker.slow_slot else self.worker.hot_worker)
        self.engines.append(engine)
        return engine

    def start(self, loop: asyncio.AbstractEventLoop) -> Sequence[asyncio.Task[None]]:
        if self.engines:
            from fastdns.plugins.forward.desk import Desk

            self.desk = Desk(self.routes, loop, self.worker.allowed("streams"))
            for engine in self.engines:
                self.desk.attach(engine.streams)
        return ()

    def beat(self, *, last: bool) -> None:
        if self.desk is not None:
            self.desk.publish(self.worker.stats, self.worker.slow_slot)

    def explain(self, text: str, slot: int) -> str | None:
        if "{}" not in text:
            return None
        to = next((route.upstream.to for route in self.routes.upstreams if route.slot == slot), "")
        if text == STREAM_ERROR and self.desk is not None:
            return self.desk.reasons.get(to, text.format(to))
        return text.format(to)

    async def drain(self) -> None:
        if self.desk is not None:
            await self.desk.close()


class Forward(Plugin):
    """The plugin: a step, and the engine that asks upstreams."""

    name = "forward"
    offers = ("config", "desk", "engine._shared", "engine._stanza", "routes", "upstreams")
    worker_modules = ("_step", "desk", "engine._engine", "stanzas", "fastdns.plugins.observers")
    # In the order of ForwardReason in engine/_reasons.pxd.
    reasons = (
        Reason("no_healthy_upstream", "SERVFAIL", "no healthy proxies", NO_REACHABLE_AUTHORITY),
        Reason("upstream_timeout", "SERVFAIL", "read udp {}: i/o timeout", NO_REACHABLE_AUTHORITY),
        Reason("upstream_refused", "SERVFAIL", "read udp {}: connection refused", NETWORK_ERROR),
        Reason("upstream_malformed", "SERVFAIL", "{}: malformed reply", NETWORK_ERROR),
        Reason("max_concurrent", "REFUSED", "concurrent queries exceeded maximum", OTHER_ERROR),
        Reason("in_flight", "SERVFAIL", "too many queries in flight", OTHER_ERROR),
        Reason("upstream_stream", "SERVFAIL", STREAM_ERROR, NETWORK_ERROR),
        Reason("upstream_send", "SERVFAIL", "write udp {}: send failed", NETWORK_ERROR),
        Reason("client_share", "SERVFAIL", "client has too many queries in flight", OTHER_ERROR),
        Reason("too_long", "SERVFAIL", "query is too long to be forwarded", OTHER_ERROR),
    )

    def parse(self, tokens: Dispenser, context: BlockContext) -> Config:
        return parse(tokens, context)

    def settings(self, config: Config) -> Settings:
        # Queries of unknown classes are forwarded as well.
        return Settings(every_class=True)

    def check(self, check: Check) -> None:
        from fastdns.plugins.forward.upstreams import MAX_STANZAS

        stanzas = [stanza for _, config in check.config.with_plugin("forward") for stanza in config.stanzas]
        if len(stanzas) > MAX_STANZAS:
            over = stanzas[MAX_STANZAS]
            with check.mistakes.noted():
                raise FastdnsError(
                    f"plugin/forward: {over.file}:{over.line} - at most {MAX_STANZAS} are possible in a Corefile, "
                    f"got {len(stanzas)}"
                )

    def in_supervisor(self, supervisor: SupervisorView) -> InSupervisor:
        return Routing(supervisor)

    def step(self, config: Config, block: ServerBlock, runtime: Runtime) -> NativeStep:
        from fastdns.plugins.forward._step import ForwardStep
        from fastdns.plugins.forward.stanzas import for_step
        from fastdns.plugins.observers import observers_of

        return ForwardStep(for_step(config, block, routes_of(runtime), observers_of(block, runtime, UPSTREAM)))

    def value(self, name: str, config: Config, block: ServerBlock, runtime: Runtime) -> NativeValue | None:
        if name != UPSTREAM:
            return None
        from fastdns.plugins.forward._step import UpstreamValue

        return UpstreamValue([(route.slot, route.upstream.to.encode()) for route in routes_of(runtime).upstreams])

    def in_worker(self, worker: WorkerView) -> InWorker:
        return Forwarding(worker)


plugin = Forward()
