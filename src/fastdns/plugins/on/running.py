"""Running a command, in a child of the supervisor that has been forked for it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence

from fastdns.children import die_with_parent

# The child ignores them; the command is to know them again.
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1)


def run(words: Sequence[str], *, background: bool) -> bytes:
    """Run a command to its end, or only start it. Returns what has gone wrong, as text; b"": nothing.

    What it writes goes where the server's log goes. One that is not in the background ends with this process.
    """
    child = os.getpid()

    def before_it_begins() -> None:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        if not background:
            die_with_parent(child)

    try:
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, preexec_fn=before_it_begins, start_new_session=background
        )
    except OSError as error:
        return f"it cannot be started: {os.strerror(error.errno or 0)}".encode()
    if background:
        # It goes on without anybody who waits.
        process.returncode = 0
        return b""
    code = process.wait()
    if code < 0:
        return f"it was killed by signal {-code}".encode()
    return f"exit code {code}".encode() if code else b""
