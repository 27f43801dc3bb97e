"""The plugins' parts of the supervisor: each is made when a Corefile first names its plugin, and stays."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from fastdns.corefile.model import ServerConfig
from fastdns.errors import FastdnsError
from fastdns.metrics.measured import Measure
from fastdns.metrics.registry import CounterRegistry, python_row
from fastdns.plugins.api import Demand, InSupervisor, SupervisorView
from fastdns.plugins.order import in_python, load, named, used

if TYPE_CHECKING:
    from ssl import SSLContext

    from prometheus_client.core import Metric

    from fastdns.plugins.api import Handler

log = logging.getLogger("fastdns")


class Parts:
    """By plugin."""

    def __init__(self, supervisor: SupervisorView) -> None:
        self.supervisor = supervisor
        self.of: dict[str, InSupervisor] = {}
        self.counters = CounterRegistry()
        self.tasks: dict[str, asyncio.Task[None]] = {}

    def make(self, config: ServerConfig) -> None:
        """Make those that a configuration needs and that are not there yet. Raises FastdnsError."""
        for plugin in used(config):
            if plugin.name not in self.of:
                self.counters.register(plugin.name, plugin.counters)
                self.of[plugin.name] = plugin.in_supervisor(self.supervisor)
        for plugin in in_python(config):
            from fastdns.serve.python._step import COUNTERS

            self.counters.register(python_row(plugin.name), COUNTERS)
        self.check_paths(config)

    def check_paths(self, config: ServerConfig) -> None:
        """Raises FastdnsError where two plugins answer the same HTTP path."""
        owners: dict[str, str] = {}
        for plugin in used(config):
            for path in self.of[plugin.name].handlers():
                if owners.setdefault(path, plugin.name) != plugin.name:
                    raise FastdnsError(f"plugin/{plugin.name}: {path} is answered by {owners[path]} already")

    def serving(self) -> list[tuple[str, InSupervisor]]:
        """Those of the configuration that serves, with their plugins' names."""
        return [(plugin.name, self.of[plugin.name]) for plugin in used(self.supervisor.config)]

    async def prepare(self, config: ServerConfig) -> dict[str, Any]:
        """What the workers of a configuration are to inherit, by plugin. Raises FastdnsError."""
        self.make(config)
        prepared = {}
        for plugin in used(config):
            made = await self.of[plugin.name].prepare(config)
            if made is not None:
                prepared[plugin.name] = made
        return prepared

    def serve(self, config: ServerConfig, prepared: Mapping[str, Any]) -> None:
        """A configuration serves from now on."""
        for plugin in used(config):
            self.of[plugin.name].serves(config, prepared.get(plugin.name))

    def run(self) -> None:
        """Begin what goes on as long as the server does, where it has not begun."""
        for name, part in self.of.items():
            if name not in self.tasks:
                self.tasks[name] = asyncio.get_running_loop().create_task(self.run_one(name, part))

    async def run_one(self, name: str, part: InSupervisor) -> None:
        """What one part does. Its failure ends nothing else."""
        try:
            await part.run()
        except Exception:
            log.exception("plugin/%s: its task in the supervisor failed; it is not started again", name)

    async def leave(self) -> None:
        """What they do before the server ends, one after the other. A failure of one ends nothing else."""
        for name, part in self.serving():
            try:
                await part.leave()
            except Exception:
                log.exception("plugin/%s: what it does before the end has failed", name)

    async def close(self) -> None:
        """What they do when all workers have ended, those that have served included. A failure ends no other."""
        for name, part in self.of.items():
            try:
                await part.close()
            except Exception:
                log.exception("plugin/%s: its end has failed", name)

    def stop(self) -> None:
        """End all of that."""
        for task in self.tasks.values():
            task.cancel()

    def has_changed(self) -> bool:
        """Whether what was prepared for the configuration that serves would be another now."""
        # Each is asked: it forgets what it has told.
        changed = [part.has_changed() for _, part in self.serving()]
        return any(changed)

    def unready(self) -> list[str]:
        """The plugins that are not ready."""
        return [name for name, part in self.serving() if not part.is_ready()]

    def notes(self) -> list[str]:
        """What plugins say beside readiness."""
        return [note for _, part in self.serving() for note in part.notes()]

    def handlers(self) -> dict[str, Handler]:
        """What answers HTTP, by path: plugins that serve come before those that have served."""
        found: dict[str, Handler] = {}
        for part in (*self.of.values(), *(part for _, part in self.serving())):
            found.update(part.handlers())
        return found

    def owner(self, address: bytes) -> Mapping[str, str]:
        """Whose address this is, of the first plugin that knows."""
        return next(filter(None, (part.owner(address) for _, part in self.serving())), {})

    def tls(self, file: str) -> SSLContext:
        """The TLS of an endpoint with this file. Raises FastdnsError."""
        for part in self.of.values():
            if (context := part.tls(file)) is not None:
                return context
        raise FastdnsError(f"no plugin of the Corefile reads the TLS configuration {file}")

    def lameduck(self) -> tuple[float, str]:
        """How long queries are answered after the call to stop, and the plugin that says so."""
        return max(((part.lameduck_s(), name) for name, part in self.serving()), default=(0.0, ""))

    def families(self) -> Iterator[Metric]:
        """The metrics of the plugins that the configuration names; not of those that only these need."""
        for plugin in named(self.supervisor.config):
            yield from self.of[plugin.name].families()

    def measures(self) -> dict[str, Measure]:
        """What the sources of all plugins that have been measure."""
        return {family: measure for name in self.of for family, measure in load(name).measures.items()}

    def demands(self, prepared: Mapping[str, Any]) -> list[Demand]:
        """The file descriptors that the plugins of a generation may need in a worker."""
        return [demand for name, made in prepared.items() for demand in self.of[name].demands(made)]

    def counters_in_use(self) -> int:
        """How many rows of the upstreams' counters may hold anything."""
        return max((part.counters_in_use() for part in self.of.values()), default=0)
