"""What a plugin's ``parse`` may know of the server block around it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple


def search_path_of(plugin: str) -> str:
    """What is asked of the plugin of that name where another one completes names as its clients do."""
    return f"the search paths of clients, of {plugin}"


# What is asked of plugins that know clients by name, such as pods: to keep these names.
CLIENT_NAMES = "the names of clients"


class Secondaries(NamedTuple):
    """Who transfers zones of a block, and is told when they change.

    zones: they, and the zones below them. hosts: addresses and ports. source: the address that hosts are told from;
    "": any.
    """

    zones: tuple[str, ...]
    hosts: tuple[tuple[str, int], ...]
    source: str = ""


@dataclass(frozen=True, slots=True)
class BlockContext:
    """The block whose plugin is being configured.

    zones: normalized, CIDR keys expanded. root: the directory of the root plugin, against which later
    plugins resolve their files. value_zones: the zones in whose queries values can be read (see Settings); None:
    in none. warnings: what the user should read although the Corefile is served; parse may append. asked: what
    plugins before this one ask of the block's others, each in words that both know. words: all that stand in the
    block: a plugin that finds the name of one of its values there is read, wherever that is.
    secondaries: who transfers its zones; with any, a plugin with zones keeps the history of their changes, and says
    when they change.
    """

    zones: tuple[str, ...]
    file: str
    root: str = "."
    value_zones: tuple[str, ...] | None = None
    warnings: list[str] = field(default_factory=list)
    asked: frozenset[str] = frozenset()
    words: tuple[str, ...] = field(default=(), repr=False)
    secondaries: tuple[Secondaries, ...] = ()

    def asking(self, what: str) -> BlockContext:
        """The same block, in which a plugin has asked for something."""
        return replace(self, asked=self.asked | {what})

    def with_secondaries(self, secondaries: tuple[Secondaries, ...]) -> BlockContext:
        """The same block, whose zones are transferred."""
        return replace(self, secondaries=secondaries)

    def resolve(self, path: str) -> str:
        """path, relative to the root unless it is absolute."""
        return str(Path(self.root) / path)
