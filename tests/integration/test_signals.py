"""Signals end or reload the server as they do CoreDNS."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.support import COREFILE, Server, alive, children, wait_until

LAMEDUCK = COREFILE.replace(
    "health 127.0.0.1:HEALTH_PORT", "health 127.0.0.1:HEALTH_PORT {\n        lameduck 2s\n    }"
)


def test_sigterm_serves_on_through_lameduck_and_exits_0(tmp_path: Path) -> None:
    with Server(tmp_path, LAMEDUCK) as server:
        wait_until(lambda: server.http("/ready") == (200, "OK"))
        family = list(children(server.process.pid))
        begun = time.monotonic()
        server.send_signal(signal.SIGTERM)
        wait_until(lambda: server.http("/ready")[0] == 503)
        assert server.http("/ready") == (503, "shutting down")
        assert server.http("/health") == (200, "OK")
        assert server.http("/metrics")[0] == 200
        assert server.addresses() == ["10.96.0.20"]
        assert server.addresses(tcp=True) == ["10.96.0.20"]
        assert server.process.poll() is None
        assert server.process.wait(10) == 0
        assert time.monotonic() - begun >= 2
        assert not any(map(alive, family))
        assert "[INFO] SIGTERM: Shutting down servers then terminating" in server.log
        assert "[INFO] plugin/health: Going into lameduck mode for 2s" in server.log
        assert "[ERROR]" not in server.log


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGTERM, 0), (signal.SIGINT, 0), (signal.SIGQUIT, 0)],
    ids=lambda value: value.name if isinstance(value, signal.Signals) else str(value),
)
def test_ends_at_once_without_lameduck(tmp_path: Path, number: signal.Signals, code: int) -> None:
    with Server(tmp_path) as server:
        family = list(children(server.process.pid))
        begun = time.monotonic()
        assert server.stop(number) == code
        assert time.monotonic() - begun < 4
        wait_until(lambda: not any(map(alive, family)), 2)


def test_a_second_sigint_ends_it_with_2(tmp_path: Path) -> None:
    with Server(tmp_path, LAMEDUCK.replace("2s", "30s")) as server:
        server.send_signal(signal.SIGINT)
        server.wait_for_log("lameduck mode for 30s")
        assert server.stop(signal.SIGINT, 5) == 2


def test_sigquit_does_not_wait_for_lameduck(tmp_path: Path) -> None:
    with Server(tmp_path, LAMEDUCK.replace("2s", "30s")) as server:
        assert server.stop(signal.SIGQUIT, 5) == 0
    with Server(tmp_path, LAMEDUCK.replace("2s", "30s")) as server:
        server.send_signal(signal.SIGTERM)
        server.wait_for_log("lameduck mode for 30s")
        assert server.stop(signal.SIGQUIT, 5) == 0


def test_sighup_is_ignored_and_sigusr1_reloads(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        before = server.pids()
        server.send_signal(signal.SIGHUP)
        server.reload()
        after = server.pids()
        assert after.supervisor == before.supervisor and after.watcher == before.watcher
        assert len(after.workers) == 2
        assert not set(before.workers.values()) & set(after.workers.values())
        assert server.addresses() == ["10.96.0.20"]
        assert server.log.count("Reloading complete") == 1


def test_children_leave_signals_of_the_group_to_the_supervisor(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        workers = server.pids().workers
        for pid in [*workers.values(), server.pids().watcher]:
            assert pid is not None
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGQUIT):
                os.kill(pid, number)
        assert server.addresses() == ["10.96.0.20"]
        assert server.pids().workers == workers


def test_sigterm_while_it_waits_for_its_source(tmp_path: Path) -> None:
    """The first listing may never come; the end need not wait for startup_timeout."""
    waiting = COREFILE.replace('manifests "MANIFESTS"', 'manifests "absent.yaml"\n        startup_timeout 60s')
    with Server(tmp_path, waiting, wait=False) as server:
        server.wait_for_log("waiting for Kubernetes API before starting server")
        assert server.stop(signal.SIGTERM, 5) == 0
