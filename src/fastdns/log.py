"""Log lines as CoreDNS writes them: ``[LEVEL] plugin/NAME: text`` on standard output, without timestamps.

Each line is one write, so lines of several processes do not mix. A process writes at most MAX_LINES_PER_S on
average. Lines beyond that are counted, and a line says how many there were.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import time

# A fixed number, not sys.stdout's: in a child, that number may belong to another file.
STDOUT = 1
MAX_LINES_PER_S = 100
BURST_LINES = 1000
WHY_LEFT_OUT = f"more than {MAX_LINES_PER_S} a second, or nobody read them"
PIECE_BYTES = select.PIPE_BUF

# Libraries whose messages below ERROR are about themselves.
NOISY = ("asyncio", "aiohttp.access", "aiohttp.server", "aiohttp.client", "kubernetes", "urllib3", "watchfiles")


class LineHandler(logging.Handler):
    """Writes whole lines to a file descriptor. A slow or absent reader loses lines; the server never waits."""

    def __init__(self, fd: int = STDOUT) -> None:
        super().__init__()
        self.fd = fd
        self.tokens = float(BURST_LINES)
        self.filled_at = time.monotonic()
        self.left_out = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record, or count it if there were too many."""
        now = time.monotonic()
        self.tokens = min(BURST_LINES, self.tokens + (now - self.filled_at) * MAX_LINES_PER_S)
        self.filled_at = now
        if self.tokens < 1 or not self.has_room():
            self.left_out += 1
            return
        self.tokens -= 1
        text = self.format(record)
        if self.left_out:
            text = f"[WARNING] {self.left_out} log lines left out: {WHY_LEFT_OUT}\n{text}"
            self.left_out = 0
        self.write(text.encode(errors="replace") + b"\n")

    def has_room(self) -> bool:
        """Whether a write of up to PIECE_BYTES does not block (pipe(7): poll reports room for PIPE_BUF bytes)."""
        poll = select.poll()
        poll.register(self.fd, select.POLLOUT)
        return bool(poll.poll(0))

    def write(self, data: bytes) -> None:
        """Write the data, nearly always in one piece. If the reader stops in the middle, the rest is lost."""
        with contextlib.suppress(OSError):
            for at in range(0, len(data), PIECE_BYTES):
                if at and not self.has_room():
                    return
                os.write(self.fd, data[at : at + PIECE_BYTES])


class LineFormatter(logging.Formatter):
    """The level in brackets, the plugin if the logger belongs to one, and the text."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, or several if the record has an exception."""
        name = f"{record.name}: " if record.name.startswith("plugin/") else ""
        text = f"[{record.levelname}] {name}{record.getMessage()}"
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return text


def set_up(*, debug: bool = False) -> None:
    """Send the lines of all loggers to standard output; debug lines only with the debug plugin."""
    root = logging.getLogger()
    handler = LineHandler(STDOUT)
    handler.setFormatter(LineFormatter())
    root.handlers[:] = [handler]
    root.setLevel(logging.DEBUG if debug else logging.INFO)
    for noisy in NOISY:
        logging.getLogger(noisy).setLevel(logging.ERROR)
