"""The supervisor's children: started, heard, reaped, replaced and ended as ``plan`` says.

Timers and the end of a child only set an event; one loop reaps, asks ``plan`` what is due, and does it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from fastdns.errors import FastdnsError
from fastdns.memory._store import Store
from fastdns.process.plan import Action, Child, Drain, Kill, Spawn, State, died, generation_ready, next_wakeup, plan
from fastdns.process.processes import Channel, fork_child
from fastdns.process.server import Key, Running, Server
from fastdns.process.signals import signal_name
from fastdns.process.slots import SlotTable
from fastdns.process.sockets import places
from fastdns.process.worker import Slots, WorkerPlan, worker_main

log = logging.getLogger("fastdns")

DRAIN_S = 5.0
# A generation that is not ready by then has failed.
GENERATION_READY_S = 30.0
RETRY_S = 1.0
# The supervisor looks at its children at least each second. Where it has not, it did not run itself.
STOOD_STILL_S = 2.0
# A worker's part of what TCP connections may hold: the largest reply to one client, and the next query, fit in.
MIN_HELD_BYTES = 256 * 1024


def key_of(child: Child) -> Key:
    """The identity of a child's place."""
    return child.role, child.index, child.generation


def watch(
    sources: Mapping[int, tuple[str, Any]], store: Store, fresh: frozenset[int], hold: bool, channel: Channel
) -> int:
    """The body of the watcher process. What only it needs is imported here, so that nobody else has it."""
    from fastdns.process.watcher import WatcherPlan, watcher_main

    return watcher_main(WatcherPlan(sources, store, fresh, hold), channel)


class Children(Server):
    """A server with children."""

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

    async def keep_acting(self) -> None:
        """Reap, plan, act, until cancelled. Whatever fails is tried again: nobody else replaces the dead."""
        while True:
            self.wake.clear()
            try:
                self.reap()
                for action in plan(self.state(), time.monotonic()):
                    self.act(action)
            except Exception:
                log.exception("unexpected error while supervising the processes; trying again in %g s", RETRY_S)
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
            self.stats.fold(slot, SlotTable.TOTALS, self.parts.counters_in_use())
        self.slots.release(slots)

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
            log.error("%s (pid %d) is killed: %s", self.title(child), child.pid, action.why)
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
                        keep.update(one.fileno() for one in pair.opened)
            pid, channel = fork_child(f"fastdns: {self.title(child)}", main, keep)
        except (OSError, FastdnsError) as error:
            log.error("%s cannot be started: %s; it is tried again", self.title(child), error)
            if slots is not None:
                self.slots.release(slots)
            self.children[key] = died(child, time.monotonic())
            return
        self.running[key] = Running(channel, slots)
        now = time.monotonic()
        self.children[key] = replace(child, pid=pid, started_at=now, ready=False, last_beat=None)
        asyncio.get_running_loop().add_reader(channel.fileno(), self.on_message, key)

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
            max(1, self.max_python_queries // self.count_workers(config)),
            child.index,
            child.generation,
            self.count_workers(config),
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
            if "refused" in message:
                number, why = message["refused"]
                self.refused[number] = why
            if "metrics" in message:
                self.watcher_totals.update(message["metrics"])
                child = replace(child, last_beat=time.monotonic())
        self.children[key] = child

    async def comes_up(self, generation: int) -> bool:
        """Wait until every worker of a generation is ready. False where it has failed."""
        begun = time.monotonic()
        while not generation_ready(self.state(), generation):
            workers = [child for child in self.children.values() if child.generation == generation]
            if time.monotonic() - begun > GENERATION_READY_S or any(child.failures >= 3 for child in workers):
                return False
            await asyncio.sleep(0.01)
        return True

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
