"""The options of autopath: whose names are completed, and where the search path comes from."""

from __future__ import annotations

from dataclasses import dataclass

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.options import to_zones, words


@dataclass(frozen=True, slots=True)
class Config:
    """zones: of the questions that are completed. file: with the search list; plugin: that knows search paths.

    One of them is None.
    """

    zones: tuple[str, ...]
    file: str | None = None
    plugin: str | None = None


def parse(d: Dispenser, block: BlockContext) -> Config:
    """Where the directive is repeated, the last one counts. Raises CorefileError."""
    config = Config(())
    for _ in d.occurrences():
        *zones, source = words(d, "@PLUGIN or a file like /etc/resolv.conf, and zones before it")
        of_plugin = source.startswith("@")
        config = Config(
            to_zones(d, zones) or block.zones,
            None if of_plugin else source,
            source.removeprefix("@") if of_plugin else None,
        )
    return config
