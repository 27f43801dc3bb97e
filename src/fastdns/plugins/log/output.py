"""Whole lines to a standard output that other processes write to as well, without ever waiting for its reader.

The file description is shared with everybody who has inherited it, so it must not be made non-blocking. Instead
a write asks for itself not to wait (RWF_NOWAIT); where the kernel cannot do that for pipes (before Linux 6.4), the
pipe is opened a second time, which gives a description of one's own; where that is forbidden, poll tells whether
there is room. A pipe takes up to PIPE_BUF bytes in one piece (pipe(7)), so lines of several processes do not mix.
"""

from __future__ import annotations

import errno
import os
import select
import stat
from collections.abc import Callable

UNSUPPORTED = (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)


class Output:
    """Writes to fd, which stays the caller's. One batch of lines is kept until all of it is written."""

    def __init__(self, fd: int = 1) -> None:
        self.fd = fd
        self.own_fd = -1
        self.pending = memoryview(b"")
        self.written_bytes = 0
        self.lost_lines = 0
        is_file = stat.S_ISREG(os.fstat(fd).st_mode)
        # A file takes all at once, and nobody reads it who could be waited for.
        self.piece_bytes = 1 << 30 if is_file else select.PIPE_BUF
        self.write_now: Callable[[memoryview], int] = self.write_file if is_file else self.write_nowait

    def write(self, lines: bytes) -> bool:
        """Begin a batch of whole lines, once flush has said that the one before is written. Returns as flush."""
        assert not self.pending
        self.pending = memoryview(lines)
        return self.flush()

    def flush(self) -> bool:
        """Write what can be written at once; whether that is all. What nobody can read any more is counted."""
        try:
            while self.pending:
                written = self.write_now(self.pending[: self.piece()])
                self.written_bytes += written
                self.pending = self.pending[written:]
        except BlockingIOError:
            return False
        except OSError:
            self.lost_lines += bytes(self.pending).count(b"\n")
            self.pending = memoryview(b"")
        return True

    def piece(self) -> int:
        """How many bytes to write in one piece: as many whole lines as fit, or one line that does not."""
        if len(self.pending) <= self.piece_bytes:
            return len(self.pending)
        begin = bytes(self.pending[: self.piece_bytes])
        return begin.rfind(b"\n") + 1 or len(begin)

    def wait(self, limit_s: float) -> bool:
        """Wait so long at most until there is room; whether there is."""
        poll = select.poll()
        poll.register(self.fd, select.POLLOUT)
        return bool(poll.poll(limit_s * 1000))

    def close(self) -> None:
        """Give back what was opened here; what is pending is lost."""
        if self.own_fd >= 0:
            os.close(self.own_fd)
            self.own_fd = -1

    # Each returns how many bytes were written, and raises BlockingIOError where it would have to wait.

    def write_file(self, piece: memoryview) -> int:
        """To a file."""
        return os.write(self.fd, piece)

    def write_nowait(self, piece: memoryview) -> int:
        """Ask the kernel not to wait this time."""
        try:
            return os.pwritev(self.fd, [piece], -1, os.RWF_NOWAIT)
        except OSError as error:
            if error.errno not in UNSUPPORTED:
                raise
        self.write_now = self.write_own if self.open_own() else self.write_polled
        return self.write_now(piece)

    def open_own(self) -> bool:
        """Open the pipe or terminal a second time, to have a description of one's own."""
        flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        try:
            self.own_fd = os.open(f"/proc/self/fd/{self.fd}", flags)
        except OSError:
            return False
        return True

    def write_own(self, piece: memoryview) -> int:
        """To the description that was opened here."""
        return os.write(self.own_fd, piece)

    def write_polled(self, piece: memoryview) -> int:
        """Write where poll sees room. It waits for the reader where somebody else takes that room meanwhile."""
        if not self.wait(0):
            raise BlockingIOError(errno.EAGAIN, "no room")
        return os.write(self.fd, piece[: select.PIPE_BUF])
