"""The options of pprof: where profiles are served, and whether waiting is profiled as well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.options import address, at_most_one, read_options, to_int


@dataclass(frozen=True, slots=True)
class Config:
    """host: "" for every address. block_ns: between two samples of a profile of waiting; 0: there is none."""

    host: str = "localhost"
    port: int = 6053
    block_ns: int = 0


def parse(d: Dispenser, block: BlockContext) -> Config:
    """Raises CorefileError; once in a block."""
    fields: dict[str, Any] = {}
    for _ in d.occurrences(once=True):
        fields["host"], fields["port"] = address(d, ("localhost", 6053))
        read_options(d, {"block": block_rate}, fields)
    return Config(**fields)


def block_rate(d: Dispenser, fields: dict[str, Any]) -> None:
    """``block [RATE]``: in nanoseconds, as Go has it."""
    text = at_most_one(d)
    fields["block_ns"] = 1 if text is None else to_int(d, text, "the rate of block", 1)
