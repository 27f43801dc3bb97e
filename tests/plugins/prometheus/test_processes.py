"""What processes use: against what the system says elsewhere, and what is left when they end."""

from __future__ import annotations

import os
import resource
import signal
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from fastdns.plugins.api import SupervisorView
from fastdns.plugins.prometheus import processes
from fastdns.plugins.prometheus.processes import (
    each_process,
    process_names,
    processes_together,
    proportional_bytes,
    usage_of,
    waited_s,
)
from fastdns.process.plan import Child
from tests.support import open_fds, wait_until

BURNT_S = 0.3


def server(*children: Child) -> SupervisorView:
    """A server with these processes."""
    return cast(SupervisorView, SimpleNamespace(pid=os.getpid(), children=dict(enumerate(children))))


def value(families: Iterator[Any], name: str) -> float:
    """The one sample of a family."""
    (found,) = [sample.value for family in families for sample in family.samples if sample.name == name]
    return float(found)


@pytest.fixture
def fork() -> Iterator[Callable[[], int]]:
    """Makes children that take some CPU time and then sleep."""
    pids = []

    def forked() -> int:
        pid = os.fork()
        if not pid:
            while time.process_time() < BURNT_S:
                pass
            signal.pause()
            os._exit(0)
        pids.append(pid)
        wait_until(lambda: (found := usage_of(pid)) and found.user_s + found.system_s >= BURNT_S - 0.05)
        return pid

    yield forked
    for pid in pids:
        if usage_of(pid) is not None:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def test_usage_of_this_process() -> None:
    usage = usage_of(os.getpid())
    assert usage is not None and usage.open_fds == open_fds()
    spent = resource.getrusage(resource.RUSAGE_SELF)
    assert usage.user_s == pytest.approx(spent.ru_utime, abs=0.1)
    assert usage.system_s == pytest.approx(spent.ru_stime, abs=0.1)
    assert usage.minor_faults == pytest.approx(spent.ru_minflt, rel=0.1)
    assert usage.threads >= 1
    assert usage.virtual_bytes > usage.resident_bytes > 10e6
    proportional = proportional_bytes(os.getpid())
    assert proportional is None or 5e6 < proportional < 1.1 * usage.resident_bytes


def test_a_process_that_is_gone() -> None:
    pid = os.fork()
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)
    assert usage_of(pid) is None
    assert waited_s(pid) is None and proportional_bytes(pid) is None


def test_the_cpu_time_of_all_outlives_the_processes(fork: Callable[[], int]) -> None:
    """It fell when a worker ended, which Prometheus takes for a restart of the server."""
    pid = fork()
    child = Child("worker", 0, 1, pid=pid)
    before = value(processes_together(server(child)), "process_cpu_seconds_total")
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT))
    unreaped = value(processes_together(server(child)), "process_cpu_seconds_total")
    os.waitpid(pid, 0)
    after = value(processes_together(server()), "process_cpu_seconds_total")
    # The clock of /proc has steps of 10 ms for each of the figures that are added.
    assert before - 0.05 <= unreaped <= after + 0.05
    assert after < before + 0.25


def test_memory_that_processes_share_counts_once(fork: Callable[[], int]) -> None:
    """The sum of what each has resident was shown: 127 MiB where the control group counted 71."""
    shared = bytearray(os.urandom(1 << 20)) * 64
    children = [Child("worker", index, 1, pid=fork()) for index in range(3)]
    together = value(processes_together(server(*children)), "process_resident_memory_bytes")
    own = usage_of(os.getpid())
    assert own is not None and own.resident_bytes > len(shared)
    assert len(shared) < together < 1.5 * own.resident_bytes


def test_the_kernel_is_asked_for_the_memory_of_a_bounded_number_of_processes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []

    def share(pid: int) -> int:
        asked.append(pid)
        return 10 if len(asked) > 1 else 1000

    usage = usage_of(os.getpid())
    assert usage is not None
    monkeypatch.setattr(processes, "usage_of", lambda pid: usage)
    monkeypatch.setattr(processes, "proportional_bytes", share)
    # No process has such a number, nor has this one (proc(5), pid_max).
    children = [Child("worker", index, 1, pid=(1 << 22) + index) for index in range(1024)]
    together = value(processes_together(server(*children)), "process_resident_memory_bytes")
    assert len(asked) == 64
    assert together == 1000 + 1024 * 10


def test_memory_of_processes_whose_part_the_kernel_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "proportional_bytes", lambda pid: None)
    own = usage_of(os.getpid())
    together = value(processes_together(server()), "process_resident_memory_bytes")
    assert own is not None and together == pytest.approx(own.resident_bytes, rel=0.1)


def test_each_process_by_its_name(fork: Callable[[], int]) -> None:
    busy = Child("worker", 0, 1, pid=fork())
    families = list(each_process(server(busy, Child("watcher", 0, 1), Child("worker", 1, 1, pid=None))))
    samples = {
        (sample.name, *sample.labels.values()): sample.value for family in families for sample in family.samples
    }
    assert {labels[0] for _, *labels in samples} == {"supervisor", "worker 1"}
    cpu_s = [samples["fastdns_process_cpu_seconds_total", "worker 1", mode] for mode in ("user", "system")]
    assert BURNT_S - 0.05 <= sum(cpu_s) < BURNT_S + 1
    assert samples["fastdns_process_threads", "worker 1"] == 1
    for name in ("resident_memory_bytes", "open_fds"):
        assert samples[f"fastdns_process_{name}", "worker 1"] > 0
    assert samples["fastdns_process_page_faults_total", "worker 1", "minor"] > 0


def test_two_generations_at_a_time_have_one_series() -> None:
    """Prometheus refuses all of a scrape that has a series twice."""
    children = [
        Child("worker", 0, 3, pid=30),
        Child("worker", 0, 2, pid=20),
        Child("worker", 1, 2, pid=21),
        Child("worker", 1, 3, pid=None),
        Child("watcher", 0, 3, pid=31),
    ]
    assert process_names(server(*children)) == {
        "supervisor": os.getpid(), "worker 1": 30, "worker 2": 21, "watcher": 31,
    }  # fmt: skip


def test_what_proc_says_of_a_process_that_is_just_going(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scrape is not to fail for one process whose files are empty already."""
    monkeypatch.setattr(processes.Path, "read_text", lambda _: "")
    assert usage_of(os.getpid()) is None
    assert waited_s(os.getpid()) is None
    assert proportional_bytes(os.getpid()) is None
    monkeypatch.setattr(processes.Path, "read_text", lambda _: "Pss: many kB")
    assert proportional_bytes(os.getpid()) is None
