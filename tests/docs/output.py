"""Compares what a command printed with what a page shows.

``…`` stands for any text within a line. A line that is ``…`` alone stands for any number of lines. Several spaces
or tabs count as one space, and empty lines do not count.
"""

from __future__ import annotations

import re


def squeezed(line: str) -> str:
    """A line with single spaces."""
    return " ".join(line.split())


def pattern_of(shown: list[str]) -> str:
    """The regular expression of the lines that a page shows."""
    parts = []
    for line in filter(str.strip, shown):
        if line.strip() == "…":
            parts.append(r"(?:[^\n]*\n)*?")
        else:
            parts.append(r"[^\n]*".join(re.escape(piece) for piece in squeezed(line).split("…")) + r"\n")
    return "".join(parts)


# Only where a listing takes over half a second.
BUSY = ("[INFO] plugin/kubernetes: waiting for Kubernetes API before starting server",)


def normal(printed: str) -> str:
    """Output with single spaces, without empty lines, and without what only a busy machine adds."""
    lines = (squeezed(line) for line in printed.splitlines())
    return "".join(f"{line}\n" for line in lines if line and line not in BUSY)


def is_shown(printed: str, shown: list[str]) -> bool:
    """Whether the whole output is what the page shows."""
    return re.fullmatch(pattern_of(shown), normal(printed)) is not None


def begins_as_shown(printed: str, shown: list[str]) -> bool:
    """Whether the output begins with what the page shows."""
    return re.match(pattern_of(shown), normal(printed)) is not None


def has_lines(printed: str, shown: list[str]) -> bool:
    """Whether the lines that a page shows are somewhere in the output, one after the other."""
    return re.search("^" + pattern_of(shown), normal(printed), re.MULTILINE) is not None
