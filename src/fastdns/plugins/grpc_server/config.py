"""The options of grpc_server: how many connections a listener of gRPC has, and how many calls each of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.options import Option, flag, one, read_options, to_int

# HTTP/2's number of streams.
MAX_STREAMS = 2**31 - 1
# Go's int.
MAX_NUMBER = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Config:
    """max_connections: of all workers together. 0 is no limit. None: the default."""

    max_streams: int | None = None
    max_connections: int | None = None


def parse(d: Dispenser, block: BlockContext) -> Config:
    """Once in a block. Raises CorefileError."""
    fields: dict[str, Any] = {}
    for _ in d.occurrences(once=True):
        flag(d)
        read_options(d, OPTIONS, fields)
    return Config(**fields)


def _number(name: str, most: int) -> Option:
    def read(d: Dispenser, fields: dict[str, Any]) -> None:
        text = one(d)
        if name in fields:
            raise d.error(f"{name} already defined for this server block")
        fields[name] = to_int(d, text, name, 0, most)

    return read


OPTIONS = {
    "max_streams": _number("max_streams", MAX_STREAMS),
    "max_connections": _number("max_connections", MAX_NUMBER),
}
