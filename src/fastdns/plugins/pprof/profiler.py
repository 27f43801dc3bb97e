"""Takes profiles of the server's processes: each of them samples itself while it is asked to.

The supervisor makes the Profiler; processes that are forked later inherit it, and answer its signal. Those forked
before would end from that signal, and are left out.

What a process does in Python is told as the stack of Python's frames, with what native code did above the innermost
of them. Threads without Python are told as native addresses.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from fastdns.errors import FastdnsError
from fastdns.plugins.api import SupervisorView
from fastdns.plugins.pprof import _sampler

# As Go's: 100 times a second.
INTERVAL_NS = 10_000_000
MIN_INTERVAL_NS = 1_000_000
MAX_SECONDS = 300
# Of one process, and of one stack.
MAX_STACKS = 4096
MAX_FRAMES = 64
# For a process to take notice: its main thread may have been asleep.
NOTICE_S = 2.0
# How often the supervisor looks whether who asked is still there.
LOOK_S = 0.25

REQUEST = signal.SIGRTMIN + 5

# A frame of Python's: function, file, first line, line. Or a native address.
PythonFrame = tuple[str, str, int, int]
# Python's frames and then the native addresses above them, the innermost first.
Stack = tuple[tuple[PythonFrame, ...], tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Sample:
    """A stack of a thread, and how often it was seen."""

    process: str
    thread: str
    python: tuple[PythonFrame, ...]
    native: tuple[int, ...]
    count: int


@dataclass(slots=True)
class Profile:
    """What has been seen. begun_ns: of the clock. lost: samples for which there was no room."""

    begun_ns: int
    took_ns: int
    interval_ns: int
    wall: bool
    samples: list[Sample] = field(default_factory=list)
    lost: int = 0


class InUseError(FastdnsError):
    """One profile is taken at a time."""


class Profiler:
    """Of this process and those that it forks."""

    def __init__(self, supervisor: SupervisorView) -> None:
        self.supervisor = supervisor
        self.number = 0
        # In which process, and in which profile that takes part. What who forked it has is not its own.
        self.joined = (0, 0)
        self.stacks: Counter[Stack] = Counter()
        self.taking = asyncio.Lock()
        # They know nothing of this.
        self.older = {child.pid for child in supervisor.children.values()}
        signal.signal(REQUEST, self.on_request)
        signal.signal(signal.SIGPROF, self.on_sample)
        _sampler.share()

    # ----------------------------------------------------------------------------- in the process that is sampled

    def on_request(self, number: int, frame: FrameType | None) -> None:
        """A profile is to be taken of this process, or is over."""
        running, pid = _sampler.running(), os.getpid()
        if self.joined == (pid, running):
            return
        if self.joined[0] == pid and self.joined[1]:
            _sampler.end()
            if not running:
                _sampler.tell(self.as_lines())
        self.joined = (pid, running)
        self.stacks.clear()
        if running:
            _sampler.begin()

    def on_sample(self, number: int, frame: FrameType | None) -> None:
        """The main thread has been sampled, perhaps several times since Python was last asked."""
        count, native = _sampler.take_main()
        if not (count and self.joined[1]):
            return
        frames: list[PythonFrame] = []
        while frame is not None and len(frames) < MAX_FRAMES:
            code = frame.f_code
            first = code.co_firstlineno
            frames.append((code.co_qualname, code.co_filename, first, frame.f_lineno or first))
            frame = frame.f_back
        stack = (tuple(frames), tuple(native))
        if len(self.stacks) < MAX_STACKS or stack in self.stacks:
            self.stacks[stack] += count

    def as_lines(self) -> bytes:
        """The stacks of this process, a line each."""
        pid = os.getpid()
        lines = [json.dumps([pid, count, python, native]) for (python, native), count in self.stacks.items()]
        return "".join(f"{line}\n" for line in lines).encode()

    # ----------------------------------------------------------------------------- in the supervisor

    def processes(self) -> dict[int, str]:
        """Which can be sampled, by pid, and what they are called."""
        found = {os.getpid(): "supervisor"}
        for child in self.supervisor.children.values():
            if child.pid is not None and child.pid not in self.older and child.ready:
                found[child.pid] = child.role if child.role == "watcher" else f"{child.role}-{child.index}"
        return found

    async def take(
        self, seconds: float, interval_ns: int, *, wall: bool, gone: Callable[[], bool] = lambda: False
    ) -> Profile:
        """A profile of all processes together. It ends early once who wanted it is gone. Raises InUseError."""
        if self.taking.locked():
            raise InUseError("Could not enable CPU profiling: cpu profiling already in use")
        async with self.taking:
            self.number += 1
            processes = self.processes()
            threads = {tid: name for pid in processes for tid, name in threads_of(pid).items()}
            began_ns, began_s = time.time_ns(), time.monotonic()
            _sampler.ask(self.number, interval_ns, wall)
            try:
                for pid in processes:
                    send(pid)
                ends_s = began_s + seconds
                while (left_s := ends_s - time.monotonic()) > 0 and not gone():
                    await asyncio.sleep(min(left_s, LOOK_S))
            finally:
                took_ns = int((time.monotonic() - began_s) * 1e9)
                _sampler.unask()
                # Of one that has died meanwhile, another program may have the number by now.
                for pid in processes.keys() & self.processes().keys():
                    send(pid)
            try:
                await all_told()
                return Profile(
                    began_ns, took_ns, interval_ns, wall, collected(processes, threads), _sampler.lost()
                )
            finally:
                _sampler.clear()


def send(pid: int) -> None:
    """Ask a process to look whether a profile is being taken."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, REQUEST)


def threads_of(pid: int) -> dict[int, str]:
    """The threads of a process: number to name."""
    found = {}
    with contextlib.suppress(OSError):
        for entry in Path(f"/proc/{pid}/task").iterdir():
            found[int(entry.name)] = (entry / "comm").read_text().strip()
    return found


async def all_told() -> None:
    """Wait until each process that has begun has told its part, but not for ever: one may have died."""
    ends = time.monotonic() + NOTICE_S
    while (counts := _sampler.progress())[1] < counts[0] and time.monotonic() < ends:
        await asyncio.sleep(0.01)


def collected(processes: Mapping[int, str], threads: Mapping[int, str]) -> list[Sample]:
    """What all processes have told. What one has not finished is left out."""
    found = []
    for line in _sampler.told().split(b"\n"):
        with contextlib.suppress(ValueError):
            pid, count, python, native = json.loads(line)
            frames = tuple((str(name), str(file), int(first), int(at)) for name, file, first, at in python)
            found.append(Sample(processes.get(pid, str(pid)), "main", frames, tuple(native), count))
    for (pid, tid, native), count in Counter(_sampler.samples()).items():
        found.append(Sample(processes.get(pid, str(pid)), threads.get(tid, str(tid)), (), native, count))
    return found
