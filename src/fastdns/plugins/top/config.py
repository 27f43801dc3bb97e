"""The options of top: how much is kept, what is slow, and where it is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.options import Option, address, at_most_one, duration, read_options, store, to_int

MIN_SIZE = 64
SIZE = 4096
MAX_SIZE = 16384
HOST = "localhost"
PORT = 6054


@dataclass(frozen=True, slots=True)
class Config:
    """size: entries of each table of each thread. slow_s: a query that takes so long is slow. window_s: what is
    told is of the present window and the one before. host: "" for every address."""

    size: int = SIZE
    slow_s: float = 0.1
    window_s: float = 60.0
    host: str = HOST
    port: int = PORT


def parse(d: Dispenser, block: BlockContext) -> Config:
    """Raises CorefileError; once in a block."""
    fields: dict[str, Any] = {}
    for _ in d.occurrences(once=True):
        text = at_most_one(d)
        if text is not None:
            fields["size"] = to_int(d, text, "the number of entries", MIN_SIZE, MAX_SIZE)
        read_options(d, OPTIONS, fields)
    return Config(**fields)


def _address(d: Dispenser, fields: dict[str, Any]) -> None:
    fields["host"], fields["port"] = address(d, (HOST, PORT))


OPTIONS: dict[str, Option] = {
    "address": _address,
    "slow": store("slow_s", duration(0.001, 60.0)),
    "window": store("window_s", duration(1.0, 3600.0)),
}
