"""The options of multisocket: how many sockets, and with them workers, serve an address."""

from __future__ import annotations

from dataclasses import dataclass

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.options import at_most_one, to_int

MAX_SOCKETS = 1024


@dataclass(frozen=True, slots=True)
class Config:
    """sockets: from 1 to MAX_SOCKETS, or None for as many as there are CPUs to run on."""

    sockets: int | None = None


def parse(d: Dispenser, block: BlockContext) -> Config:
    """Raises CorefileError; once in a block."""
    config = Config()
    for _ in d.occurrences(once=True):
        text = at_most_one(d)
        if text is not None:
            config = Config(to_int(d, text, "the number of sockets", 1, MAX_SOCKETS))
    return config
