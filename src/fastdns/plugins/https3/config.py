"""The options of https3: how many streams a connection may have, and how many connections there may be."""

from __future__ import annotations

from dataclasses import dataclass

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.options import integer, only_options, store_once
from fastdns.transports.limits import HTTPS3_CONNECTIONS, QUIC_STREAMS

# QUIC itself has no more (RFC 9000 section 4.6).
MAX_STREAMS = 2**60
MAX_CONNECTIONS = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Config:
    """max_streams: of each connection; 0: as many as QUIC has without this plugin in CoreDNS. max_connections: to a
    listener; 0: no limit."""

    max_streams: int = QUIC_STREAMS
    max_connections: int = HTTPS3_CONNECTIONS


def parse(d: Dispenser, block: BlockContext) -> Config:
    """Once in a block, and each option once. Raises CorefileError."""
    return Config(**only_options(d, OPTIONS))


OPTIONS = {
    "max_streams": store_once("max_streams", integer(0, MAX_STREAMS)),
    "max_connections": store_once("max_connections", integer(0, MAX_CONNECTIONS)),
}
