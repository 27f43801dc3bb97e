"""Which cluster has which number in the zone store. A block whose options stay keeps its number across reloads."""

from __future__ import annotations

from typing import Any

from fastdns.corefile.model import ServerConfig
from fastdns.errors import FastdnsError
from fastdns.plugins.kubernetes.numbers import NUMBERS_EACH, identity

NUMBERS = range(0, 64, NUMBERS_EACH)


class SourceTable:
    """Numbers by the options that shape what is stored. Two blocks with equal options share one cluster."""

    def __init__(self) -> None:
        self.numbers: dict[Any, int] = {}
        self.known: dict[int, Any] = {}
        self.active: list[int] = []
        # Numbers whose records in the store, if any, are of an earlier holder.
        self.fresh: set[int] = set()

    def assign(self, config: ServerConfig) -> list[int]:
        """The numbers of a configuration's clusters, new ones where they are not known yet. Raises FastdnsError."""
        assigned = []
        for _, options in config.with_plugin("kubernetes"):
            cluster = identity(options)
            if cluster not in self.numbers:
                free = [number for number in NUMBERS if number not in self.numbers.values()]
                if not free:
                    raise FastdnsError(f"more than {len(NUMBERS)} clusters at a time")
                self.numbers[cluster] = free[0]
                self.fresh.add(free[0])
            self.known[self.numbers[cluster]] = options
            if self.numbers[cluster] not in assigned:
                assigned.append(self.numbers[cluster])
        return assigned

    def activate(self, numbers: list[int]) -> None:
        """These are what the watcher follows from now on."""
        self.active = list(numbers)

    def begun(self) -> None:
        """The watcher follows what is active, and has dropped what was not theirs."""
        self.fresh.difference_update(self.active)

    def options(self) -> dict[int, Any]:
        """The options of each source that the watcher follows."""
        return {number: self.known[number] for number in self.active}

    def by_block(self, config: ServerConfig) -> dict[int, int]:
        """Block index to source number."""
        return {
            block.index: self.numbers[identity(options)]
            for block, options in config.with_plugin("kubernetes")
        }

    def forget_inactive(self) -> bool:
        """Forget the numbers that nothing follows. Returns whether there were any.

        The next watcher drops their records, if the one that runs is not told to.
        """
        gone = [cluster for cluster, number in self.numbers.items() if number not in self.active]
        for cluster in gone:
            number = self.numbers.pop(cluster)
            self.known.pop(number, None)
            self.fresh.add(number)
        return bool(gone)
