"""top: who asks most, and for what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from fastdns.corefile.context import CLIENT_NAMES, BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.model import ServerBlock, ServerConfig
from fastdns.errors import FastdnsError
from fastdns.http.server import Endpoint
from fastdns.plugins.api import Check, InSupervisor, InWorker, Plugin, Runtime, SupervisorView, WorkerView
from fastdns.plugins.top.config import Config, parse

if TYPE_CHECKING:
    from fastdns.plugins.api import Handler
    from fastdns.plugins.top._sketch import Sketches
    from fastdns.serve._zones import NativeStep

# The metrics are told at the same address, so that ``fastdns top`` needs only one.
PATHS = ("/top", "/metrics")


class Telling(InSupervisor):
    """The memory of the counts, which stays across reloads, and the page /top."""

    def __init__(self, supervisor: SupervisorView) -> None:
        from fastdns.plugins.top.page import Page

        self.supervisor = supervisor
        self.page = Page(supervisor)
        self.serving: tuple[Sketches, Config] | None = None

    async def prepare(self, config: ServerConfig) -> Sketches:
        """The counts so far go on, unless they would have other bounds."""
        from fastdns.plugins.top._sketch import Sketches

        wanted = options_of(config)
        threads = self.supervisor.most_slots(config)
        if self.serving is not None:
            made, options = self.serving
            if shared(options) == shared(wanted) and made.threads >= threads:
                return made
        try:
            return Sketches(threads, wanted.size, round(wanted.window_s * 1e9))
        except OSError as error:
            raise FastdnsError(f"plugin/top: no memory for the counts of {threads} threads: {error}") from None

    def serves(self, config: ServerConfig, prepared: Sketches) -> None:
        options = options_of(config)
        self.serving = prepared, options
        self.page.show(prepared, options.slow_s)

    def handlers(self) -> Mapping[str, Handler]:
        return {"/top": self.page.handle}


class Counting(InWorker):
    """What both threads of a worker count in."""

    def __init__(self, worker: WorkerView) -> None:
        from fastdns.plugins.top._sketch import ThreadSketch

        sketches: Sketches = worker.runtime.prepared["top"]
        self.sketches = []
        # A thread's slot is its own as long as it lives, and then its successor's.
        for slot, workers in ((worker.hot_worker.reader_slot, (worker.hot_worker,)),
                              (worker.slow_slot, worker.slow_workers)):
            if slot < sketches.threads:
                sketch = ThreadSketch(sketches, slot)
                for one in workers:
                    sketch.attach(one)
                self.sketches.append(sketch)


class Top(Plugin):
    """A step that counts, and a page."""

    name = "top"
    needs = ("prometheus",)
    worker_modules = ("_step", "_sketch")

    def parse(self, tokens: Dispenser, context: BlockContext) -> Config:
        return parse(tokens, context)

    def context(self, config: Config, context: BlockContext) -> BlockContext:
        return context.asking(CLIENT_NAMES)

    def check(self, check: Check) -> None:
        """There is one set of tables for all blocks."""
        (first, wanted), *others = check.config.with_plugin("top")
        for block, options in others:
            if shared(options) != shared(wanted):
                file, line = first.places["top"]
                with check.of("top", block):
                    raise FastdnsError(f"SIZE and window must be those of the top at {file}:{line}")

    def endpoint(self, config: Config) -> Endpoint:
        return Endpoint(config.host, config.port, PATHS)

    def in_supervisor(self, supervisor: SupervisorView) -> InSupervisor:
        return Telling(supervisor)

    def step(self, config: Config, block: ServerBlock, runtime: Runtime) -> NativeStep:
        from fastdns.plugins.top._step import TopStep

        return TopStep(round(config.slow_s * 1e9))

    def in_worker(self, worker: WorkerView) -> InWorker:
        return Counting(worker)


def options_of(config: ServerConfig) -> Config:
    """Of the first block that has the plugin."""
    (_, options), *_ = config.with_plugin("top")
    found: Config = options
    return found


def shared(options: Config) -> tuple[int, float]:
    """What all blocks must say alike."""
    return options.size, options.window_s


plugin = Top()
