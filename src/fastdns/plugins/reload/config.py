"""The options of reload: how often the Corefile is looked at."""

from __future__ import annotations

from dataclasses import dataclass

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.options import to_duration_s

DEFAULT_INTERVAL_S = 30.0
DEFAULT_JITTER_S = 15.0
MIN_INTERVAL_S = 2.0
MIN_JITTER_S = 1.0


@dataclass(frozen=True, slots=True)
class Config:
    """interval_s: between two looks, each moved at random by up to half of jitter_s in both directions.

    jitter_s is at most half of the interval; 0 is none.
    """

    interval_s: float = DEFAULT_INTERVAL_S
    jitter_s: float = DEFAULT_JITTER_S


def parse(d: Dispenser, block: BlockContext) -> Config:
    """The first occurrence counts. Raises CorefileError."""
    configs = [_occurrence(d) for _ in d.occurrences()]
    return configs[0]


def _occurrence(d: Dispenser) -> Config:
    args = d.remaining_args()
    if len(args) > 2:
        raise d.arg_error("at most an interval and a jitter")
    interval_s, jitter_s = DEFAULT_INTERVAL_S, DEFAULT_JITTER_S
    if args:
        interval_s = to_duration_s(d, args[0], "the interval", MIN_INTERVAL_S)
    if len(args) == 2:
        jitter_s = to_duration_s(d, args[1], "the jitter")
        if 0 < jitter_s < MIN_JITTER_S:
            raise d.error(f"the jitter must be 0 or at least {MIN_JITTER_S:g}s, got {args[1]}")
    return Config(interval_s, min(jitter_s, interval_s / 2))
