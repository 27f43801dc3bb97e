"""The options of https: how many connections a listener of DNS over HTTPS has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.options import flag, one, read_options, to_int

# Go's int.
MAX_NUMBER = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Config:
    """max_connections: of all workers together; 0 is no limit. None: the default."""

    max_connections: int | None = None


def parse(d: Dispenser, block: BlockContext) -> Config:
    """Once in a block. Raises CorefileError."""
    fields: dict[str, Any] = {}
    for _ in d.occurrences(once=True):
        flag(d)
        read_options(d, OPTIONS, fields)
    return Config(**fields)


def _max_connections(d: Dispenser, fields: dict[str, Any]) -> None:
    text = one(d)
    if "max_connections" in fields:
        raise d.error("max_connections already defined for this server block")
    fields["max_connections"] = to_int(d, text, "max_connections", 0, MAX_NUMBER)


OPTIONS = {"max_connections": _max_connections}
