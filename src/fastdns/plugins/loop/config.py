"""The configuration of loop: it has no options, only the zone in which probes are asked."""

from __future__ import annotations

from dataclasses import dataclass

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser


@dataclass(frozen=True, slots=True)
class Config:
    """zone: the first of the block, normalized; the names of probes lie in it."""

    zone: str


def parse(d: Dispenser, block: BlockContext) -> Config:
    """Raises CorefileError; once in a block, without arguments."""
    for _ in d.occurrences(once=True):
        if d.remaining_args():
            raise d.arg_error("no argument")
    return Config(block.zones[0] if block.zones else ".")
