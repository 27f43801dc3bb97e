"""What a process inherits and may be odd: closed standard streams, blocked signals, a bound, no /proc."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path

from fastdns.errors import FastdnsError


def open_standard_streams() -> None:
    """Put /dev/null in place of standard streams that are closed.

    Else what is opened next takes their numbers: a child would take a socket of the server's for its output.
    """
    for fd, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(fd)
        except OSError:
            # The lowest free number, which is this one.
            if os.open(os.devnull, os.O_RDWR) != fd:
                continue
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(fd, mode, closefd=False))


def take_signals() -> None:
    """Let in the signals that were blocked, and let children that end be waited for."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def check_process() -> None:
    """Look at what the server cannot do without. Raises FastdnsError that says what to do."""
    if not Path("/proc/self/fd").is_dir():
        raise FastdnsError("/proc is not mounted, and the server needs it: mount -t proc proc /proc")
    with contextlib.suppress(FileNotFoundError):
        Path.cwd()
        return
    # A folder that is gone would stop what only asks where it is.
    os.chdir("/")
