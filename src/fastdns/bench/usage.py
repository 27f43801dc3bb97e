"""CPU and memory of a server's processes during a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fastdns.bench import processes
from fastdns.bench.errors import BenchError


@dataclass(frozen=True, slots=True)
class Usage:
    """A process and its descendants: user and system time during the run, and memory after it."""

    cpu_ns: int
    pss_kib: int
    processes: int

    def us_per_answer(self, answered: int) -> float:
        """CPU microseconds for each answered query."""
        return self.cpu_ns / 1000 / max(1, answered)


class Meter:
    """Begins to measure. Raises BenchError if there is no such process."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._check()
        self._begin_ns = processes.cpu_ns(pid)

    def _check(self) -> None:
        if not (Path("/proc") / str(self._pid)).exists():
            raise BenchError(f"--pid {self._pid}: there is no such process")

    def read(self) -> Usage:
        """The usage until now. Raises BenchError if the process has ended."""
        used = processes.cpu_ns(self._pid) - self._begin_ns
        self._check()
        sizes = processes.pss_kib(self._pid)
        return Usage(max(0, used), sum(sizes.values()), len(processes.tree(self._pid)))
