"""What a Corefile becomes: frozen server blocks and listeners. Everything is resolved; nothing is opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fastdns.corefile.settings import DEFAULTS, Settings


@dataclass(frozen=True, slots=True)
class ServerBlock:
    """One block: its zones and its plugins' configurations.

    zones: fully qualified, lowercased, CIDR keys expanded, in key order (expanded ones last).
    plugins: plugin name to its Config, in the order of ``fastdns.plugins.order``. places: plugin name to the file
    and line of its directive, the first one where it is repeated. settings: what the plugins set together.
    """

    index: int
    file: str
    line: int
    zones: tuple[str, ...]
    plugins: Mapping[str, Any]
    places: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    settings: Settings = DEFAULTS

    @property
    def view(self) -> str:
        """What metrics call its view; "" where it takes every query of its zones."""
        return self.settings.view or ""


@dataclass(frozen=True, slots=True)
class Listener:
    """One address and port of a transport, and the zones that are served there.

    address: IP text, or "" for every address of both families. zones: (zone, index of its block), in the order of
    the Corefile; several blocks may have the same zone, see Settings.view. one_family: of 0.0.0.0 or ::, which else
    stand for every address of both families, too: another listener has the other one.
    """

    transport: str
    address: str
    port: int
    zones: tuple[tuple[str, int], ...]
    one_family: bool = False


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """A whole Corefile. sha512 is over tokens with their lines, in hex; files are all that were read."""

    blocks: tuple[ServerBlock, ...]
    listeners: tuple[Listener, ...]
    sha512: str
    files: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    source: str = field(default="Corefile")

    @property
    def debug(self) -> bool:
        """Whether any block asks for a log for debugging."""
        return any(block.settings.debug for block in self.blocks)

    def with_plugin(self, name: str) -> list[tuple[ServerBlock, Any]]:
        """Every block that has a plugin, with its configuration there."""
        return [(block, block.plugins[name]) for block in self.blocks if name in block.plugins]
