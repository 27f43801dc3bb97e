"""What /metrics needs to know of the running server. The supervisor is one; nothing here knows of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from fastdns._stats import Stats
    from fastdns._store import Store
    from fastdns._upstream import Upstreams
    from fastdns.admin.delays import LoopDelays
    from fastdns.admin.health import Health
    from fastdns.corefile.model import ServerConfig
    from fastdns.plugins.steps import Runtime
    from fastdns.skipped import SkippedLines


@dataclass(frozen=True, slots=True)
class Family:
    """A metric that another process measured. bounds: of a histogram's buckets; None: a counter.

    series: label values, and the numbers: of a histogram its buckets, +Inf and sum, of a counter one.
    """

    name: str
    documentation: str
    labels: tuple[str, ...]
    bounds: tuple[float, ...] | None
    series: list[tuple[tuple[str, ...], list[float]]]


class Totals(Protocol):
    """What sources and sinks measured, all watchers that have been together."""

    def families(self, *, runtime: bool) -> Iterable[Family]:
        """Every family, also those without series. runtime: with those of runtime_metrics."""


class SlotTable(Protocol):
    """The places of the counters."""

    def counted(self) -> list[int]:
        """The slots whose counters add up to the server's."""


class Sockets(Protocol):
    """The listening sockets of all configurations that have been."""

    def drops(self) -> Mapping[str, int]:
        """What the kernel has dropped for want of room: datagrams ("udp"), connections ("tcp")."""


class UpstreamTable(Protocol):
    """The upstreams of all configurations that have been. slots: address to the slot of its counters."""

    @property
    def slots(self) -> Mapping[str, int]: ...
    @property
    def shared(self) -> Upstreams: ...


class Child(Protocol):
    """One process of the server's. role: "worker" or "watcher"; pid None: about to be started."""

    @property
    def role(self) -> str: ...
    @property
    def index(self) -> int: ...
    @property
    def generation(self) -> int: ...
    @property
    def pid(self) -> int | None: ...
    @property
    def ready(self) -> bool: ...


class Server(Protocol):
    """The server.

    pid: of the supervisor. zone_slots: (server, zone) to the slot of its counters. runtimes: by generation. deaths:
    by role. delays: of the supervisor's event loop.
    """

    @property
    def pid(self) -> int: ...
    @property
    def delays(self) -> LoopDelays: ...
    @property
    def config(self) -> ServerConfig: ...
    @property
    def generation(self) -> int: ...
    @property
    def stats(self) -> Stats: ...
    @property
    def store(self) -> Store: ...
    @property
    def slots(self) -> SlotTable: ...
    @property
    def zone_slots(self) -> Mapping[tuple[str, str], int]: ...
    @property
    def sockets(self) -> Sockets: ...
    @property
    def routes(self) -> UpstreamTable: ...
    @property
    def runtimes(self) -> Mapping[int, Runtime]: ...
    @property
    def children(self) -> Mapping[Any, Child]: ...
    @property
    def deaths(self) -> Mapping[str, int]: ...
    @property
    def health(self) -> Health: ...
    @property
    def watcher_totals(self) -> Totals: ...
    @property
    def max_held_bytes(self) -> int: ...
    @property
    def skipped(self) -> SkippedLines: ...
    @property
    def reload_failed(self) -> int: ...

    def snapshot_ages_s(self) -> Mapping[str, float]:
        """By zone, of clusters with a snapshot: how old what is served from it is, 0 where nothing is."""
