"""Reads the shared counters: flat lists of numbers, of which a layout says where each counter stands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from fastdns.metrics._stats import Stats

# Name of a counter to its offset and shape, as _stats.layout and _stats.upstream_layout have it.
Layout = Mapping[str, tuple[int, tuple[int, ...]]]


def added(rows: Iterable[list[int]]) -> list[int]:
    """The counters of several threads together."""
    return [sum(column) for column in zip(*rows, strict=True)]


def part(layout: Layout, values: list[int], name: str, *index: int) -> Any:
    """One counter, or one row of counters."""
    at, shape = layout[name]
    rest = list(shape)
    for position in index:
        rest.pop(0)
        step = 1
        for extent in rest:
            step *= extent
        at += position * step
    if not rest:
        return values[at]
    size = 1
    for extent in rest:
        size *= extent
    return values[at : at + size]


def buckets(bounds: Iterable[float], counts: list[float]) -> list[tuple[str, float]]:
    """Cumulative buckets; counts has one more than bounds, for +Inf."""
    total = 0.0
    found = []
    for bound, count in zip([*(f"{bound:g}" for bound in bounds), "+Inf"], counts, strict=True):
        total += count
        found.append((bound, total))
    return found


class Counted(Protocol):
    """Whose counters are read. zone_slots: (server, zone, view) to the slot of its counters."""

    @property
    def stats(self) -> Stats: ...
    @property
    def zone_slots(self) -> Mapping[tuple[str, str, str], int]: ...

    def counted_slots(self) -> list[int]:
        """The slots of threads whose sum is the server's."""


# The labels server, zone and view, and what was counted: see _stats.layout.
ZoneValues = tuple[tuple[str, str, str], list[int]]


def zones(server: Counted) -> Iterator[ZoneValues]:
    """The summed counters of each zone that has been asked."""
    slots = server.counted_slots()
    for labels, zone_slot in server.zone_slots.items():
        values = server.stats.zone_values(slots, zone_slot)
        if values is not None:
            yield labels, values


def by_server(counted: Iterable[ZoneValues], at: int) -> dict[str, int]:
    """One counter, which stands at this place, of all zones of each server together."""
    found: dict[str, int] = {}
    for (server, _, _), values in counted:
        found[server] = found.get(server, 0) + values[at]
    return found
