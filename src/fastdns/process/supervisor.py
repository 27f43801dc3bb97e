"""The supervisor: owns sockets, shared memory and HTTP endpoints, keeps its children alive, and never answers DNS.

It is put together from what it holds (``server``), its children (``children``) and reloads (``reload``). This is
its life: start, serve until a signal ends it, stop.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
import time
from functools import partial
from pathlib import Path

from fastdns.corefile.model import ServerConfig
from fastdns.errors import FastdnsError
from fastdns.metrics.delays import LoopDelays
from fastdns.plugins.steps import import_workers
from fastdns.process._sharing import fill_holes, immortalize
from fastdns.process.children import DRAIN_S, RETRY_S
from fastdns.process.endpoints import wanted_endpoints
from fastdns.process.loop import timed_loop
from fastdns.process.plan import Child
from fastdns.process.reload import Reloading
from fastdns.process.server import Settings
from fastdns.process.syncing import wait_for_sync

log = logging.getLogger("fastdns")

# What plugins do before the end, all together: a pod has 30 s, and queries are still to be drained.
LEAVE_S = 10.0
# And when the workers have ended.
CLOSE_S = 1.0


def share_with_children() -> None:
    """Have children that are forked from now on share what there is."""
    gc.collect()
    immortalize()
    gc.freeze()
    fill_holes()
    # The command line has turned it off for the start.
    gc.enable()


class Supervisor(Reloading):
    """The whole server. run returns the exit code; raises FastdnsError where it cannot start."""

    async def run(self) -> int:
        """Start, serve until a signal ends it, and return the exit code."""
        loop = asyncio.get_running_loop()
        self.signals.listen(loop)
        loop.add_signal_handler(signal.SIGCHLD, self.wake.set)
        self.parts.make(self.config)
        import_workers(self.config)
        share_with_children()
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
        return 2 if signal.SIGINT in self.signals.queued else code

    async def serve(self) -> None:
        """Start, then follow the Corefile, until cancelled. Raises FastdnsError where it cannot start."""
        await self.start()
        try:
            while True:
                try:
                    await self.keep_config()
                except Exception:
                    log.exception("unexpected error while following the Corefile; trying again in %g s", RETRY_S)
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
            await wait_for_sync(self, self.config, numbers, self.known)
        self.runtimes[1] = self.runtime(self.config, prepared)
        self.sockets.open(self.places(self.config), self.workers)
        share_with_children()
        for index in range(self.workers):
            self.children["worker", index, 1] = Child("worker", index, 1)
        self.wake.set()
        if not await self.comes_up(self.generation):
            raise FastdnsError("the workers did not become ready; the log lines above show why")
        self.write_pidfile()
        self.parts.run()
        self.settings.announce(self.config)

    async def obey_signals(self, serving: asyncio.Task[None]) -> int:
        """Act on signals until one of them ends the server; returns the exit code."""
        while True:
            number = await self.signals.next()
            if number == signal.SIGUSR1:
                self.reload_asked.set()
            elif number == signal.SIGQUIT:
                log.info("SIGQUIT: Quitting process immediately")
                self.signals.queued.append(number)
                return 0
            elif number in (signal.SIGTERM, signal.SIGINT):
                then = " servers then terminating" if number == signal.SIGTERM else ""
                log.info("%s: Shutting down%s", signal.Signals(number).name, then)
                serving.cancel()
                await self.lameduck()
                return 0

    async def lameduck(self) -> None:
        """Serve on with everything but /ready, for as long as health says."""
        self.stopping = True
        await self.leave()
        lameduck_s, plugin = self.parts.lameduck()
        if not lameduck_s or not any(child.ready for child in self.children.values() if child.role == "worker"):
            return
        logging.getLogger(f"plugin/{plugin}").info("Going into lameduck mode for %gs", lameduck_s)
        await self.signals.wait_unless_hurried(lameduck_s)

    async def leave(self) -> None:
        """Let plugins do what they do before the end, for LEAVE_S at most."""
        leaving = asyncio.create_task(self.parts.leave())
        hurry = asyncio.create_task(self.signals.wait_unless_hurried(LEAVE_S))
        await asyncio.wait((leaving, hurry), return_when=asyncio.FIRST_COMPLETED)
        for task in (leaving, hurry):
            task.cancel()
        await asyncio.gather(leaving, hurry, return_exceptions=True)

    async def stop(self, acting: asyncio.Task[None]) -> None:
        """End every child: drained within DRAIN_S, or at once."""
        self.stopping = self.ending = True
        self.wake.set()
        deadline = time.monotonic() + DRAIN_S + 0.5
        while any(child.pid is not None for child in self.children.values()) and time.monotonic() < deadline:
            if self.signals.hurried():
                break
            await asyncio.sleep(0.01)
        acting.cancel()
        for child in self.children.values():
            if child.pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child.pid, signal.SIGKILL)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await self.parts.close()
        await self.admin.close_all()
        self.remove_pidfile()

    def write_pidfile(self) -> None:
        """Write the process id where the command line asked for it. A failure is only logged."""
        if self.settings.pidfile:
            try:
                Path(self.settings.pidfile).write_text(f"{os.getpid()}\n")
            except OSError as error:
                log.error("[pidfile] %s", error)

    def remove_pidfile(self) -> None:
        """Take away what write_pidfile has left, if it is still that."""
        if self.settings.pidfile:
            path = Path(self.settings.pidfile)
            with contextlib.suppress(OSError, ValueError):
                if path.is_file() and int(path.read_text()) == os.getpid():
                    path.unlink()


async def supervise(settings: Settings, config: ServerConfig, delays: LoopDelays | None = None) -> int:
    """Run the whole server in this process; returns the exit code. delays: those of the loop that runs this."""
    return await Supervisor(settings, config, delays).run()


def run(settings: Settings, config: ServerConfig) -> int:
    """The body of the server's main process."""
    sys.setswitchinterval(0.001)
    delays = LoopDelays()
    with asyncio.Runner(loop_factory=partial(timed_loop, delays)) as runner:
        return runner.run(supervise(settings, config, delays))
