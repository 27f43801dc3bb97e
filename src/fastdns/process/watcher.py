"""The watcher process: runs every source, and is the only writer of the zone store.

It takes over a store as it finds it. What a predecessor has published goes on being served; each source sweeps it
once it has listed all that there is. Sources that no generation serves any more are removed when the supervisor
says ``purge``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import uvloop

from fastdns.memory._allocator import give_back_large
from fastdns.memory._store import Store, Writer
from fastdns.metrics.measured import WatcherMetrics
from fastdns.plugins.api import Source
from fastdns.plugins.order import load
from fastdns.process.numbers import first_of_pair, mark_unknown
from fastdns.process.processes import Channel

log = logging.getLogger("fastdns")

BEAT_S = 1.0


@dataclass(frozen=True, slots=True)
class WatcherPlan:
    """The sources to run: the number of each in the store, its plugin's name, and the plugin's config in a block.

    fresh: numbers under which the store may still hold records of a source that is gone. hold: ask nobody before
    the supervisor says ``follow``; what earlier runs have kept is served meanwhile.
    """

    sources: Mapping[int, tuple[str, Any]]
    store: Store
    fresh: frozenset[int] = frozenset()
    hold: bool = False


class WatcherProcess:
    """The running watcher. run returns the exit code."""

    def __init__(self, plan: WatcherPlan, channel: Channel) -> None:
        self.plan = plan
        self.channel = channel
        self.writer = Writer(plan.store)
        plugins = [load(name) for name, _ in plan.sources.values()]
        self.metrics = WatcherMetrics(
            {name: measure for one in plugins for name, measure in one.measures.items()},
            lambda number, why: channel.send(refused=[number, why]),
        )
        self.sources: list[Source] = []
        self.may_follow = asyncio.Event()
        self.done = asyncio.Event()
        self.code = 0

    async def run(self) -> int:
        """Follow every source until told to end."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self.channel.fileno(), self.on_message)
        if self.plan.fresh:
            self.purge(lambda number: number in self.plan.fresh)
        self.sources = [
            load(name).source(number, config, self.writer, self.metrics)
            for number, (name, config) in self.plan.sources.items()
        ]
        for source in self.sources:
            source.restore()
        self.channel.send(ready=True)
        if not self.plan.hold:
            self.may_follow.set()
        tasks = [loop.create_task(self.beat())]
        tasks += [loop.create_task(self.follow(source.run)) for source in self.sources]
        await self.done.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(source.close() for source in self.sources))
        return self.code

    async def follow(self, run: Callable[[], Any]) -> None:
        """Run one source. One that fails for good ends the process: its successor starts afresh."""
        await self.may_follow.wait()
        try:
            await run()
            log.error("a source ended unexpectedly; the watcher ends and is replaced")
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception("a source failed; the watcher ends and is replaced")
        self.code = 1
        self.done.set()

    def on_message(self) -> None:
        """The supervisor has said something, or is gone."""
        messages = self.channel.receive()
        if messages is None:
            self.done.set()
            return
        for message in messages:
            if "drain" in message:
                self.done.set()
            if "follow" in message:
                self.may_follow.set()
            if "purge" in message:
                self.purge(lambda number: number not in self.plan.sources)

    def purge(self, is_gone: Callable[[int], bool]) -> None:
        """Remove the records of sources."""
        for number in sorted({first_of_pair(number) for number in self.plan.store.sources()}):
            if is_gone(number):
                self.writer.remove_source(number)
                mark_unknown(self.writer, number)
        self.writer.reclaim()

    async def beat(self) -> None:
        """Say that the loop runs, and what has been measured; let time pass for the sources."""
        while True:
            for source in self.sources:
                try:
                    source.tick()
                except Exception:
                    log.exception("the periodic work of a source failed; it is tried again in 1 s")
            self.channel.send(metrics=self.metrics.report())
            await asyncio.sleep(BEAT_S)


def watcher_main(plan: WatcherPlan, channel: Channel) -> int:
    """The body of the watcher process; returns its exit code."""
    # Sources read large files now and then.
    give_back_large()

    async def body() -> int:
        return await WatcherProcess(plan, channel).run()

    return uvloop.run(body())
