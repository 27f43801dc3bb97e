"""The options of shed: none; that it stands in a block is all."""

from __future__ import annotations

from dataclasses import dataclass

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.options import flag


@dataclass(frozen=True, slots=True)
class Config:
    """Nothing can be set."""


def parse(d: Dispenser, block: BlockContext) -> Config:
    """Raises CorefileError if there is any argument or option, or a second occurrence."""
    for _ in d.occurrences(once=True):
        flag(d)
    return Config()
