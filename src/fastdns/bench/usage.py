"""CPU and memory of a server's processes during a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fastdns.bench import processes
from fastdns.bench.errors import BenchError


@dataclass(frozen=True, slots=True)
class Usage:
    """A process and its descendants: user and system time during the run, and memory after it.

    set_up_cpu_ns: user and system time before the run, while its connections were made.
    """

    cpu_ns: int
    pss_kib: int
    processes: int
    set_up_cpu_ns: int = 0

    def us_per_answer(self, answered: int) -> float:
        """CPU microseconds for each answered query."""
        return self.cpu_ns / 1000 / max(1, answered)

    def us_per_connection(self, connections: int) -> float | None:
        """CPU microseconds for each connection that was made before the run; None without any."""
        return self.set_up_cpu_ns / 1000 / connections if connections > 0 else None


class Meter:
    """Begins to measure. Raises BenchError if there is no such process."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._check()
        self._begin_ns = self._start_ns = processes.cpu_ns(pid)

    def _check(self) -> None:
        if not (Path("/proc") / str(self._pid)).exists():
            raise BenchError(f"--pid {self._pid}: there is no such process")

    def start(self) -> None:
        """The connections are made; the run starts."""
        self._start_ns = processes.cpu_ns(self._pid)

    def read(self) -> Usage:
        """The usage until now. Raises BenchError if the process has ended."""
        used = processes.cpu_ns(self._pid) - self._start_ns
        self._check()
        sizes = processes.pss_kib(self._pid)
        before = max(0, self._start_ns - self._begin_ns)
        return Usage(max(0, used), sum(sizes.values()), len(processes.tree(self._pid)), before)
