"""Where a configuration's forwarded queries go: its stanzas and upstreams, numbered for the native tables.

Each forward stanza of a Corefile has a number, in order. An upstream of a stanza is one entry of the table that
every worker makes of ``Routes.upstreams``; two stanzas that name the same server have an entry each, as their
options may differ. Slots are for what is known of a server whoever asks it (counters, loops): they belong to its
address, and stay the same in every generation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from fastdns._upstream import Upstreams
from fastdns.corefile.model import ServerConfig
from fastdns.errors import FastdnsError
from fastdns.plugins.forward.config import DNS, HostName, Stanza
from fastdns.plugins.forward.upstreams import FileState, Upstream, digest, resolve, watched_files
from fastdns.supervisor.threads import in_thread

# As many as there are counters for (_stats.MAX_UPSTREAM_SLOTS); what has no room shares the last.
MAX_SLOTS = 128


@dataclass(frozen=True, slots=True)
class Route:
    """An upstream of a stanza. place: among that stanza's upstreams."""

    upstream: Upstream
    stanza: int
    place: int
    slot: int

    def for_table(self, source_address: str | None) -> tuple[tuple[str, int], str | None, bool, int]:
        """As _upstream.Exchanges wants it."""
        address = self.upstream.address, self.upstream.port
        return address, source_address, self.upstream.transport != DNS, self.slot


@dataclass(frozen=True, slots=True)
class Routes:
    """stanzas: by number; numbers: (block, place in it) to that number.

    files: those of nameservers; seen: as they were before they were read.
    """

    stanzas: tuple[Stanza, ...] = ()
    numbers: Mapping[tuple[int, int], int] = field(default_factory=dict)
    upstreams: tuple[Route, ...] = ()
    files: tuple[str, ...] = ()
    seen: tuple[FileState, ...] = ()

    def of_stanza(self, number: int) -> list[int]:
        """Places in ``upstreams`` of a stanza's upstreams."""
        return [place for place, route in enumerate(self.upstreams) if route.stanza == number]

    def table(self) -> list[tuple[tuple[str, int], str | None, bool, int]]:
        """All upstreams, as _upstream.Exchanges wants them."""
        return [route.for_table(self.stanzas[route.stanza].source_address) for route in self.upstreams]


class RouteTable:
    """What outlives generations: the slots of upstreams, and the shared table that they are places in."""

    def __init__(self) -> None:
        self.shared = Upstreams()
        self.slots: dict[str, int] = {}

    def slot(self, to: str) -> int:
        """The slot of an upstream by its address and port."""
        if to not in self.slots:
            self.slots[to] = min(len(self.slots), MAX_SLOTS - 1)
        return self.slots[to]

    def slots_in_use(self) -> int:
        """How many counter slots of upstreams may hold anything."""
        return min(len(self.slots), MAX_SLOTS)

    async def find(self, config: ServerConfig) -> Routes:
        """Resolve every upstream of a configuration. Raises FastdnsError."""
        stanzas: list[Stanza] = []
        numbers: dict[tuple[int, int], int] = {}
        for block, plugin in config.with_plugin("forward"):
            for place, stanza in enumerate(plugin.stanzas):
                numbers[block.index, place] = len(stanzas)
                stanzas.append(stanza)
        if not stanzas:
            return Routes()
        files = tuple(dict.fromkeys(path for stanza in stanzas for path in watched_files(stanza)))
        seen = digest(files)
        routes = [
            Route(upstream, number, place, self.slot(upstream.to))
            for number, stanza in enumerate(stanzas)
            for place, upstream in enumerate(await resolved(stanza))
        ]
        if len(routes) > MAX_SLOTS:
            raise FastdnsError(f"plugin/forward: at most {MAX_SLOTS} upstreams in a Corefile, got {len(routes)}")
        return Routes(tuple(stanzas), numbers, tuple(routes), files, seen)


class Nameservers:
    """The files of nameservers that are in use, and whether they have changed."""

    def __init__(self) -> None:
        self.paths: tuple[str, ...] = ()
        self.seen: tuple[FileState, ...] = ()

    def follow(self, routes: Routes) -> None:
        """Look at these routes' files from now on. What has changed since they were read is a change."""
        self.paths, self.seen = routes.files, routes.seen

    def changed(self) -> bool:
        """Whether a file is another than at the last look. What has gone keeps what was read of it."""
        now = digest(self.paths)
        if now == self.seen or None in now:
            return False
        self.seen = now
        return True


async def resolved(stanza: Stanza) -> tuple[Upstream, ...]:
    """A stanza's upstreams. Looking up host names may take seconds, in which probes have to be answered."""
    if not any(isinstance(to, HostName) for to in stanza.to):
        return resolve(stanza)
    return await in_thread(partial(resolve, stanza))
