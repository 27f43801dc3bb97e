"""The watcher process: runs every source, and is the only writer of the zone store.

It takes over a store as it finds it: what a predecessor published goes on being served, and is swept once the
sources have listed their clusters. A store that holds nothing of a cluster yet begins with its snapshot. Sources
that no generation serves any more are removed when the supervisor says ``purge``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import uvloop

from fastdns._store import Store, Writer
from fastdns.plugins.kubernetes.cluster import Cluster
from fastdns.plugins.kubernetes.metrics import ClusterMetrics
from fastdns.plugins.kubernetes.numbers import first_of_pair, mark_unknown
from fastdns.supervisor.metrics import WatcherMetrics
from fastdns.supervisor.processes import Channel
from fastdns.supervisor.sources import NUMBERS

log = logging.getLogger("fastdns")

BEAT_S = 1.0


@dataclass(frozen=True, slots=True)
class WatcherPlan:
    """The sources to run: the number of each in the store, and its kubernetes options.

    fresh: numbers under which the store may still hold records of a source that is gone. hold: ask nobody before
    the supervisor says ``follow``; snapshots are served meanwhile.
    """

    sources: Mapping[int, Any]
    store: Store
    fresh: frozenset[int] = frozenset()
    hold: bool = False


class WatcherProcess:
    """The running watcher. run returns the exit code."""

    def __init__(self, plan: WatcherPlan, channel: Channel) -> None:
        self.plan = plan
        self.channel = channel
        self.writer = Writer(plan.store)
        self.metrics = WatcherMetrics()
        self.clusters: list[Cluster] = []
        self.may_follow = asyncio.Event()
        self.done = asyncio.Event()
        self.code = 0

    async def run(self) -> int:
        """Follow every source until told to end."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self.channel.fileno(), self.on_message)
        if self.plan.fresh:
            self.purge(lambda number: number in self.plan.fresh)
        metrics = ClusterMetrics(self.metrics)
        self.clusters = [
            Cluster(number, config, self.writer, metrics) for number, config in self.plan.sources.items()
        ]
        for cluster in self.clusters:
            cluster.restore()
        self.channel.send(ready=True)
        if not self.plan.hold:
            self.may_follow.set()
        tasks = [loop.create_task(self.beat())]
        tasks += [loop.create_task(self.follow(cluster.run)) for cluster in self.clusters]
        await self.done.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(cluster.close() for cluster in self.clusters))
        return self.code

    async def follow(self, run: Callable[[], Any]) -> None:
        """Run one source. One that fails for good ends the process: its successor starts afresh."""
        await self.may_follow.wait()
        try:
            await run()
            log.error("a source has ended by itself")
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception("a source has failed")
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
        for key, _ in self.plan.store.items():
            if is_gone(first_of_pair(key[0])):
                self.writer.remove(key)
        for number in NUMBERS:
            if is_gone(number):
                mark_unknown(self.writer, number)
        self.writer.reclaim()

    async def beat(self) -> None:
        """Say that the loop runs, and what has been measured; let time pass for the clusters."""
        while True:
            for cluster in self.clusters:
                try:
                    cluster.tick()
                except Exception:
                    log.exception("a cluster's guard or snapshot has failed")
            self.channel.send(metrics=self.metrics.report())
            await asyncio.sleep(BEAT_S)


def watcher_main(plan: WatcherPlan, channel: Channel) -> int:
    """The body of the watcher process; returns its exit code."""

    async def body() -> int:
        return await WatcherProcess(plan, channel).run()

    return uvloop.run(body())
