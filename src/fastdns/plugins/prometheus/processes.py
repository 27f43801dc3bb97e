"""What the server's processes use, from /proc (proc(5)): together as process_*, and one by one.

Nothing is asked of the processes themselves: what a busy or a hanging one uses is told all the same.
"""

from __future__ import annotations

import contextlib
import os
import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from fastdns.plugins.api import SupervisorView

STARTED_AT = time.time()
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
# Of which the proportional memory is asked in a scrape.
PROPORTIONAL_PROCESSES = 64
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Usage:
    """What one process uses. reaped_s: CPU time of its own children that have ended, and of theirs."""

    user_s: float
    system_s: float
    reaped_s: float
    minor_faults: int
    major_faults: int
    threads: int
    virtual_bytes: int
    resident_bytes: int
    open_fds: int


def usage_of(pid: int) -> Usage | None:
    """None where there is no such process any more. One that has ended and is not reaped has its CPU time only."""
    process = Path(f"/proc/{pid}")
    try:
        fields = (process / "stat").read_text().rpartition(")")[2].split()
        numbers = [int(field) for field in fields[1:22]]
    except (OSError, ValueError):
        return None
    if len(numbers) < 21:
        return None
    open_fds = 0
    with contextlib.suppress(OSError):
        open_fds = sum(1 for _ in (process / "fd").iterdir())
    return Usage(
        user_s=numbers[10] / TICKS_PER_S,
        system_s=numbers[11] / TICKS_PER_S,
        reaped_s=(numbers[12] + numbers[13]) / TICKS_PER_S,
        minor_faults=numbers[6],
        major_faults=numbers[8],
        threads=numbers[16],
        virtual_bytes=numbers[19],
        resident_bytes=numbers[20] * PAGE_BYTES,
        open_fds=open_fds,
    )


def waited_s(pid: int) -> float | None:
    """How long the threads of a process were ready to run and had no CPU. None where the kernel does not tell."""
    total_ns = 0
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            total_ns += int((task / "schedstat").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return total_ns / 1e9


def proportional_bytes(pid: int) -> int | None:
    """Memory of a process, of pages that it shares its part only. None where the kernel does not tell."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return None


def renderer_share_bytes(server: SupervisorView) -> int:
    """Of pages that this process shares with others: its part.

    It is there only to render metrics. Without it these bytes would be in the parts of the others.
    """
    if os.getpid() == server.pid:
        return 0
    share = 0
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                share += int(line.split()[1]) * 1024
            elif line.startswith(("Private_Clean:", "Private_Dirty:")):
                share -= int(line.split()[1]) * 1024
    return max(0, share)


def memory_together(server: SupervisorView, found: dict[int, Usage]) -> int:
    """The memory of these processes in bytes, each shared page counted once, as their control group counts it.

    For this figure the kernel walks the page tables of a process. It is therefore asked for at most 64 processes;
    every other process counts as their mean. If the kernel has no such figure, shared pages count in each process.
    """
    asked = list(found)[:PROPORTIONAL_PROCESSES]
    shares = [share for share in map(proportional_bytes, asked) if share is not None]
    if not shares:
        return sum(usage.resident_bytes for usage in found.values())
    # The first process is the supervisor; its memory says nothing about the others.
    likes = shares[1:] or shares
    return sum(shares) + (len(found) - len(asked)) * sum(likes) // len(likes) + renderer_share_bytes(server)


def processes_together(server: SupervisorView) -> Iterator[Metric]:
    """process_*: the supervisor and its children as if they were one process, as CoreDNS is."""
    pids = [server.pid, *(child.pid for child in server.children.values() if child.pid is not None)]
    usages = {pid: usage for pid in pids if (usage := usage_of(pid)) is not None}
    found = list(usages.values())
    # Includes children that have ended, so that the counter never falls.
    cpu_s = sum(one.user_s + one.system_s + one.reaped_s for one in found)
    yield CounterMetricFamily("process_cpu_seconds", "Total user and system CPU time spent in seconds.", cpu_s)
    for name, documentation, value in (
        ("resident_memory_bytes", "Resident memory size in bytes.", memory_together(server, usages)),
        ("virtual_memory_bytes", "Virtual memory size in bytes.", sum(one.virtual_bytes for one in found)),
        ("open_fds", "Number of open file descriptors.", sum(one.open_fds for one in found)),
        ("max_fds", "Maximum number of open file descriptors.", resource.getrlimit(resource.RLIMIT_NOFILE)[0]),
        ("start_time_seconds", "Start time of the process since unix epoch in seconds.", STARTED_AT),
    ):
        yield GaugeMetricFamily(f"process_{name}", documentation, value)


def process_names(server: SupervisorView) -> dict[str, int]:
    """Process ids by title. While two generations serve, a title stands for the newer process."""
    names = {"supervisor": server.pid}
    for child in sorted(server.children.values(), key=lambda child: child.generation):
        if child.pid is not None:
            names["watcher" if child.role == "watcher" else f"worker {child.index + 1}"] = child.pid
    return names


def each_process(server: SupervisorView) -> Iterator[Metric]:
    """fastdns_process_*, with runtime_metrics: a sample for each process."""
    label = ("process",)
    cpu = CounterMetricFamily(
        "fastdns_process_cpu_seconds",
        "CPU time of the process in seconds, by mode (user, system).",
        labels=(*label, "mode"),
    )
    waited = CounterMetricFamily(
        "fastdns_process_run_queue_seconds",
        "Time in seconds that threads of the process were ready to run and waited for a CPU.",
        labels=label,
    )
    faults = CounterMetricFamily(
        "fastdns_process_page_faults", "Number of page faults of the process, by kind.", labels=(*label, "kind")
    )
    resident = GaugeMetricFamily(
        "fastdns_process_resident_memory_bytes",
        "Resident memory of the process in bytes, with all shared pages.",
        labels=label,
    )
    proportional = GaugeMetricFamily(
        "fastdns_process_proportional_memory_bytes",
        "Resident memory of the process in bytes, with its part of shared pages.",
        labels=label,
    )  # fmt: skip
    threads = GaugeMetricFamily("fastdns_process_threads", "Number of threads of the process.", labels=label)
    open_fds = GaugeMetricFamily(
        "fastdns_process_open_fds", "Number of open file descriptors of the process.", labels=label
    )
    share_bytes = {"supervisor": renderer_share_bytes(server)}
    for name, pid in process_names(server).items():
        usage = usage_of(pid)
        if usage is None:
            continue
        part_bytes = proportional_bytes(pid)
        if part_bytes is not None:
            proportional.add_metric((name,), part_bytes + share_bytes.get(name, 0))
        cpu.add_metric((name, "user"), usage.user_s)
        cpu.add_metric((name, "system"), usage.system_s)
        faults.add_metric((name, "minor"), usage.minor_faults)
        faults.add_metric((name, "major"), usage.major_faults)
        resident.add_metric((name,), usage.resident_bytes)
        threads.add_metric((name,), usage.threads)
        open_fds.add_metric((name,), usage.open_fds)
        run_queue_s = waited_s(pid)
        if run_queue_s is not None:
            waited.add_metric((name,), run_queue_s)
    yield from (cpu, waited, faults, resident, proportional, threads, open_fds)
