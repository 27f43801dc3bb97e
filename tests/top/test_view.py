"""A summary as text."""

from __future__ import annotations

import pytest

from fastdns.top.reading import Reading
from fastdns.top.summary import summary
from fastdns.top.view import lines, number, seconds
from tests.top.readings import TABLES, reading

FULL = summary("http://localhost:9153", reading(10.0, 1, TABLES), reading(12.0, 3, TABLES), 10, 4600.0)


def test_what_is_shown() -> None:
    shown = lines(FULL, 80)
    assert shown[:9] == [
        "fastdns 1.2.3 at http://localhost:9153, up 60m",
        "queries   100/s   CPUs 0.50   memory 100 MiB",
        "latency   p50 1.0ms  p90 1.8ms  p99 2.0ms",
        "rcodes    NOERROR 100/s",
        "types     AAAA 60/s  A 40/s",
        "failed    no zone 3/s",
        "cache     75.0% hits, 42 entries",
        "cluster   changes 0/s, in answers after p50 5.0ms  p90 9.0ms  p99 9.9ms",
        "snapshot  cluster.local. is 90s old: the API server has not answered yet",
    ]
    text = "\n".join(shown)
    assert "WORKER    PID  CPUS  QUERIES/S\nworker 1   42  0.00          0\n" in text
    assert "UPSTREAM      REPLIES/S    P50     P99  FAILED/S\n" in text
    assert "\n192.0.2.1:53         10  8.0ms  15.8ms         4\n" in text
    assert "10.0.0.1  shop/web-0" in text and "10.0.0.2  service shop/db" in text
    assert "10.0.0.3                      100+     1.2   10.0%" in text
    assert "a-long-name.…" in text
    assert shown[-1] == "Tables: the last 80s, 1000 queries. +: at least."


@pytest.mark.parametrize("width", [40, 80, 200])
@pytest.mark.parametrize("colour", [False, True])
def test_nothing_is_wider_than_the_terminal_and_nothing_commands_it(width: int, colour: bool) -> None:
    shown = lines(FULL, width, colour=colour)
    for line in shown:
        plain = line
        for code in ("\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[31m"):
            plain = plain.replace(code, "") if colour else plain
        assert plain.isprintable()
        assert width < 50 or len(plain) <= width
    assert ("\x1b" in "".join(shown)) == colour


def test_without_top_it_says_so() -> None:
    shown = lines(summary("http://x", Reading(1.0), Reading(2.0), 9, 0.0))
    assert shown[-1] == "Who asks most is not counted: the Corefile has no top."
    assert shown[0] == "fastdns - at http://x, up -"


def test_numbers_and_durations() -> None:
    assert [number(one) for one in (None, 0, 0.25, 99.5, 1234.0, 12345.0, 2.5e6, 3e9)] == [
        "-", "0", "0.2", "99.5", "1234", "12.3k", "2.5M", "3.0G"
    ]  # fmt: skip
    assert [seconds(one) for one in (None, 0.0000015, 0.0123, 1.5, 80.0, 200.0, 8000.0, 200000.0)] == [
        "-", "2us", "12.3ms", "1.5s", "80s", "3m", "2h", "2d"
    ]  # fmt: skip
