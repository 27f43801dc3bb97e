"""The options of cancel: how long a query may take."""

from __future__ import annotations

from dataclasses import dataclass

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.options import at_most_one, read_options, to_duration_s

# Clients give up after 5 seconds, most of them.
DEFAULT_S = 5.001


@dataclass(frozen=True, slots=True)
class Config:
    """timeout_s: over 0, from when the query has come."""

    timeout_s: float = DEFAULT_S


def parse(d: Dispenser, block: BlockContext) -> Config:
    """The last occurrence counts. Raises CorefileError."""
    config = Config()
    for _ in d.occurrences():
        text = at_most_one(d)
        timeout_s = DEFAULT_S if text is None else to_duration_s(d, text, "the timeout")
        if timeout_s <= 0:
            raise d.error(f"the timeout must be more than 0s, got {text}")
        # It has no options; an empty block is none.
        read_options(d, {}, {})
        config = Config(timeout_s)
    return config
