"""Runs a writer of a store one instruction at a time, so that a test can look at each state it may die in."""

from __future__ import annotations

import ctypes
import mmap
import os
import random
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from fastdns.memory._store import Store

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long
_libc.memcmp.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
PTRACE_TRACEME, PTRACE_SINGLESTEP = 0, 9


def traced(body: Callable[[], object]) -> int:
    """Fork a child that stops before it runs body, for us to go on step by step; its pid."""
    pid = os.fork()
    if pid:
        _, status = os.waitpid(pid, 0)
        if not os.WIFSTOPPED(status):
            pytest.skip("nothing may be traced here")
        return pid
    if _libc.ptrace(PTRACE_TRACEME, 0, None, None):
        os._exit(1)
    os.kill(os.getpid(), signal.SIGSTOP)
    body()
    # Without what an interpreter does at its end.
    os._exit(0)


@contextmanager
def on_one_cpu() -> Iterator[None]:
    """This process, and its children, have one CPU. Those that run in turns wake each other sooner there."""
    cpus = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {random.choice(sorted(cpus))})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cpus)


@contextmanager
def stopped(body: Callable[[], object]) -> Iterator[Callable[[], bool]]:
    """The child of body. The function that is yielded lets it do one instruction; False once it has ended."""
    with on_one_cpu(), stepping(traced(body)) as step:
        yield step


@contextmanager
def stepping(pid: int) -> Iterator[Callable[[], bool]]:
    """As stopped, of a child that has stopped."""
    ended = False

    def step() -> bool:
        nonlocal ended
        assert _libc.ptrace(PTRACE_SINGLESTEP, pid, None, None) == 0, os.strerror(ctypes.get_errno())
        _, status = os.waitpid(pid, 0)
        ended = not os.WIFSTOPPED(status)
        return not ended

    try:
        yield step
    finally:
        if not ended:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def copied(store: Store, image: bytes) -> Store:
    """A store of its own with these contents."""
    other = Store(store.size_bytes)
    os.pwrite(other.fd, image, 0)
    return other


class Changes:
    """Tells whether the memory of a store has changed since the last time; ``image`` is what it was then."""

    # The header, and all but the slots of readers.
    RANGES = ((0, 128), (262144, 1 << 62))

    def __init__(self, store: Store) -> None:
        self.memory = mmap.mmap(store.fd, store.size_bytes)
        self.view = ctypes.c_char.from_buffer(self.memory)
        # Nothing is beyond it yet, nor 64 KiB later.
        self.ends = min(store.size_bytes, store.high_water_bytes + 65536)
        self.image = self.memory[:]

    def __call__(self) -> bool:
        at, was = ctypes.addressof(self.view), ctypes.cast(self.image, ctypes.c_void_p).value or 0
        for begin, end in self.RANGES:
            if _libc.memcmp(at + begin, was + begin, min(end, self.ends) - begin):
                self.image = self.memory[:]
                return True
        return False
