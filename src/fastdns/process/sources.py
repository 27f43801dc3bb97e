"""Which source has which number in the zone store. A block whose options stay keeps its number across reloads."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any

from fastdns.corefile.mistakes import said_of
from fastdns.corefile.model import ServerBlock, ServerConfig
from fastdns.errors import FastdnsError
from fastdns.plugins.api import Plugin
from fastdns.plugins.order import load, named
from fastdns.process.numbers import NUMBERS


def wanted(config: ServerConfig) -> Iterator[tuple[Plugin, ServerBlock, Any, tuple[str, Hashable]]]:
    """Each block's sources: plugin, block, the plugin's config there, and what the source is known by."""
    for plugin in named(config):
        for block, options in config.with_plugin(plugin.name):
            identity = plugin.source_identity(options)
            if identity is not None:
                yield plugin, block, options, (plugin.name, identity)


class SourceTable:
    """Numbers by plugin and identity. Blocks of one plugin with equal identities share one source."""

    def __init__(self) -> None:
        self.numbers: dict[tuple[str, Hashable], int] = {}
        # By number: the plugin's name, and its config in a block.
        self.known: dict[int, tuple[str, Any]] = {}
        self.active: list[int] = []
        # Numbers whose records in the store, if any, are of an earlier holder.
        self.fresh: set[int] = set()

    def assign(self, config: ServerConfig) -> list[int]:
        """The numbers of a configuration's sources, new ones where they are not known yet. Raises FastdnsError."""
        assigned: dict[int, None] = {}
        taken = set(self.numbers.values())
        # The lowest ones: what the store keeps of a number takes memory up to the highest one in use.
        free = (number for number in NUMBERS if number not in taken)
        for plugin, block, options, identity in wanted(config):
            if identity not in self.numbers:
                number = next(free, None)
                if number is None:
                    with said_of(plugin.name, block):
                        raise FastdnsError(
                            f"the zone store has reached its limit of {len(NUMBERS)} sources; "
                            "blocks with equal options share a source"
                        )
                self.numbers[identity] = number
                self.fresh.add(number)
            self.known[self.numbers[identity]] = (plugin.name, options)
            assigned[self.numbers[identity]] = None
        return list(assigned)

    def activate(self, numbers: list[int]) -> None:
        """These are what the watcher follows from now on."""
        self.active = list(numbers)

    def begun(self) -> None:
        """The watcher follows what is active, and has dropped what was not theirs."""
        self.fresh.difference_update(self.active)

    def options(self) -> dict[int, tuple[str, Any]]:
        """Of each source that the watcher follows: the plugin's name, and its config in a block."""
        return {number: self.known[number] for number in self.active}

    def of(self, name: str) -> dict[int, Any]:
        """The sources of one plugin that the watcher follows."""
        return {number: options for number, (plugin, options) in self.options().items() if plugin == name}

    def by_block(self, config: ServerConfig) -> dict[tuple[str, int], int]:
        """(plugin, index of a block) to the number of the source."""
        return {(plugin.name, block.index): self.numbers[identity] for plugin, block, _, identity in wanted(config)}

    def zones(self, config: ServerConfig, numbers: set[int]) -> set[str]:
        """The zones that are answered from any of these numbers."""
        return {
            zone
            for plugin, _, options, identity in wanted(config)
            if self.numbers[identity] in numbers
            for zone in plugin.source_zones(options)
        }

    def plugins(self, numbers: list[int]) -> list[Plugin]:
        """Whose sources these are."""
        return [load(name) for name in dict.fromkeys(self.known[number][0] for number in numbers)]

    def forget_inactive(self) -> bool:
        """Forget the numbers that nothing follows. Returns whether there were any.

        The next watcher drops their records, if the one that runs is not told to.
        """
        gone = [identity for identity, number in self.numbers.items() if number not in self.active]
        for identity in gone:
            number = self.numbers.pop(identity)
            self.known.pop(number, None)
            self.fresh.add(number)
        return bool(gone)
