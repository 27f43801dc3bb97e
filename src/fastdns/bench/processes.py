"""Processes that are measured: started on given CPUs; their CPU time and memory; ended by their id."""

from __future__ import annotations

import contextlib
import os
import platform
import random
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastdns.children import die_with_parent

PROC = Path("/proc")


def free_port() -> int:
    """A port that is free now for UDP and TCP on the loopback, outside the range that clients' ports come from."""
    while True:
        port = random.randrange(10000, 20000)
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
            socket.socket() as tcp,
        ):
            udp.bind(("127.0.0.1", port))
            tcp.bind(("127.0.0.1", port))
            return port


def tree(pid: int) -> list[int]:
    """A process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError):
                # The name in parentheses may contain anything; the parent is the second field behind it.
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    found = [pid]
    for known in found:
        found += children.get(known, [])
    return found


def wait_until_ended(pids: Sequence[int], timeout_s: float) -> None:
    """Wait until none of the processes runs. Raises TimeoutError with those that still do."""
    end = time.monotonic() + timeout_s
    left = list(pids)
    while left := [pid for pid in left if _runs(pid)]:
        if time.monotonic() > end:
            raise TimeoutError(f"processes {left} have not ended within {timeout_s:g} s")
        time.sleep(0.01)


def _runs(pid: int) -> bool:
    try:
        state = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def cpu_ns(pid: int) -> int:
    """User and system time of a process and its descendants so far, from the scheduler, in nanoseconds.

    The time of threads and processes that have ended is not included: measure servers in a steady state.
    """
    total = 0
    for member in tree(pid):
        for task in (PROC / str(member) / "task").glob("[0-9]*"):
            with contextlib.suppress(OSError, ValueError):
                total += int((task / "schedstat").read_text().split()[0])
    return total


def pin(pid: int, cpus: set[int]) -> None:
    """Put every thread of a process and its descendants on these CPUs.

    For servers that choose CPUs for their threads themselves: Knot puts its first UDP worker on the first CPU.
    """
    for member in tree(pid):
        for task in (PROC / str(member) / "task").glob("[0-9]*"):
            with contextlib.suppress(ProcessLookupError):
                os.sched_setaffinity(int(task.name), cpus)


def busy_s(stat: str, cpus: set[int]) -> float:
    """Seconds for which these CPUs have been busy or stolen since boot, from the text of /proc/stat."""
    ticks = 0
    for line in stat.splitlines():
        name, *fields = line.split()
        if name.startswith("cpu") and name[3:].isdigit() and int(name[3:]) in cpus:
            user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields[:8])
            ticks += user + nice + system + irq + softirq + steal
    return ticks / os.sysconf("SC_CLK_TCK")


class OtherWork:
    """How busy these CPUs were with other processes since the object was made; this process's tree is ours."""

    def __init__(self, cpus: set[int]) -> None:
        self._cpus = cpus
        self._begin = self._look()

    def _look(self) -> tuple[float, float, float]:
        return time.monotonic(), busy_s((PROC / "stat").read_text(), self._cpus), cpu_ns(os.getpid()) / 1e9

    def percent(self) -> float:
        """Percent of the time of all these CPUs. Stolen time counts as other work."""
        took, busy, ours = (now - then for now, then in zip(self._look(), self._begin, strict=True))
        return round(100 * max(0.0, busy - ours) / (took * len(self._cpus)), 1) if took > 0 else 0.0


def pss_kib(pid: int) -> dict[int, int]:
    """Proportional set size of a process and its descendants, by process id, in KiB."""
    sizes = {}
    for member in tree(pid):
        with contextlib.suppress(OSError):
            for line in (PROC / str(member) / "smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    sizes[member] = int(line.split()[1])
    return sizes


def name_of(pid: int) -> str:
    """The title of a process."""
    with contextlib.suppress(OSError):
        words = (PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
        return b" ".join(word for word in words if word).decode(errors="replace")
    return ""


class Child:
    """A server in processes of its own, on the given CPUs; a context manager that ends it."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        cpus: set[int] | None = None,
        log: Path,
        environ: dict[str, str] | None = None,
    ) -> None:
        parent = os.getpid()

        def prepare() -> None:
            die_with_parent(parent, signal.SIGTERM)
            if cpus is not None:
                os.sched_setaffinity(0, cpus)

        self.log = log
        with log.open("wb") as out:
            self._child = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environ or {})},
                preexec_fn=prepare,
            )

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *error: object) -> None:
        self._child.send_signal(signal.SIGTERM)
        try:
            self._child.wait(10)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()

    @property
    def pid(self) -> int:
        return self._child.pid

    def check(self) -> None:
        """Raises RuntimeError with the end of its log if it has ended."""
        if self._child.poll() is not None:
            tail = self.log.read_text(errors="replace")[-2000:]
            raise RuntimeError(f"{self._child.args!r} ended with {self._child.returncode}:\n{tail}")


def machine() -> dict[str, Any]:
    """The properties of this machine that figures depend on."""
    model = ""
    with contextlib.suppress(OSError):
        for line in (PROC / "cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    return {
        "cpus": os.cpu_count(),
        "model": model,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load": [round(value, 2) for value in os.getloadavg()],
    }
