"""The options of errors: what is logged of a query that failed, and what is summed up instead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.options import at_most_one, extend, flag, read_options, store, to_duration_s

if TYPE_CHECKING:
    from fastdns.regex import Regex

LEVELS = ("warning", "error", "info", "debug")
# Bounds the time and memory of compiling one.
MAX_PATTERN_CHARACTERS = 10_000


@dataclass(frozen=True, slots=True)
class Consolidation:
    """Errors that pattern is found in are counted for interval_s, then logged as one line at level.

    show_first: the first of them is logged at once as well.
    """

    interval_s: float
    pattern: Regex
    level: str = "error"
    show_first: bool = False


@dataclass(frozen=True, slots=True)
class Config:
    """stacktrace: log where the code failed. Of the consolidations, the first that matches counts."""

    stacktrace: bool = False
    consolidations: tuple[Consolidation, ...] = ()


def parse(d: Dispenser, block: BlockContext) -> Config:
    """Raises CorefileError; once in a block."""
    fields: dict[str, Any] = {}
    for _ in d.occurrences(once=True):
        target = at_most_one(d)
        if target not in (None, "stdout"):
            raise d.error(f"errors are logged to stdout only, got {target!r}")
        read_options(d, OPTIONS, fields, ENDING)
    return Config(**fields)


def _consolidate(d: Dispenser) -> tuple[Consolidation]:
    args = d.remaining_args()
    if not 2 <= len(args) <= 4:
        raise d.arg_error("a duration, a regular expression, and optionally a level and show_first")
    interval_s = to_duration_s(d, args[0], "the interval of consolidate")
    pattern = _pattern(d, args[1])
    level, show_first = _summary(d, args[2:])
    return (Consolidation(interval_s, pattern, level, show_first),)


def _summary(d: Dispenser, args: list[str]) -> tuple[str, bool]:
    level = args[0] if args and args[0] in LEVELS else "error"
    rest = args[1:] if args and args[0] in LEVELS else args
    if rest not in ([], ["show_first"]):
        raise d.error(
            f"after the regular expression consolidate takes a level ({', '.join(LEVELS)}), then show_first; "
            f"got {' '.join(args)!r}"
        )
    return level, bool(rest)


def _pattern(d: Dispenser, text: str) -> Regex:
    if len(text) > MAX_PATTERN_CHARACTERS:
        raise d.error(f"the regular expression is too long: {len(text)} > {MAX_PATTERN_CHARACTERS}")
    # Most Corefiles have no regular expression: they do without the memory of what compiles one.
    from fastdns.regex import Regex, RegexError

    try:
        return Regex(text)
    except RegexError as error:
        raise d.error(str(error)) from None


OPTIONS = {"stacktrace": store("stacktrace", flag), "consolidate": extend("consolidations", _consolidate)}

# Behind these CoreDNS takes the closing brace on their line.
ENDING = {"stacktrace": 0}
