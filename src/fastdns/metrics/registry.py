"""Where counters stand: handed out once, for the life of the server.

Workers and the supervisor see the same places, as the supervisor hands them out before it forks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fastdns.errors import FastdnsError

# As _stats.PLUGIN_COUNTERS.
MAX_COUNTERS = 128
# As _stats.MAX_ZONE_SLOTS.
MAX_ZONES = 16384


def python_row(plugin: str) -> str:
    """The name of the row of what a plugin's steps in Python count."""
    return f"{plugin} in Python"


class CounterRegistry:
    """Where in a zone's counters each plugin has its own. By plugin: the first of them."""

    def __init__(self) -> None:
        self.first: dict[str, int] = {}
        self.taken = 0

    def register(self, plugin: str, names: Sequence[str]) -> int:
        """The place of a plugin's first counter; the others follow. Raises FastdnsError where there is no room."""
        if plugin not in self.first:
            if self.taken + len(names) > MAX_COUNTERS:
                left = MAX_COUNTERS - self.taken
                raise FastdnsError(f"plugin/{plugin}: it has {len(names)} counters, and there is room for {left}")
            self.first[plugin] = self.taken
            self.taken += len(names)
        return self.first[plugin]


class ZoneRegistry:
    """The slots of zones' counters, by the labels server, zone and view. A zone that goes keeps its slot."""

    def __init__(self) -> None:
        self.slots: dict[tuple[str, str, str], int] = {}

    def with_new(self, labels: Iterable[tuple[str, str, str]]) -> dict[tuple[str, str, str], int]:
        """All slots there are, and one for each of these. Nothing is handed out yet. Raises FastdnsError."""
        slots = dict(self.slots)
        for key in labels:
            slots.setdefault(key, len(slots))
        if len(slots) > MAX_ZONES:
            raise FastdnsError(
                f"the metrics of {len(slots)} zones are too many: at most {MAX_ZONES} combinations of listener, "
                "zone and view are counted, and those of earlier configurations stay; count the queries of fewer "
                "blocks, or restart the server to forget the zones that it no longer serves"
            )
        return slots
