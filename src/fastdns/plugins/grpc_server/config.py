"""The options of grpc_server: how many connections a listener of gRPC has, and how many calls each of them."""

from __future__ import annotations

from dataclasses import dataclass

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.options import integer, only_options, store_once
from fastdns.transports.limits import DEFAULTS
from fastdns.transports.table import GRPC

LIMITS = DEFAULTS[GRPC.scheme]
# HTTP/2's number of streams.
MAX_STREAMS = 2**31 - 1
# Go's int.
MAX_NUMBER = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Config:
    """max_streams: calls of a connection at a time. max_connections: of all workers together. 0 is no limit."""

    max_streams: int = LIMITS.max_streams
    max_connections: int = LIMITS.max_connections


def parse(d: Dispenser, block: BlockContext) -> Config:
    """Once in a block. Raises CorefileError."""
    return Config(**only_options(d, OPTIONS))


OPTIONS = {
    "max_streams": store_once("max_streams", integer(0, MAX_STREAMS)),
    "max_connections": store_once("max_connections", integer(0, MAX_NUMBER)),
}
