"""Processes that die, hang, and are replaced."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.integration.faults.corefiles import BROKEN, WHOLE
from tests.integration.faults.load import KnownAnswers
from tests.integration.faults.support import NAMES, RATE, SLACK, chance, seconds, server, tell
from tests.support import COREFILE, Server, children, service, wait_until, zombies

pytestmark = pytest.mark.alone

REPLACED_S = 1.0 * SLACK
# Of 20,000 queries that go on for 4 s around a kill of a worker. The watcher's death loses none.
LOST_A_KILL = 100 * SLACK
# How long before its death a worker may have read what goes with it.
UNANSWERED_S = 0.1 * SLACK


def pid_of(fastdns: Server, role: str) -> int | None:
    """The process of a role now."""
    pids = fastdns.pids()
    return pids.watcher if role == "watcher" else pids.workers.get(role)


def around(killed_at_s: Iterable[float]) -> list[tuple[float, float]]:
    """When queries were sent that kills of workers may lose: only these."""
    return [(at_s - UNANSWERED_S, at_s + REPLACED_S) for at_s in killed_at_s]


def kill(fastdns: Server, role: str) -> float:
    """kill -9, and wait until its place is taken. Returns how long that took, in seconds."""
    pid = pid_of(fastdns, role)
    assert pid is not None
    begun = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: pid_of(fastdns, role) not in (None, pid), 10, f"another {role}")
    return time.monotonic() - begun


def test_kills(tmp_path: Path) -> None:
    """Each process in turn, then at random: what a worker had read may be lost, and nothing else.

    The watcher first, alone for a while: near the death of a worker its losses would not be seen as its own.
    """
    choose = chance("kills")
    roles = ["watcher", "worker 1", "worker 2"]
    kills: list[tuple[str, float]] = []
    with server(tmp_path) as fastdns, KnownAnswers(fastdns.port, RATE, NAMES) as load:
        ends_s = time.monotonic() + seconds(4.0)
        order = list(roles)
        while order or time.monotonic() < ends_s:
            alone_s = UNANSWERED_S if order == roles[1:] else 0.0
            time.sleep(alone_s + choose.uniform(0.3, 1.0))
            role = order.pop(0) if order else choose.choice(roles)
            kills.append((role, time.monotonic()))
            assert kill(fastdns, role) < REPLACED_S
        time.sleep(1.5)
        assert fastdns.http("/ready") == (200, "OK")
        assert fastdns.total("fastdns_child_deaths_total") == len(kills)
    report = load.report
    last_s = kills[-1][1]
    tell(report, f"{len(kills)} kills", report.healed_after(last_s))
    of_workers_s = [at_s for role, at_s in kills if role != "watcher"]
    assert report.wrong == 0
    assert report.lost_outside(around(of_workers_s)) == []
    assert report.lost <= LOST_A_KILL * len(of_workers_s)
    assert report.healed_after(last_s) < REPLACED_S
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


def test_deaths_in_the_middle_of_a_reload(tmp_path: Path) -> None:
    """Of the watcher, of workers that come, and of those that go: it completes, and all places are taken."""
    choose = chance("deaths in reloads")
    with server(tmp_path) as fastdns, KnownAnswers(fastdns.port, RATE, NAMES) as load:
        ends_s = time.monotonic() + seconds(4.0)
        reloads = kills = 0
        of_workers_s: list[float] = []
        while time.monotonic() < ends_s or reloads < 3:
            before = set(children(fastdns.process.pid))
            fastdns.send_signal(signal.SIGUSR1)
            reloads += 1
            for _ in range(2):
                time.sleep(choose.uniform(0.0, 0.15))
                # Of both generations, as soon as there are two.
                pid, title = choose.choice(list(children(fastdns.process.pid).items()) or [(0, "")])
                if pid and (pid not in before or choose.random() < 0.5):
                    at_s = time.monotonic()
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                        kills += 1
                        # One that has no name yet may be a worker.
                        of_workers_s += [] if title == "fastdns: watcher" else [at_s]
            # Three deaths of one that comes up would be one too many; two are not.
            fastdns.wait_for_log("Reloading complete", 30, reloads)
            wait_until(lambda: len(fastdns.pids().workers) == 2 and fastdns.pids().watcher, 15, "all places taken")
        assert not zombies(fastdns.process.pid)
        fastdns.manifests.write_text(fastdns.manifests.read_text() + service("late", "10.99.0.9"))
        wait_until(lambda: fastdns.addresses("late.shop.svc.cluster.local.") == ["10.99.0.9"])
    tell(load.report, f"{kills} kills in the middle of {reloads} reloads")
    assert load.report.wrong == 0
    assert load.report.lost_outside(around(of_workers_s)) == []
    assert load.report.lost <= LOST_A_KILL * len(of_workers_s)


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
