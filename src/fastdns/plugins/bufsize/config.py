"""The options of bufsize: the largest UDP message that is sent, whatever a client asks for."""

from __future__ import annotations

from dataclasses import dataclass

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.options import at_most_one, to_int

# DNS flag day 2020: the largest message that no path fragments.
DEFAULT_BYTES = 1232
# RFC 1035 section 4.2.1; RFC 6891 section 6.2.5 suggests the upper bound.
MIN_BYTES = 512
MAX_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Config:
    """max_udp_bytes: from MIN_BYTES to MAX_BYTES."""

    max_udp_bytes: int = DEFAULT_BYTES


def parse(d: Dispenser, block: BlockContext) -> Config:
    """The first occurrence counts. Raises CorefileError."""
    configs = [_occurrence(d) for _ in d.occurrences()]
    return configs[0]


def _occurrence(d: Dispenser) -> Config:
    text = at_most_one(d)
    return Config() if text is None else Config(to_int(d, text, "the size in bytes", MIN_BYTES, MAX_BYTES))
