"""The supervisor: owns sockets, shared memory and HTTP endpoints, keeps its children alive, and never answers DNS.

Signals and timers only set a flag and wake one loop, which reaps, asks ``plan`` what is due, and does it. A reload
opens what is new, starts a generation of workers beside the old one, and lets the old one go once the new one is
ready; any failure on the way leaves the old one as it was.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from fastdns import log as log_setup
from fastdns.corefile.mistakes import Mistakes
from fastdns.corefile.model import ServerConfig
from fastdns.environ import Number
from fastdns.errors import FastdnsError
from fastdns.http.places import MAX_CONNECTIONS
from fastdns.http.server import Endpoint, HttpServer
from fastdns.http.webconfig import TlsFromFile
from fastdns.memory._store import Store
from fastdns.metrics._stats import Stats
from fastdns.metrics.delays import LoopDelays
from fastdns.metrics.labels import DROPPED, server_name
from fastdns.metrics.measured import WatcherTotals
from fastdns.netaddrs import host_addresses
from fastdns.plugins.api import Check, Demand, Runtime
from fastdns.plugins.order import named
from fastdns.plugins.steps import import_workers
from fastdns.process._sharing import immortalize
from fastdns.process.cpus import limit_note, worker_count
from fastdns.process.descriptors import Files, Needs, complaints, share, supervisor_complaint
from fastdns.process.endpoints import wanted_endpoints
from fastdns.process.in_child import NoRoomError, in_child
from fastdns.process.loop import timed_loop
from fastdns.process.numbers import is_known, is_listed
from fastdns.process.oom import OomKills
from fastdns.process.parts import Parts
from fastdns.process.plan import (
    Action,
    Child,
    Drain,
    Kill,
    Spawn,
    State,
    died,
    generation_ready,
    next_wakeup,
    plan,
)
from fastdns.process.processes import Channel, fork_child, raise_file_limit
from fastdns.process.slots import SlotTable
from fastdns.process.sockets import Place, SocketTable, places
from fastdns.process.sources import SourceTable
from fastdns.process.threads import in_thread
from fastdns.process.worker import Slots, WorkerPlan, worker_main
from fastdns.skipped import SkippedLines

if TYPE_CHECKING:
    from prometheus_client.core import Metric

T = TypeVar("T")

log = logging.getLogger("fastdns")
reload_log = logging.getLogger("plugin/reload")

DRAIN_S = 5.0
# A generation that is not ready by then has failed.
GENERATION_READY_S = 30.0
RETRY_S = 1.0
# How often plugins look whether what they have prepared has changed.
CHANGES_S = 5.0
# The supervisor looks at its children at least each second. Where it has not, it did not run itself.
STOOD_STILL_S = 2.0
SYNC_POLL_S = 0.1
# At first: from a snapshot or from files it takes no longer than this.
FIRST_SYNC_POLL_S = 0.002
SYNC_LOG_S = 0.5
# How long a reload waits for the listing of a source whose zones are answered from an old one meanwhile.
RELOAD_SYNC_S = 60.0
MAX_TCP_CONNECTIONS = Number("FASTDNS_MAX_TCP_CONNECTIONS", 4096, 1_000_000)
MAX_TCP_MIB = Number("FASTDNS_MAX_TCP_MIB", 32, 32768)
STORE_MIB = Number("FASTDNS_STORE_MIB", 512, 32768)
LOG_LINES_S = Number("FASTDNS_LOG_LINES_S", 100_000, 10_000_000)
MAX_IN_FLIGHT = Number("FASTDNS_MAX_IN_FLIGHT", 16384, 1 << 20)
MAX_HTTP_CONNECTIONS = Number("FASTDNS_MAX_HTTP_CONNECTIONS", MAX_CONNECTIONS, 65536)
MAX_ZONE_SLOTS = 256
# A worker's part of what TCP connections may hold: the largest reply to one client, and the next query, fit in.
MIN_HELD_BYTES = 256 * 1024


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
            f"{what} cannot be mapped; raise the bound of address space (ulimit -v), or lower "
            "FASTDNS_STORE_MIB"
        ) from None


@dataclass(slots=True)
class Running:
    """What belongs to a live child: the channel to it, and a worker's slots."""

    channel: Channel
    slots: Slots | None


Key = tuple[str, int, int]


def signal_name(number: int) -> str:
    """A signal as logs name it; those of real time have no names of their own."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


class NotListedError(FastdnsError):
    """A reload would forget what is known of a cluster. That ends by itself, so it is tried again."""


class Due(Enum):
    """Why the configuration is looked at again."""

    LOOK = "the reload plugin's interval is over"
    ASKED = "SIGUSR1"
    CHANGED = "what a plugin has prepared has changed"


def key_of(child: Child) -> Key:
    """The identity of a child's place."""
    return child.role, child.index, child.generation


class Supervisor:
    """The whole server. run returns the exit code; raises FastdnsError where it cannot start."""

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
        self.skipped = SkippedLines()
        self.sources = SourceTable()
        self.zone_slots: dict[tuple[str, str], int] = {}
        self.watcher_totals = WatcherTotals()
        self.oom_kills = OomKills()
        self.parts = Parts(self)
        self.admin = HttpServer(self.parts.handlers, TlsFromFile, MAX_HTTP_CONNECTIONS.of(environ))
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
        self.signals: list[int] = []
        self.signal_arrived = asyncio.Event()
        self.reload_asked = asyncio.Event()
        self.looked_at = self.resumed_at = time.monotonic()

    # ------------------------------------------------------------------------------------------- the facts

    def configured_workers(self, config: ServerConfig) -> int | None:
        """What the Corefile says, or None."""
        return max((block.settings.workers for block in config.blocks if block.settings.workers), default=None)

    def count_workers(self, config: ServerConfig) -> int:
        """The number of workers of a configuration. Raises FastdnsError."""
        return worker_count(self.configured_workers(config), self.settings.environ)

    def state(self) -> State:
        """What plan needs to see."""
        now = time.monotonic()
        if now - self.looked_at > STOOD_STILL_S:
            # So did the children, most likely: a paused container, a starved host. Their silence counts from here.
            self.resumed_at = now
        self.looked_at = now
        for key, child in self.children.items():
            running = self.running.get(key)
            beat = child.last_beat
            if child.pid is not None and not child.ready:
                beat = child.started_at
            elif running is not None and running.slots is not None:
                oldest = min(self.stats.heartbeat_ns(slot) for slot in (running.slots.hot, running.slots.slow))
                # Nothing yet: the time of its start counts.
                beat = oldest / 1e9 if oldest else child.started_at
            if beat is not None:
                self.children[key] = replace(child, last_beat=max(beat, self.resumed_at))
        return State(self.generation, tuple(self.children.values()), self.ending)

    @property
    def environ(self) -> Mapping[str, str]:
        """The environment of the server."""
        return self.settings.environ

    def counted_slots(self) -> list[int]:
        """The counter slots whose sum is the server's."""
        return self.slots.counted()

    def prepared(self, name: str) -> Any:
        """What a plugin has prepared for the generation that serves; None where it has nothing."""
        runtime = self.runtimes.get(self.generation)
        return None if runtime is None else runtime.prepared.get(name)

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

    def plugin_families(self) -> Iterator[Metric]:
        """The families of the plugins that serve."""
        return self.parts.families()

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

    def serving(self) -> bool:
        """Whether a worker answers, or may still start to."""
        workers = [child for child in self.children.values() if child.role == "worker"]
        return not workers or any(child.ready and child.pid is not None for child in workers)

    async def in_child(self, title: str, call: Callable[[], bytes]) -> bytes:
        """What call returns, in a fork of this process; in itself where none can be had. Raises FastdnsError."""
        try:
            return await in_child(title, call, self.sockets.fds())
        except NoRoomError:
            # Nobody needs metrics more than who finds out about that. Once a second at most, the loop waits.
            return call()

    # ----------------------------------------------------------------------------------------------- start

    async def run(self) -> int:
        """Start, serve until a signal ends it, and return the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGHUP):
            loop.add_signal_handler(number, self.on_signal, number)
        loop.add_signal_handler(signal.SIGCHLD, self.wake.set)
        self.parts.make(self.config)
        import_workers(self.config)
        gc.collect()
        immortalize()
        gc.freeze()
        acting = loop.create_task(self.keep_acting())
        serving = loop.create_task(self.serve())
        ending = loop.create_task(self.obey_signals(serving))
        try:
            await asyncio.wait((serving, ending), return_when=asyncio.FIRST_COMPLETED)
            if serving.done() and not serving.cancelled():
                serving.result()
            code = await ending
        finally:
            for task in (serving, ending):
                task.cancel()
            await asyncio.gather(serving, ending, return_exceptions=True)
            await self.stop(acting)
            # The loop closes what signals are written to before it stops listening to them: children still end.
            signal.set_wakeup_fd(-1)
        return 2 if signal.SIGINT in self.signals else code

    async def serve(self) -> None:
        """Start, then follow the Corefile, until cancelled. Raises FastdnsError where it cannot start."""
        await self.start()
        try:
            while True:
                try:
                    await self.keep_config()
                except Exception:
                    log.exception("following the Corefile has failed; it is tried again in %g s", RETRY_S)
                    await asyncio.sleep(RETRY_S)
        finally:
            self.parts.stop()

    async def start(self) -> None:
        """Everything up to the first ready generation. Raises FastdnsError."""
        self.warn(self.config)
        numbers = self.sources.assign(self.config)
        self.sources.activate(numbers)
        if numbers:
            # It reads what earlier runs have kept while the host is looked at here.
            self.children["watcher", 0, 1] = Child("watcher", 0, 1)
            self.wake.set()
            await asyncio.sleep(0)
        await self.check(self.config)
        self.assign_zone_slots(self.config)
        prepared = await self.parts.prepare(self.config)
        self.parts.serve(self.config, prepared)
        self.warn_of_files(self.config, prepared)
        self.watcher_totals.measures = self.parts.measures()
        await self.admin.open_new(wanted_endpoints(self.config))
        self.checked = True
        for key, running in self.running.items():
            if key[0] == "watcher":
                running.channel.send(follow=True)
        if numbers:
            await self.wait_for_sync(self.config, numbers, self.known)
        self.runtimes[1] = self.runtime(self.config, prepared)
        self.sockets.open(self.places(self.config), self.workers)
        for index in range(self.workers):
            self.children["worker", index, 1] = Child("worker", index, 1)
        self.wake.set()
        if not await self.comes_up(self.generation):
            raise FastdnsError("the workers do not start; see the lines above")
        self.write_pidfile()
        self.parts.run()
        self.settings.announce(self.config)

    def warn(self, config: ServerConfig) -> None:
        """Say what is allowed but odd in a configuration."""
        log_setup.set_up(debug=config.debug)
        for warning in config.warnings:
            log.warning("%s", warning)
        if any(block.settings.look_interval_s for block in config.blocks):
            reload_log.info("Running configuration SHA512 = %s", config.sha512)

    async def check(self, config: ServerConfig) -> None:
        """Look at what a configuration needs of this host besides its ports. Raises FastdnsError."""
        for plugin in named(config):
            await plugin.check_accounts(config, self.environ)
        check = Check(config, self.skipped, Mistakes())
        for plugin in named(config):
            plugin.check(check)
        for warning in check.warnings:
            log.warning("%s", warning)

    def runtime(self, config: ServerConfig, prepared: Mapping[str, Any]) -> Runtime:
        """What the workers of a configuration share."""
        return Runtime(self.sources.by_block(config), tuple(host_addresses()), prepared)

    def places(self, config: ServerConfig) -> list[Place]:
        """Every place of a configuration, each once."""
        return list(dict.fromkeys(place for listener in config.listeners for place in places(listener)))

    def assign_zone_slots(self, config: ServerConfig) -> None:
        """Give each (server, zone) its counters, the same in every generation. What has no room shares the last."""
        for listener in config.listeners:
            for zone in [DROPPED, *(zone for zone, _ in listener.zones)]:
                key = server_name(listener), zone
                if key not in self.zone_slots:
                    self.zone_slots[key] = min(len(self.zone_slots), MAX_ZONE_SLOTS - 1)

    async def wait_for_sync(
        self, config: ServerConfig, numbers: list[int], is_enough: Callable[[list[int]], bool]
    ) -> None:
        """Wait for what is enough of the sources, as long as startup_timeout allows."""
        limit_s = max(
            (
                plugin.startup_timeout_s(options)
                for plugin in named(config)
                for _, options in config.with_plugin(plugin.name)
            ),
            default=0.0,
        )
        begun = time.monotonic()
        said = begun
        while not is_enough(numbers):
            now = time.monotonic()
            late = now - begun >= limit_s
            if late or now - said >= SYNC_LOG_S:
                said = now
                for plugin in self.sources.plugins([number for number in numbers if not is_enough([number])]):
                    plugin_log = logging.getLogger(f"plugin/{plugin.name}")
                    if late:
                        plugin_log.warning("%s", plugin.unlisted)
                    else:
                        plugin_log.info("%s", plugin.waiting)
            if late:
                return
            await asyncio.sleep(FIRST_SYNC_POLL_S if now - begun < 1 else SYNC_POLL_S)

    def forgotten(self, config: ServerConfig) -> list[str]:
        """The zones that are known now, and of which a configuration's sources know nothing yet."""
        old, new = (set(self.sources.by_block(one).values()) for one in (self.config, config))
        known = self.sources.zones(self.config, {number for number in old if self.known([number])})
        unknown = self.sources.zones(config, {number for number in new if not self.known([number])})
        return sorted(known & unknown)

    async def keep_what_is_known(self, config: ServerConfig) -> None:
        """Wait until nothing would be forgotten: the old generation answers meanwhile. Raises NotListedError."""
        ends = time.monotonic() + RELOAD_SYNC_S
        while zones := self.forgotten(config):
            if time.monotonic() >= ends:
                which = ", ".join(zones)
                raise NotListedError(f"the sources of {which} cannot be listed as the Corefile says now")
            await asyncio.sleep(SYNC_POLL_S)

    async def comes_up(self, generation: int) -> bool:
        """Wait until every worker of a generation is ready. False where it has failed."""
        begun = time.monotonic()
        while not generation_ready(self.state(), generation):
            workers = [child for child in self.children.values() if child.generation == generation]
            if time.monotonic() - begun > GENERATION_READY_S or any(child.failures >= 3 for child in workers):
                return False
            await asyncio.sleep(0.01)
        return True

    def remove_pidfile(self) -> None:
        """Take away what write_pidfile has left, if it is still that."""
        if self.settings.pidfile:
            path = Path(self.settings.pidfile)
            with contextlib.suppress(OSError, ValueError):
                if path.is_file() and int(path.read_text()) == os.getpid():
                    path.unlink()

    def write_pidfile(self) -> None:
        """Write the process id where the command line asked for it. A failure is only logged."""
        if self.settings.pidfile:
            try:
                Path(self.settings.pidfile).write_text(f"{os.getpid()}\n")
            except OSError as error:
                log.error("[pidfile] %s", error)

    # -------------------------------------------------------------------------------------------- children

    async def keep_acting(self) -> None:
        """Reap, plan, act, until cancelled. Whatever fails is tried again: nobody else replaces the dead."""
        while True:
            self.wake.clear()
            try:
                self.reap()
                for action in plan(self.state(), time.monotonic()):
                    self.act(action)
            except Exception:
                log.exception("supervising has failed; it is tried again in %g s", RETRY_S)
                await asyncio.sleep(RETRY_S)
            # Not wait_for: before Python 3.12 it loses a cancellation that comes together with the event.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(next_wakeup(self.state(), time.monotonic())):
                    await self.wake.wait()

    def reap(self) -> None:
        """Take note of every child that has ended; as PID 1, of orphans too.

        It may come before asyncio to the child that reads a kubeconfig, which asyncio does not mind.
        """
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for key, child in list(self.children.items()):
                if child.pid == pid:
                    self.on_end(key, child, status)

    def on_end(self, key: Key, child: Child, status: int) -> None:
        """A child has ended: give back what it held, and keep its place for a successor, or not."""
        running = self.running.pop(key, None)
        if running is not None:
            asyncio.get_running_loop().remove_reader(running.channel.fileno())
            running.channel.close()
            if running.slots is not None:
                self.release(running.slots)
        if child.role == "watcher":
            self.watcher_totals.restart()
        if child.draining or self.ending:
            del self.children[key]
            return
        self.deaths[child.role] += 1
        code = os.waitstatus_to_exitcode(status)
        now = time.monotonic()
        how = f"exit code {code}"
        if code < 0:
            how = f"killed by {signal_name(-code)}"
            if code == -signal.SIGKILL and not child.killed and (why := self.oom_kills.look(now)):
                how = f"{how} ({why})"
        after = died(child, now)
        wait = f" in {after.retry_at - time.monotonic():.1f} s" if after.failures > 1 else ""
        log.error("%s (pid %d) has died: %s; starting another%s", self.title(child), child.pid, how, wait)
        self.children[key] = after

    def release(self, slots: Slots) -> None:
        """Free a dead worker's slots; its counts go to the totals."""
        for slot in (slots.hot, slots.slow):
            self.store.clear_reader(slot)
            self.stats.fold(slot, SlotTable.TOTALS, self.zones_in_use(), self.parts.counters_in_use())
        self.slots.release(slots)

    def zones_in_use(self) -> int:
        """How many counter slots of zones may hold anything."""
        return min(len(self.zone_slots), MAX_ZONE_SLOTS)

    @staticmethod
    def title(child: Child) -> str:
        """A child as logs and process lists name it."""
        return "watcher" if child.role == "watcher" else f"worker {child.index + 1}"

    def act(self, action: Action) -> None:
        """Do one thing that plan asks for."""
        key = key_of(action.child)
        child = self.children.get(key)
        if child is None:
            return
        if isinstance(action, Spawn):
            self.spawn(key, child)
        elif isinstance(action, Drain):
            self.drain(key, child)
        elif isinstance(action, Kill) and child.pid is not None:
            log.error("%s (pid %d) is ended: %s", self.title(child), child.pid, action.why)
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGKILL)
            self.children[key] = replace(child, killed=True)

    def drain(self, key: Key, child: Child) -> None:
        """Have a child finish what it has, and end."""
        self.running[key].channel.send(drain=True)
        self.children[key] = replace(child, draining=True, drain_deadline=time.monotonic() + DRAIN_S)

    def spawn(self, key: Key, child: Child) -> None:
        """Fork the process of a place."""
        slots = None
        keep = {self.store.fd}
        try:
            if child.role == "watcher":
                options, fresh = self.sources.options(), frozenset(self.sources.fresh)
                hold = not self.checked
                main: Callable[[Channel], int] = lambda channel: watch(  # noqa: E731
                    options, self.store, fresh, hold, channel
                )
            else:
                slots = self.slots.take()
                working = self.worker_plan(child, slots)
                main = lambda channel: worker_main(working, channel)  # noqa: E731
                for pairs in working.pairs:
                    for pair in pairs:
                        keep |= {pair.udp.fileno(), pair.tcp.fileno()}
            pid, channel = fork_child(f"fastdns: {self.title(child)}", main, keep)
        except (OSError, FastdnsError) as error:
            log.error("%s cannot be started: %s", self.title(child), error)
            if slots is not None:
                self.slots.release(slots)
            self.children[key] = died(child, time.monotonic())
            return
        self.running[key] = Running(channel, slots)
        now = time.monotonic()
        self.children[key] = replace(child, pid=pid, started_at=now, ready=False, last_beat=None)
        asyncio.get_running_loop().add_reader(channel.fileno(), self.on_message, key)

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

    def worker_plan(self, child: Child, slots: Slots) -> WorkerPlan:
        """What a worker of this place needs."""
        config = self.configs[child.generation]
        pairs = tuple(
            tuple(self.sockets.of_worker(child.index, places(listener))) for listener in config.listeners
        )
        return WorkerPlan(
            config,
            pairs,
            dict(self.zone_slots),
            self.runtimes[child.generation],
            self.store,
            self.stats,
            slots,
            self.files_of(config, self.runtimes[child.generation].prepared),
            max(MIN_HELD_BYTES, self.max_held_bytes // self.count_workers(config)),
            max(1, self.max_in_flight // self.count_workers(config)),
            child.index,
            self.log_lines_s,
        )

    def on_message(self, key: Key) -> None:
        """A child has said something, or has closed its end: then it is about to be reaped."""
        running = self.running.get(key)
        child = self.children.get(key)
        if running is None or child is None:
            return
        messages = running.channel.receive()
        if messages is None:
            asyncio.get_running_loop().remove_reader(running.channel.fileno())
            return
        for message in messages:
            if message.get("ready"):
                child = replace(child, ready=True, ready_at=time.monotonic())
                self.wake.set()
                if child.role == "watcher" and not child.killed:
                    self.sources.begun()
            for file, lines in message.get("skipped", {}).items():
                self.skipped.counts[file] = self.skipped.counts.get(file, 0) + lines
            if "metrics" in message:
                self.watcher_totals.update(message["metrics"])
                child = replace(child, last_beat=time.monotonic())
        self.children[key] = child

    # --------------------------------------------------------------------------------------------- signals

    def on_signal(self, number: int) -> None:
        """Only queue it: one loop acts."""
        self.signals.append(number)
        self.signal_arrived.set()

    async def obey_signals(self, serving: asyncio.Task[None]) -> int:
        """Act on signals until one of them ends the server; returns the exit code."""
        while True:
            await self.signal_arrived.wait()
            self.signal_arrived.clear()
            while self.signals:
                number = self.signals.pop(0)
                if number == signal.SIGUSR1:
                    self.reload_asked.set()
                elif number == signal.SIGQUIT:
                    log.info("SIGQUIT: Quitting process immediately")
                    self.signals.append(number)
                    return 0
                elif number in (signal.SIGTERM, signal.SIGINT):
                    then = " servers then terminating" if number == signal.SIGTERM else ""
                    log.info("%s: Shutting down%s", signal.Signals(number).name, then)
                    serving.cancel()
                    await self.lameduck()
                    return 0

    def hurried(self) -> bool:
        """Whether a SIGQUIT, or any signal after the one that began the end, asks to end it now."""
        return not {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT}.isdisjoint(self.signals)

    async def lameduck(self) -> None:
        """Serve on with everything but /ready, for as long as health says."""
        self.stopping = True
        lameduck_s = max((block.settings.lameduck_s for block in self.config.blocks), default=0.0)
        if not lameduck_s or not any(child.ready for child in self.children.values() if child.role == "worker"):
            return
        logging.getLogger("plugin/health").info("Going into lameduck mode for %gs", lameduck_s)
        ends = time.monotonic() + lameduck_s
        while (left := ends - time.monotonic()) > 0 and not self.hurried():
            self.signal_arrived.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self.signal_arrived.wait()

    async def stop(self, acting: asyncio.Task[None]) -> None:
        """End every child: drained within DRAIN_S, or at once."""
        self.stopping = self.ending = True
        self.wake.set()
        deadline = time.monotonic() + DRAIN_S + 0.5
        while any(child.pid is not None for child in self.children.values()) and time.monotonic() < deadline:
            if self.hurried():
                break
            await asyncio.sleep(0.01)
        acting.cancel()
        for child in self.children.values():
            if child.pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child.pid, signal.SIGKILL)
        await self.admin.close_all()
        self.remove_pidfile()

    # ---------------------------------------------------------------------------------------------- reload

    async def keep_config(self) -> None:
        """Reload on SIGUSR1, and as the reload plugin asks: where the Corefile has changed, look by look."""
        tried = self.config.sha512
        while True:
            due = await self.reload_due()
            asked = due is Due.ASKED
            if due is Due.CHANGED:
                await self.reload(self.config)
                continue
            try:
                config = await in_thread(self.settings.load)
            except Exception as error:
                if asked or not isinstance(error, FastdnsError):
                    self.reload_has_failed(error)
                else:
                    reload_log.warning("Corefile parse failed: %s", error)
                continue
            # What could not be served is not tried again before it changes, or someone asks.
            if asked or config.sha512 != tried:
                tried = config.sha512
                if asked or config.sha512 != self.config.sha512:
                    try_again = await self.reload(config)
                    tried = "" if try_again else tried

    async def reload_due(self) -> Due:
        """Wait until there is a reason to look at the configuration again."""
        due = float("inf")
        for block in self.config.blocks:
            if (interval_s := block.settings.look_interval_s) is not None:
                jitter_s = random.uniform(-0.5, 0.5) * block.settings.look_jitter_s
                due = time.monotonic() + interval_s + jitter_s
        while time.monotonic() < due:
            try:
                async with asyncio.timeout(min(CHANGES_S, max(0.0, due - time.monotonic()))):
                    await self.reload_asked.wait()
            except TimeoutError:
                if self.parts.has_changed():
                    return Due.CHANGED
            else:
                self.reload_asked.clear()
                return Due.ASKED
        return Due.LOOK

    async def reload(self, config: ServerConfig) -> bool:
        """Serve another configuration. Any failure leaves the old one serving. Returns whether to try it again."""
        log.info("Reloading")
        try:
            await self.change_to(config)
        except Exception as error:
            self.reload_has_failed(error)
            return isinstance(error, NotListedError)
        log.info("Reloading complete")
        return False

    def reload_has_failed(self, error: Exception) -> None:
        """Count and log it."""
        self.reload_failed += 1
        unexpected = None if isinstance(error, FastdnsError) else error
        log.error("Restart failed: %s; the old configuration serves on", error, exc_info=unexpected)
        log_setup.set_up(debug=self.config.debug)

    async def change_to(self, config: ServerConfig) -> None:
        """Bring up a generation for a configuration, then let the old one go. Where that fails all is undone."""
        old_generation, old_numbers = self.generation, list(self.sources.active)
        workers = self.count_workers(config)
        self.warn(config)
        await self.check(config)
        import_workers(config)
        self.assign_zone_slots(config)
        prepared = await self.parts.prepare(config)
        self.warn_of_files(config, prepared)
        self.watcher_totals.measures = self.parts.measures()
        generation = max(self.configs) + 1
        added_endpoints: list[Endpoint] = []
        added_sockets: list[tuple[int, Place]] = []
        try:
            added_endpoints = await self.admin.open_new(wanted_endpoints(config))
            wanted = self.places(config)
            added_sockets = self.sockets.open(self.sockets.unserved(wanted), workers)
            numbers = self.sources.assign(config)
            await self.watch(numbers)
            # Not for a snapshot: the old generation knows more.
            await self.wait_for_sync(config, numbers, self.synced)
            await self.keep_what_is_known(config)
            # Of addresses that are served: what these sockets are given waits for the new workers from now on.
            added_sockets += self.sockets.open(wanted, workers)
            self.configs[generation] = config
            self.runtimes[generation] = self.runtime(config, prepared)
            for index in range(workers):
                self.children["worker", index, generation] = Child("worker", index, generation)
            self.wake.set()
            if not await self.comes_up(generation):
                raise FastdnsError("the new workers do not start")
        except Exception:
            self.sockets.give_up(added_sockets)
            self.hand_over(added_sockets)
            await self.abandon(generation)
            for endpoint in added_endpoints:
                await self.admin.close(endpoint)
            self.sockets.close(added_sockets)
            await self.watch(old_numbers)
            self.sources.forget_inactive()
            raise
        self.config, self.workers = config, workers
        # What only the old workers have open they answer to the end, then close: nothing comes in unread.
        self.sockets.keep_only(wanted, workers)
        self.generation = generation
        self.parts.serve(config, prepared)
        self.parts.run()
        await self.admin.close_others(wanted_endpoints(config))
        await self.finish(old_generation)

    async def finish(self, old_generation: int) -> None:
        """Wait for the old generation to end, then drop what only it used."""
        await self.gone(old_generation)
        del self.configs[old_generation], self.runtimes[old_generation]
        if self.sources.forget_inactive():
            for key, running in self.running.items():
                if key[0] == "watcher":
                    running.channel.send(purge=True)

    def hand_over(self, keys: list[tuple[int, Place]]) -> None:
        """Have a worker that serves answer what the UDP sockets of these hold: nobody else may come to read it."""
        serving = [
            self.running[key].channel
            for key, child in self.children.items()
            if key in self.running and key[0] == "worker" and key[2] == self.generation and child.ready
        ]
        index_of = {place: i for i, listener in enumerate(self.config.listeners) for place in places(listener)}
        for key in keys:
            if serving and key[1] in index_of:
                serving[0].send(self.sockets.pairs[key].udp.fileno(), rest=index_of[key[1]])

    async def abandon(self, generation: int) -> None:
        """End the workers of a generation that did not come up. Those that did answer already: they finish that."""
        for key, child in list(self.children.items()):
            if child.generation == generation and child.role == "worker":
                if child.ready and child.pid is not None and not child.killed:
                    self.drain(key, child)
                else:
                    self.children[key] = self.kill(child)
        await self.gone(generation)
        self.configs.pop(generation, None)
        self.runtimes.pop(generation, None)

    @staticmethod
    def kill(child: Child) -> Child:
        """End a child that shall have no successor."""
        if child.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGKILL)
        return replace(child, draining=True, drain_deadline=float("inf"), killed=True)

    async def gone(self, generation: int) -> None:
        """Wait until no worker of a generation is left that is or may be started."""
        while of := [key for key in self.children if key[0] == "worker" and key[2] == generation]:
            for key in of:
                if self.children[key].pid is None:
                    del self.children[key]
            self.wake.set()
            await asyncio.sleep(0.01)

    async def watch(self, numbers: list[int]) -> None:
        """Have the watcher follow these sources. One process writes the store, so the old one ends first."""
        if sorted(numbers) == sorted(self.sources.active):
            return
        self.sources.activate(numbers)
        for key, child in list(self.children.items()):
            if child.role == "watcher":
                self.children[key] = self.kill(child)
                if child.pid is None:
                    del self.children[key]
        while any(child.role == "watcher" for child in self.children.values()):
            self.wake.set()
            await asyncio.sleep(0.005)
        if numbers:
            generation = max(self.configs) + 1
            self.children["watcher", 0, generation] = Child("watcher", 0, generation)
        self.wake.set()


def watch(
    sources: Mapping[int, tuple[str, Any]], store: Store, fresh: frozenset[int], hold: bool, channel: Channel
) -> int:
    """The body of the watcher process. What only it needs is imported here, so that nobody else has it."""
    from fastdns.process.watcher import WatcherPlan, watcher_main

    return watcher_main(WatcherPlan(sources, store, fresh, hold), channel)


async def supervise(settings: Settings, config: ServerConfig, delays: LoopDelays | None = None) -> int:
    """Run the whole server in this process; returns the exit code. delays: those of the loop that runs this."""
    return await Supervisor(settings, config, delays).run()


def run(settings: Settings, config: ServerConfig) -> int:
    """The body of the server's main process."""
    sys.setswitchinterval(0.001)
    delays = LoopDelays()
    with asyncio.Runner(loop_factory=partial(timed_loop, delays)) as runner:
        return runner.run(supervise(settings, config, delays))
