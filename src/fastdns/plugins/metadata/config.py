"""The options of metadata: the zones in whose queries values can be read."""

from __future__ import annotations

from dataclasses import dataclass

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.options import read_options, to_zones


@dataclass(frozen=True, slots=True)
class Config:
    """zones: normalized; those of the block if none is given."""

    zones: tuple[str, ...]


def parse(d: Dispenser, block: BlockContext) -> Config:
    """Parse the directive, which a block may have once. Raises CorefileError."""
    zones = block.zones
    for _ in d.occurrences(once=True):
        zones = to_zones(d, d.remaining_args()) or zones
        read_options(d, {}, {})
    return Config(zones)
