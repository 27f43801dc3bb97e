"""What the server asks of a plugin: the same questions of all of them.

``plugins/NAME/plugin.py`` has ``plugin``, an object of a class that derives from Plugin. Each part has a default
that does nothing; only ``parse`` has none. Whoever reads a Corefile imports the ``plugin.py`` of the plugins that
it names, and little else of their folders: what is needed later is imported by the methods that need it.

Where a plugin runs:

- Parsing (``fastdns check``, the supervisor, a reload): ``parse``, ``context``, ``settings``, ``endpoint``,
  ``check``.
- The supervisor: an InSupervisor, for the life of the process. What it prepares is inherited by workers.
- The watcher: a Source for each source that the Corefile's blocks name. It writes into the zone store.
- Each worker: ``step`` makes the native step of a block, or ``python_step`` one in Python (``is_in_python`` says
  which, where a plugin has both). ``filter`` makes what
  decides whether the block takes a query, ``value`` what filters and steps can read of a query. An InWorker does
  what the event loop does for the plugin.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from fastdns.corefile.mistakes import said_of
from fastdns.corefile.settings import Settings
from fastdns.metrics.measured import Measure
from fastdns.metrics.reasons import Reason

if TYPE_CHECKING:
    import asyncio
    from ssl import SSLContext

    from prometheus_client.core import Metric

    from fastdns.corefile.context import BlockContext
    from fastdns.corefile.dispenser import Dispenser
    from fastdns.corefile.mistakes import Mistakes
    from fastdns.corefile.model import ServerBlock, ServerConfig
    from fastdns.http.answers import Answer, Request
    from fastdns.http.server import Endpoint
    from fastdns.memory._store import Store, Writer
    from fastdns.metrics._stats import Stats
    from fastdns.metrics.delays import LoopDelays
    from fastdns.metrics.measured import Family
    from fastdns.plugins.python import PythonStep
    from fastdns.serve._exchanges import NativeObserver
    from fastdns.serve._search import NativeSearch
    from fastdns.serve._suspend import NativeService
    from fastdns.serve._transfers import NativeTransfer
    from fastdns.serve._values import BlockValue, NativeValue
    from fastdns.serve._worker import Worker
    from fastdns.serve._zones import NativeFilter, NativeStep, ServerTable
    from fastdns.skipped import SkippedLines
    from fastdns.transports._slow import SlowPath
    from fastdns.transports._udp import HotLoop

    Handler = Callable[[Request], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Demand:
    """File descriptors of a worker: up to ``most`` of something, which take ``files_each`` descriptors each.

    name: under which InWorker finds how many it may have. what: as the log names them. of: what they belong to, for
    the log. first: before clients, but not more than a third of all.
    """

    name: str
    most: int
    files_each: int
    what: str
    of: str
    first: bool = False


@dataclass(frozen=True, slots=True)
class Runtime:
    """What the workers of one generation share: the supervisor makes it before it forks them.

    sources: (plugin, index of a block) to the number of that block's source in the zone store. local: this host's
    addresses that are not loopback, 4 or 16 bytes each. first_counters: by plugin, where in a zone its own counters
    begin. prepared: by plugin, what InSupervisor.prepare has returned. values: of a worker, what has been found by
    index of a block and name; see plugins/values.py.
    """

    sources: Mapping[tuple[str, int], int] = field(default_factory=dict)
    local: tuple[bytes, ...] = ()
    prepared: Mapping[str, Any] = field(default_factory=dict)
    first_counters: Mapping[str, int] = field(default_factory=dict)
    values: dict[tuple[int, str], BlockValue | None] = field(default_factory=dict)


@dataclass(slots=True)
class Check:
    """One look at what a configuration needs of this host. Plugins add to it.

    skipped: lines of files that others write. warnings: for the log. mistakes: where all of them are kept, none is
    raised; else the first one is.
    """

    config: ServerConfig
    skipped: SkippedLines
    mistakes: Mistakes
    warnings: list[str] = field(default_factory=list)

    @contextlib.contextmanager
    def of(self, name: str, block: ServerBlock) -> Iterator[None]:
        """A part of the look: its errors name the plugin and its place in the Corefile."""
        with self.mistakes.noted(), said_of(name, block):
            yield


class Recorder(Protocol):
    """Keeps what sources measure, by name and label values; and what a start or a reload must not go on with."""

    def refuse(self, number: int, why: str) -> None:
        """The source with this number cannot be what the Corefile wants. A start or a reload that waits for it ends
        with this error; later it changes nothing."""

    def observe(self, name: str, labels: tuple[str, ...], value: float) -> None: ...

    def count(self, name: str, labels: tuple[str, ...]) -> None: ...


class Source(Protocol):
    """What the watcher follows under one number of the zone store: restore, run, tick each second, close."""

    def restore(self) -> None:
        """Publish what was kept of an earlier run, before anybody is asked."""

    async def run(self) -> None:
        """Follow until cancelled. An exception ends the watcher; its successor begins afresh."""

    def tick(self) -> None:
        """A second has passed."""

    async def close(self) -> None:
        """run has ended."""


class Totals(Protocol):
    """What sources measured, all watchers that have been together."""

    def families(self, *, runtime: bool) -> Iterable[Family]:
        """Every family, also those without series. runtime: with what Python's garbage collectors did."""


class Sockets(Protocol):
    """The listening sockets of all configurations that have been."""

    def drops(self) -> Mapping[str, int]:
        """What the kernel has dropped for want of room: datagrams ("udp"), connections ("tcp")."""


class Child(Protocol):
    """One process of the server's. role: "worker" or "watcher"; pid None: about to be started."""

    @property
    def role(self) -> str: ...
    @property
    def index(self) -> int: ...
    @property
    def generation(self) -> int: ...
    @property
    def pid(self) -> int | None: ...
    @property
    def ready(self) -> bool: ...


class SupervisorView(Protocol):
    """What a plugin may know of the supervisor.

    pid: of its process. zone_slots: (server, zone, view) to the slot of its counters. deaths: of children, by role.
    delays: of its event loop. stopping: whether the server is going.
    """

    @property
    def pid(self) -> int: ...
    @property
    def environ(self) -> Mapping[str, str]: ...
    @property
    def config(self) -> ServerConfig: ...
    @property
    def generation(self) -> int: ...
    @property
    def stopping(self) -> bool: ...
    @property
    def stats(self) -> Stats: ...
    @property
    def store(self) -> Store: ...
    @property
    def zone_slots(self) -> Mapping[tuple[str, str, str], int]: ...
    @property
    def sockets(self) -> Sockets: ...
    @property
    def children(self) -> Mapping[Any, Child]: ...
    @property
    def deaths(self) -> Mapping[str, int]: ...
    @property
    def delays(self) -> LoopDelays: ...
    @property
    def watcher_totals(self) -> Totals: ...
    @property
    def max_held_bytes(self) -> int: ...
    @property
    def skipped(self) -> SkippedLines: ...
    @property
    def reload_failed(self) -> int: ...

    def count_workers(self, config: ServerConfig) -> int:
        """How many workers serve a configuration. Raises FastdnsError."""

    def first_counter(self, name: str) -> int:
        """Where in a zone the counters of a plugin begin."""

    def counted_slots(self) -> list[int]:
        """The counter slots whose sum is the server's."""

    def prepared(self, name: str) -> Any:
        """What a plugin has prepared for the generation that serves; None where it has nothing."""

    def serving(self) -> bool:
        """Whether a worker answers, or may still start to."""

    def unready(self) -> list[str]:
        """The plugins that are not ready."""

    def notes(self) -> list[str]:
        """What plugins say beside readiness."""

    def active_sources(self, name: str) -> Mapping[int, Any]:
        """The sources of a plugin that the watcher follows: number to the config of a block."""

    def is_known(self, number: int) -> bool:
        """Whether the store holds what a source has listed or restored."""

    def http_address(self, path: str) -> tuple[str, int] | None:
        """Where this server serves a path; None where it does not."""

    def most_slots(self, config: ServerConfig) -> int:
        """Threads of a configuration, and of the one that serves, have counter slots below this.

        Not so where a third generation still drains: who counts by slot does without theirs.
        """

    def worker_queries(self) -> Mapping[int, int]:
        """How many queries each worker has had, by its process id."""

    def owner_of(self, address: bytes) -> Mapping[str, str]:
        """Whose address this is, as the plugins that serve know it; see InSupervisor.owner."""

    def plugin_families(self) -> Iterator[Metric]:
        """The metrics of the plugins that serve."""

    async def in_child(
        self, title: str, call: Callable[[], bytes], *, limit_s: float = 10.0, needed: bool = False
    ) -> bytes:
        """What call returns, in a fork of the supervisor that sees all as it is; in itself where there is none.

        limit_s: it has so long. needed: never in itself; and the child has none of the listening sockets. Raises
        FastdnsError.
        """


class InSupervisor:
    """A plugin's part of the supervisor: made when a Corefile first names the plugin; it stays."""

    async def prepare(self, config: ServerConfig) -> Any:
        """What the workers of a configuration are to inherit; nothing else changes yet. Raises FastdnsError."""
        return None

    def serves(self, config: ServerConfig, prepared: Any) -> None:
        """A configuration that names the plugin serves from now on."""

    def demands(self, prepared: Any) -> Sequence[Demand]:
        """The file descriptors that a worker may need."""
        return ()

    def has_changed(self) -> bool:
        """Whether what was prepared would now be another, so that it is to be prepared anew."""
        return False

    def is_ready(self) -> bool:
        """Whether the plugin's part of /ready holds."""
        return True

    def notes(self) -> list[str]:
        """Lines that /ready says beside OK."""
        return []

    def handlers(self) -> Mapping[str, Handler]:
        """What answers HTTP, by path."""
        return {}

    def tls(self, file: str) -> SSLContext | None:
        """The TLS of an endpoint of this plugin with this tls_config_file. Raises FastdnsError."""
        return None

    def owner(self, address: bytes) -> Mapping[str, str]:
        """Whose address this is: names by what they are of, such as ``pod``. Empty: the plugin does not know.

        It is called on the supervisor's loop, a hundred times in turn.
        """
        return {}

    def lameduck_s(self) -> float:
        """How long queries are answered after the call to stop."""
        return 0.0

    async def run(self) -> None:
        """What goes on as long as the server does."""

    async def leave(self) -> None:
        """The server is about to end, and still answers. All plugins together have 10 s for this."""

    async def close(self) -> None:
        """All workers have ended, and the server does so now. All plugins together have a second for this."""

    def counters_in_use(self) -> int:
        """How many rows of the upstreams' counters may hold anything."""
        return 0

    def families(self) -> Iterator[Metric]:
        """The plugin's metrics, read now."""
        yield from ()


class WorkerView(Protocol):
    """What a plugin may know of the worker. hot and slow: what serves on the UDP thread, and on the event loop's.

    index: 0 is the first worker of a generation, which does what one has to do for all.
    """

    @property
    def config(self) -> ServerConfig: ...
    @property
    def index(self) -> int: ...
    @property
    def runtime(self) -> Runtime: ...
    @property
    def stats(self) -> Stats: ...
    @property
    def slow_slot(self) -> int: ...
    @property
    def steps(self) -> Sequence[Mapping[str, NativeStep]]: ...
    @property
    def tables(self) -> Sequence[ServerTable]: ...
    @property
    def hot_worker(self) -> Worker: ...
    @property
    def slow_workers(self) -> Sequence[Worker]: ...
    @property
    def hot(self) -> HotLoop: ...
    @property
    def slow(self) -> SlowPath: ...
    @property
    def log_lines_s(self) -> int: ...

    def allowed(self, name: str) -> int:
        """How many a worker may have of what a Demand of that name asked for."""

    def part(self, name: str) -> Any:
        """What another plugin has in this worker; it must be one of ``needs``."""

    def explain(self, text: str, slot: int) -> str:
        """Why a reply failed, as the log says it. slot: of the upstream that failed last."""

    def tell_skipped(self, file: str, lines: int) -> None:
        """So many lines of a file that others write cannot be used. The first worker says so for all."""


class InWorker:
    """A plugin's part of a worker, on the thread of its event loop. Made before either thread serves."""

    def service(self, slot: int, room: int) -> NativeService | None:
        """What queries of the thread with this slot wait for, ``room`` at most: see serve/_suspend.pxd."""
        return None

    def start(self, loop: asyncio.AbstractEventLoop) -> Sequence[asyncio.Task[None]]:
        """The worker serves. Returns what is to be cancelled at its end."""
        return ()

    def beat(self, *, last: bool) -> None:
        """A quarter of a second has passed; or it is the last call."""

    def explain(self, text: str, slot: int) -> str | None:
        """The text of an error in full, where it is this plugin's to say; see WorkerView.explain."""
        return None

    async def drain(self) -> None:
        """All clients have been answered."""

    def close(self) -> None:
        """The worker ends."""


class Plugin:
    """One plugin. name: of its folder, and of its directive. needs: plugins whose parts it uses. offers: modules of
    its folder that plugins which need it may use, besides plugin.py. counters: what it counts in each zone.
    reasons: why queries fail in its step, see metrics/reasons.py. removed_options: those that CoreDNS once had, and
    what to do instead. before, after: of a plugin of another package, one of them: the plugin beside which it runs.

    has_zones: its sources keep zones of RRsets (rrsets/) in the store, which others may transfer. With secondaries
    in the context (BlockContext), it keeps their history, and tells of their changes (rrsets/notifying.py).

    worker_modules: modules below its folder that workers use, or by their full names those of fastdns; they are
    imported before the fork, so that all share them. measures: what its sources measure, by the family's name.
    waiting, unlisted: what the log says while a start waits for a source, and where it goes on without ("":
    nothing).
    """

    name = ""
    before = ""
    after = ""
    needs: tuple[str, ...] = ()
    offers: tuple[str, ...] = ()
    counters: tuple[str, ...] = ()
    reasons: tuple[Reason, ...] = ()
    removed_options: Mapping[str, str] = {}
    has_zones = False
    worker_modules: tuple[str, ...] = ()
    measures: Mapping[str, Measure] = {}
    waiting = "waiting for a source before starting server"
    unlisted = "starting server without a source's listing"
    # Before which plugin the step stands that step_of_all makes.
    in_all_before = ""
    # Of a plugin without a step whose like in CoreDNS handles queries: coredns_plugin_enabled has it all the same.
    is_handler_in_coredns = False

    def parse(self, tokens: Dispenser, context: BlockContext) -> Any:
        """The frozen configuration of one block. Raises CorefileError with file, line and what was expected."""
        raise NotImplementedError

    def context(self, config: Any, context: BlockContext) -> BlockContext:
        """What later plugins of the block see."""
        return context

    def settings(self, config: Any) -> Settings:
        """What the plugin sets of the server around it."""
        return Settings()

    def endpoint(self, config: Any) -> Endpoint | None:
        """Where it wants HTTP served."""
        return None

    def check(self, check: Check) -> None:
        """Look at the files that the plugin will read, in all blocks; before anything changes."""

    async def check_accounts(self, config: ServerConfig, environ: Mapping[str, str]) -> None:
        """Look for what other servers are reached with, on this host. Raises FastdnsError."""

    def in_supervisor(self, supervisor: SupervisorView) -> InSupervisor:
        """Its part of the supervisor."""
        return InSupervisor()

    def source_identity(self, config: Any) -> Hashable | None:
        """What a block's source is known by: blocks with equal ones share it. None: the block has no source."""
        return None

    def source_zones(self, config: Any) -> Sequence[str]:
        """The zones that a block answers from its source."""
        return ()

    def startup_timeout_s(self, config: Any) -> float:
        """How long a start waits for the block's source."""
        return 0.0

    def source(self, number: int, config: Any, writer: Writer, recorder: Recorder) -> Source:
        """What the watcher follows for a block."""
        raise NotImplementedError

    def step(self, config: Any, block: ServerBlock, runtime: Runtime) -> NativeStep:
        """The step of a block. A plugin that takes no part in answering leaves this as it is."""
        raise NotImplementedError

    def python_step(self, config: Any, block: ServerBlock, runtime: Runtime) -> PythonStep:
        """The step of a block, in Python, in place of ``step``: see plugins/python.py. It is slower."""
        raise NotImplementedError

    def step_of_all(self, config: ServerConfig, runtime: Runtime) -> NativeStep | None:
        """A step in every block of a configuration that names the plugin, before the plugin ``in_all_before``; also
        in blocks without its line. None: there is none."""
        return None

    def is_in_python(self, config: Any) -> bool:
        """Whether the step of a block is the one in Python. A plugin with both kinds says so here."""
        return self.has_python_step

    def filter(self, config: Any, block: ServerBlock, runtime: Runtime) -> NativeFilter | None:
        """Which queries of its zones a block takes; None: all. Asked where the plugin's settings name a view."""
        return None

    def value(self, name: str, config: Any, block: ServerBlock, runtime: Runtime) -> NativeValue | None:
        """The value of that name, ``plugin/name``, where the plugin provides it: see serve/_values.pxd."""
        return None

    def observer(self, config: Any, block: ServerBlock, runtime: Runtime) -> NativeObserver | None:
        """What is told of each exchange of the block's plugins with other servers: see serve/_exchanges.pxd."""
        return None

    def search(self, config: Any, block: ServerBlock, runtime: Runtime) -> NativeSearch | None:
        """The search paths of clients, where the plugin knows them: see serve/_search.pxd. None: of nobody."""
        return None

    @property
    def knows_search_paths(self) -> bool:
        """Whether it may know search paths of clients."""
        return type(self).search is not Plugin.search

    @property
    def has_step(self) -> bool:
        """Whether it takes part in answering."""
        return self.has_python_step or type(self).step is not Plugin.step

    @property
    def has_python_step(self) -> bool:
        """Whether it does so in Python, in some block at least."""
        return type(self).python_step is not Plugin.python_step

    def transferable(self, config: Any, block: ServerBlock, runtime: Runtime) -> NativeTransfer | None:
        """What others may transfer of a block, where its zones are computed; None: nothing. ``has_zones`` has the
        rest. See serve/_transfers.pxd."""
        return None

    def answered_zones(self, config: Any) -> Sequence[str]:
        """Zones of which its step answers all names from memory and passes none on: no cache above needs them."""
        return ()

    def in_worker(self, worker: WorkerView) -> InWorker | None:
        """Its part of a worker; None where it has none. Made once, for all blocks."""
        return None
