"""What the supervisor holds for longer than any child lives, and what a configuration needs of it."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from fastdns import log as log_setup
from fastdns.corefile.labels import counted_zones
from fastdns.corefile.mistakes import Mistakes
from fastdns.corefile.model import ServerConfig
from fastdns.environ import Number
from fastdns.errors import FastdnsError
from fastdns.http.places import MAX_CONNECTIONS
from fastdns.http.server import HttpServer
from fastdns.memory._store import Store
from fastdns.metrics._stats import Stats
from fastdns.metrics.delays import LoopDelays
from fastdns.metrics.measured import WatcherTotals
from fastdns.metrics.registry import ZoneRegistry
from fastdns.netaddrs import host_addresses
from fastdns.plugins.api import Check, Demand, Runtime
from fastdns.plugins.order import named
from fastdns.process.cpus import limit_note, worker_count
from fastdns.process.descriptors import Files, Needs, complaints, share, supervisor_complaint
from fastdns.process.in_child import NoRoomError, in_child
from fastdns.process.numbers import is_known, is_listed
from fastdns.process.oom import OomKills
from fastdns.process.parts import Parts
from fastdns.process.plan import Child
from fastdns.process.processes import Channel, raise_file_limit
from fastdns.process.signals import Signals
from fastdns.process.slots import SlotTable
from fastdns.process.sockets import Place, SocketTable, places
from fastdns.process.sources import SourceTable
from fastdns.process.worker import Slots
from fastdns.skipped import SkippedLines
from fastdns.threads import in_thread

if TYPE_CHECKING:
    from prometheus_client.core import Metric

T = TypeVar("T")

log = logging.getLogger("fastdns")

MAX_TCP_CONNECTIONS = Number("FASTDNS_MAX_TCP_CONNECTIONS", 4096, 1_000_000)
MAX_TCP_MIB = Number("FASTDNS_MAX_TCP_MIB", 32, 32768)
STORE_MIB = Number("FASTDNS_STORE_MIB", 512, 32768)
LOG_LINES_S = Number("FASTDNS_LOG_LINES_S", 100_000, 10_000_000)
MAX_IN_FLIGHT = Number("FASTDNS_MAX_IN_FLIGHT", 16384, 1 << 20)
MAX_PYTHON_QUERIES = Number("FASTDNS_MAX_PYTHON_QUERIES", 4096, 1 << 20)
MAX_HTTP_CONNECTIONS = Number("FASTDNS_MAX_HTTP_CONNECTIONS", MAX_CONNECTIONS, 65536)


@dataclass(frozen=True, slots=True)
class Settings:
    """What comes from the command line and the environment, and stays for the life of the process.

    load reads the Corefile afresh. Raises CorefileError. announce is called once the server listens.
    """

    load: Callable[[], ServerConfig]
    announce: Callable[[ServerConfig], None]
    environ: Mapping[str, str]
    pidfile: str | None = None


def mapped(what: str, make: Callable[[], T]) -> T:
    """Shared memory. Raises FastdnsError that says what to do where there is none."""
    try:
        return make()
    except (OSError, MemoryError):
        raise FastdnsError(
            f"{what} cannot be mapped into memory; raise the limit on address space (ulimit -v), or lower "
            "FASTDNS_STORE_MIB"
        ) from None


@dataclass(slots=True)
class Running:
    """What belongs to a live child: the channel to it, and a worker's slots."""

    channel: Channel
    slots: Slots | None


# Role, index, generation.
Key = tuple[str, int, int]


def who_looks(config: ServerConfig) -> str:
    """The plugin that has the Corefile looked at; "" where none does."""
    for plugin in named(config):
        if any(plugin.settings(options).look_interval_s for _, options in config.with_plugin(plugin.name)):
            return plugin.name
    return ""


class Server:
    """What is known and held. Raises FastdnsError where the environment does not allow it."""

    def __init__(self, settings: Settings, config: ServerConfig, delays: LoopDelays | None = None) -> None:
        self.pid = os.getpid()
        self.delays = delays or LoopDelays()
        self.settings = settings
        self.config = config
        self.workers = self.count_workers(config)
        if note := limit_note(self.configured_workers(config), settings.environ):
            log.info("%s", note)
        environ = settings.environ
        self.max_connections = MAX_TCP_CONNECTIONS.of(environ)
        self.file_limit = raise_file_limit()
        # What the log has last said of it.
        self.files_said: list[str] = []
        self.max_held_bytes = MAX_TCP_MIB.of(environ) << 20
        store_mib = STORE_MIB.of(environ)
        self.store = mapped(f"the zone store of {store_mib} MiB", lambda: Store(store_mib << 20))
        self.slots = SlotTable()
        self.stats = mapped("the table of counters", lambda: Stats(self.slots.total))
        self.sockets = SocketTable()
        self.log_lines_s = LOG_LINES_S.of(environ)
        self.max_in_flight = MAX_IN_FLIGHT.of(environ)
        self.max_python_queries = MAX_PYTHON_QUERIES.of(environ)
        self.skipped = SkippedLines()
        # By the number of a source: what it has said a start or a reload must not go on with.
        self.refused: dict[int, str] = {}
        self.sources = SourceTable()
        self.zones = ZoneRegistry()
        self.watcher_totals = WatcherTotals()
        self.oom_kills = OomKills()
        self.parts = Parts(self)
        self.admin = HttpServer(self.parts.handlers, self.parts.tls, MAX_HTTP_CONNECTIONS.of(environ))
        self.generation = 1
        self.children: dict[Key, Child] = {}
        self.running: dict[Key, Running] = {}
        # Of each generation that has or had workers: what they serve.
        self.configs: dict[int, ServerConfig] = {1: config}
        self.runtimes: dict[int, Runtime] = {}
        # From the call to stop on; and once the children are to end.
        self.stopping = self.ending = False
        # Whether this host has what the configuration needs: until then the watcher asks nobody.
        self.checked = False
        self.reload_failed = 0
        self.deaths = {"worker": 0, "watcher": 0}
        self.wake = asyncio.Event()
        self.signals = Signals()
        self.reload_asked = asyncio.Event()
        self.looked_at = self.resumed_at = time.monotonic()

    def configured_workers(self, config: ServerConfig) -> int | None:
        """What the Corefile says, or None."""
        return max((block.settings.workers for block in config.blocks if block.settings.workers), default=None)

    def count_workers(self, config: ServerConfig) -> int:
        """The number of workers of a configuration. Raises FastdnsError."""
        return worker_count(self.configured_workers(config), self.settings.environ)

    # What plugins may know: see plugins.api.SupervisorView.

    @property
    def environ(self) -> Mapping[str, str]:
        """The environment of the server."""
        return self.settings.environ

    @property
    def zone_slots(self) -> Mapping[tuple[str, str, str], int]:
        """By the labels server, zone and view, the slot of their counters."""
        return self.zones.slots

    def first_counter(self, name: str) -> int:
        """Where in a zone the counters of a plugin begin."""
        return self.parts.counters.first[name]

    def counted_slots(self) -> list[int]:
        """The counter slots whose sum is the server's."""
        return self.slots.counted()

    def prepared(self, name: str) -> Any:
        """What a plugin has prepared for the generation that serves; None where it has nothing."""
        runtime = self.runtimes.get(self.generation)
        return None if runtime is None else runtime.prepared.get(name)

    def serving(self) -> bool:
        """Whether a worker answers, or may still start to."""
        workers = [child for child in self.children.values() if child.role == "worker"]
        return not workers or any(child.ready and child.pid is not None for child in workers)

    def unready(self) -> list[str]:
        """The plugins that keep /ready at 503."""
        return self.parts.unready()

    def notes(self) -> list[str]:
        """What plugins say beside readiness."""
        return self.parts.notes()

    def active_sources(self, name: str) -> Mapping[int, Any]:
        """The sources of a plugin that the watcher follows."""
        return self.sources.of(name)

    def is_known(self, number: int) -> bool:
        """Whether the store holds what a source has listed or restored."""
        return self.known([number])

    def http_address(self, path: str) -> tuple[str, int] | None:
        """Where this server serves a path; None where it does not."""
        return self.admin.address_of(path)

    def most_slots(self, config: ServerConfig) -> int:
        """Threads of a configuration, and of the one that serves, have counter slots below this, as a rule."""
        return self.slots.most(max(self.workers, self.count_workers(config)))

    def worker_queries(self) -> Mapping[int, int]:
        """How many queries each worker has had, by its process id."""
        return {
            child.pid: sum(self.stats.thread(slot)["queries"] for slot in (slots.hot, slots.slow))
            for key, child in self.children.items()
            if child.pid is not None and key in self.running and (slots := self.running[key].slots) is not None
        }

    def owner_of(self, address: bytes) -> Mapping[str, str]:
        """Whose address this is, as the plugins that serve know it."""
        return self.parts.owner(address)

    def plugin_families(self) -> Iterator[Metric]:
        """The families of the plugins that serve."""
        return self.parts.families()

    async def in_child(
        self, title: str, call: Callable[[], bytes], *, limit_s: float = 10.0, needed: bool = False
    ) -> bytes:
        """What call returns, in a fork of this process; in itself where none can be had. Raises FastdnsError."""
        try:
            # A long-lived child would keep sockets open that are served no longer.
            return await in_child(title, call, () if needed else self.sockets.fds(), limit_s)
        except NoRoomError:
            if needed:
                raise
            # Nobody needs metrics more than who finds out about that. Once a second at most, the loop waits.
            return call()

    # What sources and configurations are.

    def synced(self, numbers: list[int]) -> bool:
        """Whether the store holds the listings of these sources, and not those of earlier holders of a number."""
        return not self.sources.fresh.intersection(numbers) and all(
            is_listed(self.store, number) for number in numbers
        )

    def known(self, numbers: list[int]) -> bool:
        """Whether the store holds the listings of these sources, or snapshots; not those of earlier holders."""
        return not self.sources.fresh.intersection(numbers) and all(
            is_known(self.store, number) for number in numbers
        )

    def warn(self, config: ServerConfig) -> None:
        """Say what is allowed but odd in a configuration."""
        log_setup.set_up(debug=config.debug)
        for warning in config.warnings:
            log.warning("%s", warning)
        if plugin := who_looks(config):
            logging.getLogger(f"plugin/{plugin}").info("Running configuration SHA512 = %s", config.sha512)

    async def check(self, config: ServerConfig) -> None:
        """Look at what a configuration needs of this host besides its ports. Raises FastdnsError."""
        for plugin in named(config):
            await plugin.check_accounts(config, self.environ)
        check = Check(config, self.skipped, Mistakes())

        def look() -> None:
            for plugin in named(config):
                plugin.check(check)

        # Files may be large: the event loop goes on.
        await in_thread(look)
        for warning in check.warnings:
            log.warning("%s", warning)

    def runtime(self, config: ServerConfig, prepared: Mapping[str, Any]) -> Runtime:
        """What the workers of a configuration share."""
        first_counters = dict(self.parts.counters.first)
        return Runtime(self.sources.by_block(config), tuple(host_addresses()), prepared, first_counters)

    def places(self, config: ServerConfig) -> list[Place]:
        """Every place of a configuration, each once."""
        return list(dict.fromkeys(place for listener in config.listeners for place in places(listener)))

    def assign_zone_slots(self, config: ServerConfig) -> None:
        """Give each zone that is counted its counters, the same in every generation. Raises FastdnsError."""
        slots = self.zones.with_new(counted_zones(config))
        mapped(f"the counters of {len(slots)} zones", lambda: self.stats.reserve_zones(len(slots)))
        self.zones.slots = slots

    def needs_of(self, config: ServerConfig, prepared: Mapping[str, Any]) -> Needs:
        """The file descriptors that a worker of this configuration can take at most."""
        demands: list[Demand] = self.parts.demands(prepared)
        return Needs(len(self.places(config)), self.max_connections, tuple(demands))

    def files_of(self, config: ServerConfig, prepared: Mapping[str, Any]) -> Files:
        """How a worker of this configuration shares its descriptors out."""
        return share(self.file_limit, self.needs_of(config, prepared))

    def warn_of_files(self, config: ServerConfig, prepared: Mapping[str, Any]) -> None:
        """Say what a configuration cannot have for want of file descriptors, unless it was said before."""
        needs = self.needs_of(config, prepared)
        said = complaints(self.file_limit, needs, share(self.file_limit, needs))
        workers = self.count_workers(config)
        own = supervisor_complaint(self.file_limit, workers, needs.places, self.admin.max_connections)
        said += [own] if own else []
        for text in said:
            if text not in self.files_said:
                log.warning("%s", text)
        self.files_said = said
