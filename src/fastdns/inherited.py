"""Unusual conditions that a process may inherit: closed standard streams, blocked signals, no /proc."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path

from fastdns.errors import FastdnsError


def open_standard_streams() -> None:
    """Open /dev/null in place of closed standard streams.

    Otherwise the next descriptors take their numbers, and a child would take a socket of the server for its output.
    """
    for fd, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(fd)
        except OSError:
            # open takes the lowest free number, which is this one.
            if os.open(os.devnull, os.O_RDWR) != fd:
                continue
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(fd, mode, closefd=False))


def take_signals() -> None:
    """Unblock all signals, and make ended children waitable."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def check_process() -> None:
    """Check what the server needs of its environment. Raises FastdnsError that says what to do."""
    if not Path("/proc/self/fd").is_dir():
        raise FastdnsError("/proc is not mounted, and the server needs it: mount -t proc proc /proc")
    with contextlib.suppress(FileNotFoundError):
        Path.cwd()
        return
    # If the working directory is gone, every call that asks for it would fail.
    os.chdir("/")
