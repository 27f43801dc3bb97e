"""A file that is replaced as a whole: readers find the old one or the new one."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from fastdns.errors import FastdnsError


def replace(file: str, lines: Iterable[str]) -> None:
    """Write a file. Raises OSError, and FastdnsError where another process writes it."""
    # One name for each file: what a killed process has left is written over. No name that holds a zone's for auto.
    name = f"signed-{hashlib.sha256(file.encode()).hexdigest()[:16]}"
    new = Path(file).with_name(name)
    # As CoreDNS does, for this user only.
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    with os.fdopen(fd, "w", encoding="ascii") as out:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FastdnsError(f"another process writes {new}") from None
        try:
            out.truncate(0)
            out.writelines(lines)
            out.flush()
            os.fsync(fd)
            new.replace(file)
        except BaseException:
            with contextlib.suppress(OSError):
                new.unlink()
            raise
