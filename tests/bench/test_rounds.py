"""What rounds make of their turns: order, ratios, medians, lines; and how busy the CPUs are with other work."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from bench.rounds import Series

from bench import rounds
from bench.servers import Peer
from fastdns.bench import processes
from fastdns.bench.result import Result


def result(answered: int = 1000, *, lost: int = 0, mismatched: int = 0, servfails: int = 0) -> Result:
    rcodes = (answered - servfails, 0, servfails, *[0] * 13)
    return Result(
        sent=answered + lost, answered=answered, lost=lost, mismatched=mismatched, truncated=0, errors=0,
        answer_bytes=50 * answered, elapsed_s=0.5, max_ns=1000, rcodes=rcodes, histogram=((10, answered),),
    )  # fmt: skip


def series(*turns_ns: int, upstream_ns: int | None = None) -> Series:
    made = Series()
    for used_ns in turns_ns:
        made.add(used_ns, result(), upstream_ns)
    return made


def peers(*names: str) -> list[Peer]:
    return [Peer(name, 0, 0, lambda: None) for name in names]


@pytest.mark.parametrize(
    ("number", "expected"),
    [(0, "abc"), (1, "bca"), (2, "cab"), (3, "abc"), (7, "bca")],
    ids=["first round", "from the second on", "from the third on", "around", "and around again"],
)
def test_each_round_begins_with_another_peer(number: int, expected: str) -> None:
    assert [peer.name for peer in rounds.in_turn(peers("a", "b", "c"), number)] == list(expected)


def test_a_turn_is_cpu_by_answers_not_by_queries() -> None:
    made = Series()
    made.add(3_000_000, result(1000, lost=500), 8_000_000)
    assert (made.us, made.upstream_us, made.qps, made.lost) == ([3.0], [8.0], [2000.0], 500)


def test_a_turn_without_an_answer_divides_by_nothing() -> None:
    made = Series()
    made.add(1000, result(0, lost=5))
    assert (made.us, made.lost) == ([1.0], 5)


def test_ratios_are_of_the_same_round() -> None:
    rows = {"fastdns": Series(), "dnsdist": Series()}
    # The second round runs on a machine at half its speed: microseconds double, the ratio stays.
    for ours, theirs in [(4_000_000, 5_000_000), (8_000_000, 10_000_000)]:
        rows["fastdns"].add(ours, result())
        rows["dnsdist"].add(theirs, result())
        rounds.compare(rows, ["dnsdist", "echo"])
    assert rows["fastdns"].ratio == {"dnsdist": [0.8, 0.8]}
    assert rows["dnsdist"].ratio == {"dnsdist": [1.0, 1.0]}


def test_figures_are_medians_with_the_least_and_the_most() -> None:
    made = series(2_000_000, 9_000_000, 3_000_000, upstream_ns=5_000_000)
    made.add(3_000_000, result(1000, mismatched=2, servfails=4), 5_000_000)
    figures = rounds.figures(made)
    assert figures["us_per_query"] == {"median": 3.0, "min": 2.0, "max": 9.0}
    assert figures["upstream_us_per_query"]["median"] == 5.0
    assert (figures["answers_per_second"]["median"], figures["mismatched"], figures["lost"]) == (2000, 2, 0)
    assert (figures["rcodes"], figures["failed"]) == ({0: 3996, 2: 4}, 4)
    assert (figures["ratio"], figures["p999_ratio"]) == ({}, {})


STAT = """\
cpu  700 70 300 9000 50 7 30 20 5 0
cpu0 300 10 100 4000 20 3 10 20 5 0
cpu1 400 60 200 5000 30 4 20 0 0 0
intr 12345 0 1
"""


@pytest.mark.parametrize(
    ("cpus", "ticks"),
    [({0}, 443), ({1}, 684), ({0, 1}, 1127), ({7}, 0)],
    ids=["one, with what was stolen", "the other", "both, the sum of all left out", "none such"],
)
def test_busy_is_all_but_idle_and_waiting(cpus: set[int], ticks: int) -> None:
    assert processes.busy_s(STAT, cpus) == ticks / os.sysconf("SC_CLK_TCK")


def test_our_own_work_is_not_others() -> None:
    [cpu, *_] = os.sched_getaffinity(0)
    others = processes.OtherWork({cpu})
    end = time.monotonic() + 0.2
    while time.monotonic() < end:
        pass
    assert 0.0 <= others.percent() <= 100.0


SCATTERED = """
import os, sys, threading, time
def away():
    os.sched_setaffinity(0, {int(sys.argv[1])})
    print(flush=True)
    time.sleep(60)
threading.Thread(target=away, daemon=True).start()
time.sleep(60)
"""


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one CPU")
def test_a_server_that_chooses_its_own_cpu_is_put_back() -> None:
    """Knot put its UDP worker, as the upstream of all peers, on the CPU of the peers."""
    cpu, other = sorted(os.sched_getaffinity(0))[:2]
    server = subprocess.Popen([sys.executable, "-c", SCATTERED, str(other)], stdout=subprocess.PIPE)
    try:
        assert server.stdout is not None
        server.stdout.readline()
        processes.pin(server.pid, {cpu})
        threads = [int(task.name) for task in Path(f"/proc/{server.pid}/task").iterdir()]
        assert len(threads) == 2
        assert all(os.sched_getaffinity(thread) == {cpu} for thread in threads)
    finally:
        server.kill()
        server.communicate()
