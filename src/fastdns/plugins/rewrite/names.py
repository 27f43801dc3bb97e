"""How rules match names, and what they put in their place.

Names are compared as text: in lower case, fully qualified, with the escapes of RFC 1035 section 5.1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastdns.corefile.dispenser import Dispenser

if TYPE_CHECKING:
    from fastdns.regex import Regex

EXACT, PREFIX, SUFFIX, SUBSTRING, REGEX = KINDS = ("exact", "prefix", "suffix", "substring", "regex")
# Bounds the time and memory of compiling one.
MAX_PATTERN_CHARACTERS = 10_000
# CoreDNS looks for no more groups than these in a replacement.
_CHECKED_GROUPS = 101

# A replacement: literal text, and numbers of groups.
Pieces = tuple["str | int", ...]


@dataclass(frozen=True, slots=True)
class Match:
    """Which names. text: what is looked for, or the pattern; pattern: of kind regex."""

    kind: str
    text: str
    pattern: Regex | None = None

    @property
    def groups(self) -> int:
        """How many groups a replacement may name."""
        return self.pattern.groups if self.pattern is not None else 0


def normalized(text: str) -> str:
    """In lower case and fully qualified."""
    backslashes = len(text[:-1]) - len(text[:-1].rstrip("\\"))
    if not text.endswith(".") or backslashes % 2:
        text += "."
    return text.lower()


def to_kind(d: Dispenser, text: str, what: str) -> str:
    """One of the words for how names are matched, in any case."""
    kind = text.lower()
    if kind not in KINDS:
        raise d.error(f"{what} rules match names by {', '.join(KINDS)}; got {text!r}")
    return kind


def to_match(d: Dispenser, kind: str, text: str) -> Match:
    """text, matched as kind says."""
    if kind == REGEX:
        return Match(kind, text, to_pattern(d, text))
    return Match(kind, normalized(text))


def to_pattern(d: Dispenser, text: str) -> Regex:
    """text as a regular expression."""
    if len(text) > MAX_PATTERN_CHARACTERS:
        raise d.error(f"the regular expression is too long: {len(text)} > {MAX_PATTERN_CHARACTERS}")
    # Most Corefiles have no regular expression: they do without the memory of what compiles one.
    from fastdns.regex import Regex, RegexError

    try:
        return Regex(text)
    except RegexError as error:
        raise d.error(str(error)) from None


def check_groups(d: Dispenser, pattern: Regex, replacement: str) -> None:
    """Whether a replacement names no more groups than there are. Raises CorefileError."""
    used = sum(f"{{{number}}}" in replacement for number in range(_CHECKED_GROUPS))
    if used > pattern.groups:
        raise d.error(
            f"{replacement!r} names {used} groups, and the regular expression {pattern.text!r} has {pattern.groups}"
        )


def to_pieces(replacement: str, groups: int) -> Pieces:
    """A replacement cut at the groups that it names, ``{0}`` (all that is matched) to ``{groups}``."""
    parts = re.split(r"\{(0|[1-9][0-9]*)\}", replacement)
    pieces: list[str | int] = []
    for i, part in enumerate(parts):
        if i % 2 and int(part) <= groups:
            pieces.append(int(part))
        elif i % 2:
            # There is no such group: it stands for itself.
            pieces.append(f"{{{part}}}")
        elif part:
            pieces.append(part)
    return tuple(pieces)
