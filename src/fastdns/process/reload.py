"""Another configuration: a generation of workers beside the old one, which is let go once the new one is ready.

Any failure on the way leaves the old one as it was.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from enum import Enum

from fastdns import log as log_setup
from fastdns.corefile.model import ServerConfig
from fastdns.errors import FastdnsError
from fastdns.http.server import Endpoint
from fastdns.plugins.steps import import_workers
from fastdns.process.children import Children
from fastdns.process.endpoints import wanted_endpoints
from fastdns.process.plan import Child
from fastdns.process.server import who_looks
from fastdns.process.sockets import Place, places
from fastdns.process.syncing import NotListedError, keep_what_is_known, wait_for_sync
from fastdns.threads import in_thread

log = logging.getLogger("fastdns")

# How often plugins look whether what they have prepared has changed.
CHANGES_S = 5.0


class Due(Enum):
    """Why the configuration is looked at again."""

    LOOK = "the reload plugin's interval is over"
    ASKED = "SIGUSR1"
    CHANGED = "what a plugin has prepared has changed"


class Reloading(Children):
    """A server whose configuration may be replaced."""

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
                    its_log = logging.getLogger(f"plugin/{who_looks(self.config)}")
                    its_log.warning("Corefile parse failed: %s", error)
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
        log.error("Restart failed: %s; the running configuration is kept", error, exc_info=unexpected)
        log_setup.set_up(debug=self.config.debug)

    async def change_to(self, config: ServerConfig) -> None:
        """Bring up a generation for a configuration, then let the old one go. Where that fails all is undone."""
        old_generation, old_numbers = self.generation, list(self.sources.active)
        workers = self.count_workers(config)
        self.refused.clear()
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
            await wait_for_sync(self, config, numbers, self.synced)
            await keep_what_is_known(self, config)
            # Of addresses that are served: what these sockets are given waits for the new workers from now on.
            added_sockets += self.sockets.open(wanted, workers)
            self.configs[generation] = config
            self.runtimes[generation] = self.runtime(config, prepared)
            for index in range(workers):
                self.children["worker", index, generation] = Child("worker", index, generation)
            self.wake.set()
            if not await self.comes_up(generation):
                raise FastdnsError("the new workers did not become ready; the log lines above show why")
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
            udp = self.sockets.pairs[key].udp
            if serving and key[1] in index_of and udp is not None:
                serving[0].send(udp.fileno(), rest=index_of[key[1]])

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
