"""The options of quic: how many streams a connection may have, and how many questions are worked on at a time."""

from __future__ import annotations

from dataclasses import dataclass

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.options import integer, only_options, store_once
from fastdns.transports.limits import DEFAULTS
from fastdns.transports.table import QUIC

LIMITS = DEFAULTS[QUIC.scheme]
# QUIC itself has no more (RFC 9000 section 4.6).
MAX_STREAMS = 2**60
MAX_POOL = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Config:
    """max_streams: of each connection. worker_pool_size: questions of all connections of a listener together."""

    max_streams: int = LIMITS.max_streams
    worker_pool_size: int = LIMITS.pool


def parse(d: Dispenser, block: BlockContext) -> Config:
    """Once in a block, and each option once. Raises CorefileError."""
    return Config(**only_options(d, OPTIONS))


OPTIONS = {
    "max_streams": store_once("max_streams", integer(1, MAX_STREAMS)),
    "worker_pool_size": store_once("worker_pool_size", integer(1, MAX_POOL)),
}
