"""The options of timeouts: how long a TCP or TLS connection may take, and how much it may ask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.options import duration, flag, one, read_options, store, to_int

UNLIMITED = -1


@dataclass(frozen=True, slots=True)
class Config:
    """Seconds of one read, one write, and between two queries. max_tcp_queries: -1 is no limit.

    None is the server's default.
    """

    read_s: float | None = None
    write_s: float | None = None
    idle_s: float | None = None
    max_tcp_queries: int | None = None


def parse(d: Dispenser, block: BlockContext) -> Config:
    """Occurrences are merged. Raises CorefileError for an empty block, too."""
    fields: dict[str, Any] = {}
    for _ in d.occurrences():
        flag(d)
        if not read_options(d, OPTIONS, fields):
            raise d.error("timeouts needs a block with at least one of " + ", ".join(OPTIONS))
    return Config(**fields)


def _queries(d: Dispenser) -> int:
    text = one(d)
    if text == str(UNLIMITED):
        return UNLIMITED
    return to_int(d, text, f"maxtcpqueries must be {UNLIMITED}, which is no limit, or", 1)


_timeout = duration(1.0, 86400.0, bare_seconds=True)
OPTIONS = {
    "read": store("read_s", _timeout),
    "write": store("write_s", _timeout),
    "idle": store("idle_s", _timeout),
    "maxtcpqueries": store("max_tcp_queries", _queries),
}
