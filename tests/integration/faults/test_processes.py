"""Processes that die, hang, and are replaced."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.faults.load import KnownAnswers, address_of, name_of
from tests.integration.faults.support import NAMES, RATE, SLACK, chance, seconds, server, tell
from tests.support import COREFILE, Server, alive, children, occupied, wait_until

REPLACED_S = 1.0 * SLACK
# Of 20,000 queries that go on for 4 s around a kill.
LOST_A_KILL = 100 * SLACK


def pid_of(fastdns: Server, role: str) -> int | None:
    """The process of a role now."""
    pids = fastdns.pids()
    return pids.watcher if role == "watcher" else pids.workers.get(role)


def kill(fastdns: Server, role: str) -> float:
    """kill -9, and wait until its place is taken. Returns how long that took, in seconds."""
    pid = pid_of(fastdns, role)
    assert pid is not None
    begun = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: pid_of(fastdns, role) not in (None, pid), 10, f"another {role}")
    return time.monotonic() - begun


def test_kills(tmp_path: Path) -> None:
    """Each process in turn, then at random: what was in its socket's queue may be lost, and nothing else."""
    choose = chance("kills")
    roles = ["worker 1", "worker 2", "watcher"]
    killed_at_s: list[float] = []
    with server(tmp_path) as fastdns, KnownAnswers(fastdns.port, RATE, NAMES) as load:
        ends_s = time.monotonic() + seconds(4.0)
        order = list(roles)
        while order or time.monotonic() < ends_s:
            time.sleep(choose.uniform(0.3, 1.0))
            killed_at_s.append(time.monotonic())
            assert kill(fastdns, order.pop(0) if order else choose.choice(roles)) < REPLACED_S
        time.sleep(1.5)
        assert fastdns.http("/ready") == (200, "OK")
        assert fastdns.total("fastdns_child_deaths_total") == len(killed_at_s)
    report = load.report
    tell(report, f"{len(killed_at_s)} kills", report.healed_after(killed_at_s[-1]))
    assert report.wrong == 0
    assert report.lost <= LOST_A_KILL * len(killed_at_s)
    assert report.healed_after(killed_at_s[-1]) < REPLACED_S
    assert report.answered > 0.9 * report.sent


def test_a_worker_that_hangs(tmp_path: Path) -> None:
    """SIGSTOP: the kernel goes on to give it its share, until the silence of its heartbeat is noticed."""
    with server(tmp_path) as fastdns, KnownAnswers(fastdns.port, RATE, NAMES) as load:
        time.sleep(1.5)
        stopped = fastdns.pids().workers["worker 1"]
        at_s = time.monotonic()
        os.kill(stopped, signal.SIGSTOP)
        wait_until(lambda: fastdns.pids().workers.get("worker 1") not in (None, stopped), 20)
        noticed_s = time.monotonic() - at_s
        time.sleep(1.0)
    report = load.report
    tell(report, f"SIGSTOP, noticed after {noticed_s:.1f} s", report.healed_after(at_s))
    assert noticed_s < 5.0 * SLACK
    assert report.wrong == 0
    # Its share of what was sent until then; ports are not spread evenly.
    assert report.lost < 0.8 * RATE * noticed_s
    assert report.healed_after(at_s) < noticed_s + REPLACED_S


BROKEN: list[Callable[[str], str]] = [
    lambda text: text + "}",
    lambda text: text.replace("errors", "errs"),
    lambda text: text.replace("    kubernetes", "    loadbalance nonsense\n    kubernetes"),
    lambda text: text[: len(text) // 2],
    lambda text: text.replace("127.0.0.1:METRICS_PORT", "192.0.2.1:METRICS_PORT"),
]
WHOLE: list[Callable[[str], str]] = [
    lambda text: text,
    lambda text: text.replace("    errors\n", "    errors\n    loadbalance\n"),
    lambda text: text.replace("    errors\n", "    errors\n    cache 30\n    log\n"),
    lambda text: text.replace("    errors\n", "    errors\n    multisocket 3\n"),
    lambda text: text + "other.example:OTHER_PORT {\n    bind 127.0.0.1\n    whoami\n}\n",
]


def test_reloads(tmp_path: Path) -> None:
    """Once a second, in turn a Corefile that can be served and one that cannot: nothing is lost."""
    choose = chance("reloads")
    with server(tmp_path) as fastdns, KnownAnswers(fastdns.port, RATE, NAMES) as load:
        ends_s = time.monotonic() + seconds(5.0)
        reloaded = refused = 0
        while time.monotonic() < ends_s or not refused or not reloaded:
            time.sleep(choose.uniform(0.2, 0.8))
            if choose.random() < 0.5:
                fastdns.write_corefile(choose.choice(BROKEN)(COREFILE))
                refused += 1
                fastdns.send_signal(signal.SIGUSR1)
                fastdns.wait_for_log("Restart failed: ", 20, refused)
            else:
                fastdns.write_corefile(choose.choice(WHOLE)(COREFILE))
                reloaded += 1
                fastdns.reload(reloaded)
    report = load.report
    tell(report, f"{reloaded} reloads and {refused} that were refused")
    assert report.wrong == 0
    assert report.lost == 0


def test_the_supervisor_is_killed(tmp_path: Path) -> None:
    """All go with it, their sockets are free, and the next one serves on the same ports."""
    with server(tmp_path) as fastdns:
        family = list(children(fastdns.process.pid))
        begun_s = time.monotonic()
        fastdns.process.kill()
        fastdns.process.wait()
        wait_until(lambda: not any(map(alive, family)), 10)
        assert time.monotonic() - begun_s < REPLACED_S
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            with occupied(kind, port=fastdns.port):
                pass
        fastdns.__enter__()
        assert fastdns.addresses(name_of(7)) == [address_of(7)]
        assert fastdns.addresses(name_of(7), tcp=True) == [address_of(7)]


@pytest.mark.parametrize("again", [False, True], ids=["once", "twice"])
def test_sigterm_under_load(tmp_path: Path, again: bool) -> None:
    """Lameduck: not ready any more, and every query is answered until the end. A second signal does not wait."""
    corefile = COREFILE.replace("health 127.0.0.1:HEALTH_PORT", "health 127.0.0.1:HEALTH_PORT { lameduck 2s }")
    corefile = corefile.replace("{ lameduck 2s }", "{\n        lameduck 2s\n    }")
    with server(tmp_path, corefile) as fastdns, KnownAnswers(fastdns.port, RATE, NAMES) as load:
        time.sleep(0.5)
        at_s = time.monotonic()
        fastdns.send_signal(signal.SIGTERM)
        if again:
            time.sleep(0.3)
            fastdns.send_signal(signal.SIGTERM)
        else:
            wait_until(lambda: fastdns.http("/ready")[0] == 503, 1.5)
        code = fastdns.process.wait(20)
        ended_s = time.monotonic()
    report = load.report
    tell(report, f"SIGTERM, ended after {ended_s - at_s:.1f} s")
    assert report.wrong == 0
    assert report.lost_between(0, at_s + (0.2 if again else 1.9)) == 0
    assert code == 0
    assert (ended_s - at_s < 1.8) == again
