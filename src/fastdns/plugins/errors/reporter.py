"""What the errors plugin writes: one line an error, or one summary a period for the patterns it consolidates."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastdns.dns.mnemonics import TYPES
from fastdns.dns.names import text_name
from fastdns.plugins.errors.config import Config

if TYPE_CHECKING:
    from fastdns.regex import Regex

log = logging.getLogger("plugin/errors")

LEVELS = {
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "info": logging.INFO,
    "debug": logging.DEBUG,
}


@dataclass(slots=True)
class Pattern:
    """One consolidated pattern, and how often it has matched in the period that runs."""

    regex: Regex
    interval_s: float
    level: int
    show_first: bool
    count: int = 0
    ends_at: float = 0.0


class Reporter:
    """The lines of one server block. Call report for each error and tick now and then; times are in seconds."""

    def __init__(self, config: Config) -> None:
        self.patterns = [
            Pattern(one.pattern, one.interval_s, LEVELS[one.level], one.show_first)
            for one in config.consolidations
        ]

    def report(self, rcode: int, qname: bytes, qtype: int, reason: str, now: float) -> None:
        """One error: a line, or a count of the first pattern that matches its text."""
        kind = TYPES.get(qtype, f"TYPE{qtype}")
        for pattern in self.patterns:
            if not pattern.regex.matches(reason):
                continue
            pattern.count += 1
            if pattern.count == 1:
                pattern.ends_at = now + pattern.interval_s
                if pattern.show_first:
                    log.log(pattern.level, "%d %s %s: %s", rcode, text_name(qname), kind, reason)
            return
        log.error("%d %s %s: %s", rcode, text_name(qname), kind, reason)

    def tick(self, now: float, *, last: bool = False) -> None:
        """Write the summary of each pattern whose period is over; with last, of all."""
        for pattern in self.patterns:
            if not pattern.count or not (last or now >= pattern.ends_at):
                continue
            if not (pattern.show_first and pattern.count == 1):
                log.log(
                    pattern.level, "%d errors like '%s' occurred in last %s",
                    pattern.count, pattern.regex.text, go_duration(pattern.interval_s),
                )  # fmt: skip
            pattern.count = 0


def go_duration(seconds: float) -> str:
    """A duration as Go prints it: 1m30s, 2h0m0s, 1.5s, 300ms."""
    if seconds < 1:
        return f"{seconds * 1000:g}ms"
    whole, rest = divmod(seconds, 60)
    minutes = int(whole)
    if not minutes:
        return f"{rest:g}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{rest:g}s" if hours else f"{minutes}m{rest:g}s"


