"""The options of ready: where readiness is told, and whether it may be taken back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.options import address, one_of, read_options, store


@dataclass(frozen=True, slots=True)
class Config:
    """host: "" for every address. monitor: "until-ready" or "continuously"."""

    host: str = ""
    port: int = 8181
    monitor: str = "until-ready"


def parse(d: Dispenser, block: BlockContext) -> Config:
    """Raises CorefileError; once in a block."""
    fields: dict[str, Any] = {}
    for _ in d.occurrences(once=True):
        fields["host"], fields["port"] = address(d, ("", 8181))
        read_options(d, OPTIONS, fields)
    return Config(**fields)


OPTIONS = {"monitor": store("monitor", one_of("until-ready", "continuously"))}
