"""The memory of a server's processes: the most that was seen, and what they have when they are steady."""

from __future__ import annotations

import threading
import time

from fastdns.bench import processes

SAMPLE_PSS_S = 0.05


class Memory(threading.Thread):
    """Samples the memory of a process tree and keeps the largest sample; a context manager."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self._ended = threading.Event()
        self.peak: dict[int, int] = {}
        self.looks = 0

    def run(self) -> None:
        while not self._ended.wait(SAMPLE_PSS_S):
            seen = processes.pss_kib(self._pid)
            self.looks += 1
            if sum(seen.values()) > sum(self.peak.values()):
                self.peak = seen

    def __enter__(self) -> Memory:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self.join()


def memory_mib(sizes: dict[int, int]) -> dict[str, float]:
    """The sum of proportional set sizes, and each process's size by name, in MiB. sizes: KiB by process id."""
    named: dict[str, float] = {"all": round(sum(sizes.values()) / 1024, 1)}
    for pid, kib in sorted(sizes.items()):
        name = processes.name_of(pid) or "ended since"
        if name != "ended since":
            name = name.removeprefix("fastdns: ") if name.startswith("fastdns: ") else "server"
        named[name] = round(named.get(name, 0.0) + kib / 1024, 1)
    return named


def steady(pid: int) -> dict[str, float]:
    """The median of five samples, a fifth of a second apart."""
    looks = []
    for _ in range(5):
        looks.append(processes.pss_kib(pid))
        time.sleep(0.2)
    return memory_mib(sorted(looks, key=lambda sizes: sum(sizes.values()))[len(looks) // 2])
