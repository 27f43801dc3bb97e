"""The options of local: whether names that begin with localhost are local wherever they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.options import flag, one_of, read_options

_ON_OFF = one_of("on", "off")


@dataclass(frozen=True, slots=True)
class Config:
    """prefix: localhost.example.org is this host, too."""

    prefix: bool = True


def parse(d: Dispenser, block: BlockContext) -> Config:
    """The last setting counts. Raises CorefileError."""
    fields: dict[str, bool] = {}
    for _ in d.occurrences():
        flag(d)
        read_options(d, {"localhost_prefix": _prefix}, fields)
    return Config(**fields)


def _prefix(d: Dispenser, fields: dict[str, Any]) -> None:
    fields["prefix"] = _ON_OFF(d) == "on"
