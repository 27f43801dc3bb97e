"""The stanzas and upstreams of a configuration, numbered for the native tables.

The stanzas of a Corefile are numbered in order. Every worker makes a table of ``Routes.upstreams``, with an entry
for each upstream of each stanza. If two stanzas name the same server, it has two entries, because their options may
differ. A slot belongs to the address of a server: it holds the counters and loops of that server for all stanzas,
and stays the same in every generation.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from fastdns.corefile.model import ServerConfig
from fastdns.errors import FastdnsError
from fastdns.netaddrs import interface_index, socket_address, zone_of
from fastdns.plugins.forward.config import DNS, ENCRYPTED, Address, HostName, Stanza
from fastdns.plugins.forward.engine._shared import Upstreams
from fastdns.plugins.forward.upstreams import Upstream, resolve, watched_files
from fastdns.plugins.nameservers import FileState, NameserverFiles, digest
from fastdns.skipped import SkippedLines
from fastdns.threads import in_thread
from fastdns.transports import table

log = logging.getLogger("plugin/forward")

# The number of counters (_stats.MAX_UPSTREAM_SLOTS). Servers beyond it share the last slot.
MAX_SLOTS = 128


# The numbers of the transports of servers that are asked only over streams.
STREAMS = {DNS: 0} | {row.scheme: row.number for row in table.TRANSPORTS if row.scheme in ENCRYPTED}

# Address, source address, one of STREAMS, slot.
SocketAddress = tuple[str, int] | tuple[str, int, int, int]
TableEntry = tuple[SocketAddress, SocketAddress | None, int, int]

Seen = tuple[FileState | int, ...]


@dataclass(frozen=True, slots=True)
class Watched:
    """What may change while the server runs. files: of nameservers. zones: interfaces of link-local addresses."""

    files: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()

    def look(self) -> Seen:
        """Values that differ if a file or interface has changed; None if it does not exist."""
        return (*digest(self.files), *map(interface_index, self.zones))


@dataclass(frozen=True, slots=True)
class Route:
    """An upstream of a stanza. place: its index among the stanza's upstreams."""

    upstream: Upstream
    stanza: int
    place: int
    slot: int

    def for_table(self, source_address: str | None) -> TableEntry:
        """The entry for ForwardEngine."""
        address = socket_address(self.upstream.address, self.upstream.port)
        source = None if source_address is None else socket_address(source_address, 0)
        return address, source, STREAMS[self.upstream.transport], self.slot


@dataclass(frozen=True, slots=True)
class Routes:
    """The stanzas of a configuration by number, and their upstreams.

    numbers: (block, place in the block) to the number of the stanza. watched: the files and interfaces that the
    upstreams come from. seen: the state of these before they were read. shared: the shared table of upstreams, by
    slot.
    """

    stanzas: tuple[Stanza, ...] = ()
    numbers: Mapping[tuple[int, int], int] = field(default_factory=dict)
    upstreams: tuple[Route, ...] = ()
    watched: Watched = Watched()
    seen: Seen = ()
    shared: Upstreams = field(default_factory=Upstreams)

    def of_stanza(self, number: int) -> list[int]:
        """The indexes in ``upstreams`` of a stanza's upstreams."""
        return [place for place, route in enumerate(self.upstreams) if route.stanza == number]

    def table(self) -> list[TableEntry]:
        """The entries of all upstreams for ForwardEngine."""
        return [route.for_table(self.stanzas[route.stanza].source_address) for route in self.upstreams]


class RouteTable:
    """The part that outlives generations: slots of servers, the shared table, and the last state of files."""

    def __init__(self, skipped: SkippedLines | None = None) -> None:
        self.files = NameserverFiles(log, skipped)
        self.shared = Upstreams()
        self.slots: dict[str, int] = {}

    def slot(self, to: str) -> int:
        """The slot of an upstream by its address and port."""
        if to not in self.slots:
            self.slots[to] = min(len(self.slots), MAX_SLOTS - 1)
        return self.slots[to]

    def slots_in_use(self) -> int:
        """The number of counter slots in use."""
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
            return Routes(shared=self.shared)
        files = Watched(tuple(dict.fromkeys(path for stanza in stanzas for path in watched_files(stanza))))
        seen = files.look()
        found = cut_to_size([await resolved(stanza, self.files) for stanza in stanzas], stanzas)
        routes = [
            Route(upstream, number, place, self.slot(upstream.to))
            for number, upstreams in enumerate(found)
            for place, upstream in enumerate(upstreams)
        ]
        on_links = Watched(zones=self.zones_of(stanzas, routes))
        watched = Watched(files.files, on_links.zones)
        seen = (*seen, *on_links.look())
        return Routes(tuple(stanzas), numbers, tuple(routes), watched, seen, self.shared)

    def zones_of(self, stanzas: list[Stanza], routes: list[Route]) -> tuple[str, ...]:
        """The interfaces of the addresses, each once. A missing one is logged."""
        addresses = [route.upstream.address for route in routes]
        addresses += [stanza.source_address for stanza in stanzas if stanza.source_address]
        zones = tuple(dict.fromkeys(filter(None, map(zone_of, addresses))))
        for zone in zones:
            if interface_index(zone) is None:
                log.warning(
                    "the interface %s of upstreams does not exist yet; they cannot be asked until it exists",
                    zone,
                )
        return zones


def cut_to_size(found: list[tuple[Upstream, ...]], stanzas: list[Stanza]) -> list[tuple[Upstream, ...]]:
    """The upstreams that fit into the table: the first ones of each stanza. Raises FastdnsError.

    Only upstreams from files and host names are left out, from the stanza that has most of them. Addresses in the
    Corefile are never left out.
    """
    kept = [len(upstreams) for upstreams in found]
    named = [sum(isinstance(to, Address) for to in stanza.to) for stanza in stanzas]
    total = sum(kept)
    while sum(kept) > MAX_SLOTS:
        most = max(range(len(kept)), key=lambda number: kept[number] - max(1, named[number]))
        if kept[most] <= max(1, named[most]):
            raise FastdnsError(f"plugin/forward: at most {MAX_SLOTS} upstreams in a Corefile, got {total}")
        kept[most] -= 1
    for upstreams, count, stanza in zip(found, kept, stanzas, strict=True):
        if count < len(upstreams):
            log.warning(
                "%s:%d - a Corefile can have %d upstreams; of the %d that are found here, the first %d are used",
                stanza.file, stanza.line, MAX_SLOTS, len(upstreams), count,
            )  # fmt: skip
    return [upstreams[:count] for upstreams, count in zip(found, kept, strict=True)]


class Nameservers:
    """The files and interfaces of the upstreams in use, and whether they have changed."""

    def __init__(self) -> None:
        self.watched = Watched()
        self.seen: Seen = ()

    def follow(self, routes: Routes) -> None:
        """Watch the files and interfaces of these routes. Changes since they were read count."""
        self.watched, self.seen = routes.watched, routes.seen

    def changed(self) -> bool:
        """Whether anything has changed since the last call. A missing file or interface counts as unchanged."""
        looked = self.watched.look()
        now = tuple(before if one is None else one for one, before in zip(looked, self.seen, strict=True))
        if now == self.seen:
            return False
        self.seen = now
        return True


async def resolved(stanza: Stanza, files: NameserverFiles) -> tuple[Upstream, ...]:
    """A stanza's upstreams. Host names are resolved in a thread, because that may take seconds."""
    if not any(isinstance(to, HostName) for to in stanza.to):
        return resolve(stanza, files)
    return await in_thread(partial(resolve, stanza, files))
