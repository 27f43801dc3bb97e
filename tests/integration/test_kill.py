"""Any process may be killed or paused at any time: its place is taken, and what ends leaves nothing."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from fastdns.process.plan import HANG_S
from tests.support import Server, alive, children, wait_until

# "Its place is taken within 1 s" holds on an idle machine; tests may share theirs.
REPLACED_S = 5.0


def test_a_pause_of_everybody_ends_nobody(tmp_path: Path) -> None:
    """A container that is paused, and goes on: nobody hung, although nobody beat."""
    with Server(tmp_path) as server:
        time.sleep(0.5)
        family = [server.process.pid, *children(server.process.pid)]
        for pid in family:
            os.kill(pid, signal.SIGSTOP)
        # Longer than a worker may be silent.
        time.sleep(HANG_S["worker"] + 0.5)
        for pid in family:
            os.kill(pid, signal.SIGCONT)
        time.sleep(1)
        assert [server.process.pid, *children(server.process.pid)] == family
        assert server.addresses() == ["10.96.0.20"]
        assert "is killed" not in server.log


def test_the_end_of_the_supervisor_ends_all(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        family = list(children(server.process.pid))
        assert len(family) == 3
        server.process.kill()
        server.process.wait()
        wait_until(lambda: not any(map(alive, family)), 5)


@pytest.mark.parametrize("which", ["worker", "watcher"])
def test_what_dies_again_and_again_is_retried_more_slowly(tmp_path: Path, which: str) -> None:
    with Server(tmp_path) as server:
        seen: set[int] = set()
        for _ in range(4):
            wait_until(
                lambda: (found := server.pids()).watcher is not None and len(found.workers) == 2, 10, "all are back"
            )
            pids = server.pids()
            pid = pids.workers["worker 1"] if which == "worker" else pids.watcher
            assert pid is not None and pid not in seen
            seen.add(pid)
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda pid=pid: not alive(pid))
        server.wait_for_log("has died", count=4)
        assert "starting another in 0.4 s" in server.log
        assert server.addresses(tcp=False) == ["10.96.0.20"]


def test_a_signal_without_a_name(tmp_path: Path) -> None:
    """A worker that a signal of real time had ended was never replaced."""
    with Server(tmp_path) as server:
        killed = server.pids().workers["worker 1"]
        os.kill(killed, signal.SIGRTMIN + 3)
        wait_until(lambda: server.pids().workers.get("worker 1") not in (None, killed), REPLACED_S)
        server.wait_for_log(f"worker 1 (pid {killed}) has died: killed by signal {signal.SIGRTMIN + 3}")


def test_a_worker_killed_while_it_drains(tmp_path: Path) -> None:
    """A reload goes on when a process of the old generation dies on the way out."""
    with Server(tmp_path) as server:
        for turn in range(1, 4):
            old = server.pids().workers
            server.send_signal(signal.SIGUSR1)
            wait_until(lambda old=old: set(server.pids().workers.values()) - set(old.values()), 10)
            for pid in old.values():
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            server.wait_for_log("Reloading complete", count=turn)
            wait_until(lambda: len(server.pids().workers) == 2)
            assert server.addresses() == ["10.96.0.20"]
