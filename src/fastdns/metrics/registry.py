"""Where in a zone's counters each plugin has its own: handed out once, for the life of the server.

Workers and the supervisor see the same places, as the supervisor hands them out before it forks.
"""

from __future__ import annotations

from collections.abc import Sequence

from fastdns.errors import FastdnsError

# As _stats.PLUGIN_COUNTERS.
MAX_COUNTERS = 128


class CounterRegistry:
    """By plugin: the first of its counters."""

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
