"""The options of https: how many connections a listener of DNS over HTTPS has."""

from __future__ import annotations

from dataclasses import dataclass

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.options import integer, only_options, store_once
from fastdns.transports.limits import DEFAULTS
from fastdns.transports.table import HTTPS

LIMITS = DEFAULTS[HTTPS.scheme]
# Go's int.
MAX_NUMBER = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Config:
    """max_connections: of all workers together; 0 is no limit."""

    max_connections: int = LIMITS.max_connections


def parse(d: Dispenser, block: BlockContext) -> Config:
    """Once in a block. Raises CorefileError."""
    return Config(**only_options(d, OPTIONS))


OPTIONS = {"max_connections": store_once("max_connections", integer(0, MAX_NUMBER))}
