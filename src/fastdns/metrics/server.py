"""What metrics need to know of the running server. The supervisor is one; nothing here knows of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from fastdns._stats import Stats
    from fastdns._store import Store
    from fastdns.admin.delays import LoopDelays
    from fastdns.corefile.model import ServerConfig
    from fastdns.metrics.measured import Family
    from fastdns.skipped import SkippedLines


class Totals(Protocol):
    """What sources measured, all watchers that have been together."""

    def families(self, *, runtime: bool) -> Iterable[Family]:
        """Every family, also those without series. runtime: with those of runtime_metrics."""


class Sockets(Protocol):
    """The listening sockets of all configurations that have been."""

    def drops(self) -> Mapping[str, int]:
        """What the kernel has dropped for want of room: datagrams ("udp"), connections ("tcp")."""


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

    pid: of the supervisor. zone_slots: (server, zone) to the slot of its counters. deaths: by role. delays: of the
    supervisor's event loop.
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
    def zone_slots(self) -> Mapping[tuple[str, str], int]: ...
    @property
    def sockets(self) -> Sockets: ...
    @property
    def children(self) -> Mapping[Any, Child]: ...
    @property
    def deaths(self) -> Mapping[str, int]: ...
    @property
    def watcher_totals(self) -> Totals: ...
    @property
    def max_held_bytes(self) -> int: ...
    @property
    def skipped(self) -> SkippedLines: ...
    @property
    def reload_failed(self) -> int: ...

    def counted_slots(self) -> list[int]:
        """The counter slots whose sum is the server's."""

    def plugin_families(self) -> Iterator[Metric]:
        """The families of the plugins that serve."""
