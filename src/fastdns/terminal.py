"""What a terminal is shown: colour where it is wanted (https://no-color.org), and text that fits its width."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TextIO

CODES = {"bold": "1", "red": "31", "green": "32", "yellow": "33", "blue": "34"}


def wants_colour(stream: TextIO, environ: Mapping[str, str] | None = None) -> bool:
    """Whether a stream is a terminal with colours, and NO_COLOR is not set, or empty."""
    environ = os.environ if environ is None else environ
    return stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def width_of(stream: TextIO) -> int:
    """The columns of a terminal; 100 of anything else, so that files do not depend on who writes them."""
    import shutil

    return shutil.get_terminal_size((100, 24)).columns if stream.isatty() else 100


def coloured(text: str, colour: str, wanted: bool) -> str:
    """The text in a colour of CODES, where colour is wanted."""
    return f"\x1b[{CODES[colour]}m{text}\x1b[0m" if wanted else text


def wrapped(text: str, indent: str, width: int) -> Iterator[str]:
    """The lines of a text, each behind the indent. Words longer than a line stay whole."""
    # A server has no use for it.
    import textwrap

    yield from textwrap.wrap(
        text, width, initial_indent=indent, subsequent_indent=indent,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
