"""The handler of samples leaves what it interrupts as it was."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.native

# errno was 0 after a sample in a process with a wakeup descriptor, as asyncio has one: epoll_wait had failed for no
# reason then, and the server ended.
PROGRAM = """
import ctypes, os, signal
from fastdns.plugins.pprof import _sampler

signal.signal(signal.SIGPROF, lambda *_: None)
_, wakeup = os.pipe()
os.set_blocking(wakeup, False)
signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
_sampler.share()
_sampler.ask(1, 10**9, True)
libc = ctypes.CDLL(None, use_errno=True)
for _ in range(10):
    ctypes.set_errno(42)
    libc["raise"](int(signal.SIGPROF))
    taken, _ = _sampler.take_main()
    print(taken, ctypes.get_errno())
"""


def test_a_sample_leaves_errno_alone() -> None:
    said = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True).stdout
    assert said.splitlines() == ["1 42"] * 10
