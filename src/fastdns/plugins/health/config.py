"""The options of health: where health is told, and how long a shutdown waits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.options import address, duration, read_options, store


@dataclass(frozen=True, slots=True)
class Config:
    """host: "" for every address. lameduck_s: how long queries are answered after the call to stop."""

    host: str = ""
    port: int = 8080
    lameduck_s: float = 0.0


def parse(d: Dispenser, block: BlockContext) -> Config:
    """The last of what is set counts. Raises CorefileError."""
    fields: dict[str, Any] = {"host": "", "port": 8080}
    for _ in d.occurrences():
        fields["host"], fields["port"] = address(d, (fields["host"], fields["port"]))
        read_options(d, OPTIONS, fields)
    return Config(**fields)


OPTIONS = {"lameduck": store("lameduck_s", duration())}
