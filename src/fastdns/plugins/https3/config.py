"""The options of https3: how many streams a connection may have, and how many connections there may be."""

from __future__ import annotations

from dataclasses import dataclass

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.options import integer, only_options, store_once
from fastdns.transports.limits import DEFAULTS
from fastdns.transports.table import HTTPS3

LIMITS = DEFAULTS[HTTPS3.scheme]
# Of CoreDNS's library of QUIC, for who says 0.
DEFAULT_STREAMS = 100
# QUIC itself has no more (RFC 9000 section 4.6).
MAX_STREAMS = 2**60
MAX_CONNECTIONS = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Config:
    """max_streams: of each connection; 0: DEFAULT_STREAMS. max_connections: to a listener; 0: no limit."""

    max_streams: int = LIMITS.max_streams
    max_connections: int = LIMITS.max_connections


def parse(d: Dispenser, block: BlockContext) -> Config:
    """Once in a block, and each option once. Raises CorefileError."""
    return Config(**only_options(d, OPTIONS))


OPTIONS = {
    "max_streams": store_once("max_streams", integer(0, MAX_STREAMS)),
    "max_connections": store_once("max_connections", integer(0, MAX_CONNECTIONS)),
}
