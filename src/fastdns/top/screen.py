"""One summary after the other on a terminal, or one alone."""

from __future__ import annotations

import json
import os
import select
import shutil
import sys
import termios
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from fastdns.errors import FastdnsError
from fastdns.terminal import wants_colour
from fastdns.top.reading import Reading, read
from fastdns.top.summary import summary
from fastdns.top.view import WIDTH, lines

# The other screen, without a cursor; and back.
ENTER, LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
HOME, END_OF_LINE, END_OF_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"
QUIT = b"qQ\x03\x04"


@dataclass(frozen=True, slots=True)
class How:
    """url: of the admin listener. interval_s: between two readings. rows: of each table, at most."""

    url: str
    interval_s: float
    rows: int
    json: bool = False


def is_live(how: How) -> bool:
    """Whether there is a terminal on which to stay."""
    return not how.json and sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def compare(how: How, before: Reading, after: Reading) -> dict[str, Any]:
    """What there is to see of two readings."""
    return summary(how.url, before, after, how.rows, time.time())


def once(how: How) -> None:
    """Two readings, an interval apart, and what there is to see."""
    before = read(how.url)
    time.sleep(how.interval_s)
    found = compare(how, before, read(how.url))
    # No shorter than names are, where nobody says how wide.
    width = max(WIDTH, shutil.get_terminal_size((WIDTH, 0)).columns)
    print(json.dumps(found, indent=1) if how.json else "\n".join(lines(found, width)), flush=True)


@contextmanager
def other_screen() -> Iterator[None]:
    """A terminal that says each key at once; in the end it is as it was."""
    was = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)
        sys.stdout.write(ENTER)
        yield
    finally:
        sys.stdout.write(LEAVE)
        sys.stdout.flush()
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, was)


def draw(shown: list[str]) -> None:
    """The lines that fit, from the top."""
    height = shutil.get_terminal_size().lines
    sys.stdout.write(HOME + "\r\n".join(line + END_OF_LINE for line in shown[: height - 1]) + END_OF_SCREEN)
    sys.stdout.flush()


def is_ended(until_s: float) -> bool:
    """Wait until then. Whether a key has said that it is enough."""
    while (left_s := until_s - time.monotonic()) > 0:
        ready, _, _ = select.select([sys.stdin], [], [], left_s)
        if ready:
            key = os.read(sys.stdin.fileno(), 64)
            if not key or key[0] in QUIT:
                return True
    return False


def live(how: How) -> None:
    """Until a key ends it. A server that does not answer for a while is waited for."""
    colour = wants_colour(sys.stdout)
    # A server that was never there is an error.
    before = read(how.url)
    with other_screen():
        draw([f"fastdns at {how.url}: the first rates come in {how.interval_s:g} s. q ends."])
        while not is_ended(time.monotonic() + how.interval_s):
            try:
                after = read(how.url)
            except FastdnsError as error:
                draw([str(error), "It is asked again. q ends."])
                continue
            width = shutil.get_terminal_size().columns
            draw(lines(compare(how, before, after), width, colour=colour))
            before = after


def run(how: How) -> int:
    """Returns the exit code. Raises FastdnsError."""
    try:
        if is_live(how):
            live(how)
        else:
            once(how)
    except (KeyboardInterrupt, BrokenPipeError):
        # Whoever reads has enough.
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115
    return 0
