"""Results: percentiles as HdrHistogram has them, sums of processes, reports of hardly anything."""

from __future__ import annotations

import dataclasses
import json
import random
import re

import pytest
from hdrh.histogram import HdrHistogram

from fastdns.bench import pictures, report
from fastdns.bench.address import Server
from fastdns.bench.messages import RCODES
from fastdns.bench.result import (
    BUCKETS,
    DIGITS,
    MAX_NS,
    PERCENTILES,
    Latencies,
    Result,
    encoded,
    merge,
    merge_histograms,
    percentile_ns,
)
from fastdns.bench.runner import Watch, difference
from fastdns.bench.usage import Usage
from fastdns.bench.versus import Series, Turn, in_turn


def histogram_of(values: list[int]) -> tuple[HdrHistogram, tuple[tuple[int, int], ...]]:
    """The library's own, and its counts as ours."""
    theirs = HdrHistogram(1, MAX_NS, DIGITS)
    for value in values:
        theirs.record_value(value)
    counts = ((i, theirs.get_count_at_index(i)) for i in range(theirs.counts_len))
    return theirs, tuple((i, count) for i, count in counts if count)


RNG = random.Random(1)
VALUES = [
    [1],
    [1023, 1024, 1025, 2047, 2048, 2049],
    [int(RNG.lognormvariate(12, 2)) + 1 for _ in range(5000)],
    [MAX_NS, 1],
]


def test_our_buckets_are_the_librarys() -> None:
    assert HdrHistogram(1, MAX_NS, DIGITS).counts_len == BUCKETS


@pytest.mark.parametrize("values", VALUES, ids=["one", "ends of octaves", "many", "the largest"])
def test_percentiles_are_the_librarys(values: list[int]) -> None:
    theirs, ours = histogram_of(values)
    for percent in (*PERCENTILES, 1, 100):
        assert percentile_ns(ours, percent) == theirs.get_value_at_percentile(percent)


@pytest.mark.parametrize("values", VALUES, ids=["one", "ends of octaves", "many", "the largest"])
def test_what_is_encoded_is_read_by_the_library(values: list[int]) -> None:
    theirs, ours = histogram_of(values)
    text = encoded(ours)
    assert text is not None
    read = HdrHistogram.decode(text)
    assert read.get_total_count() == len(values)
    assert [read.get_value_at_percentile(p) for p in PERCENTILES] == [
        theirs.get_value_at_percentile(p) for p in PERCENTILES
    ]


def test_without_the_library_nothing_is_encoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "hdrh.histogram", None)
    assert encoded(((1, 1),)) is None


def test_histograms_are_added_and_taken_apart() -> None:
    first, second = ((1, 2), (5, 1)), ((1, 1), (7, 3))
    both = merge_histograms([first, second])
    assert both == ((1, 3), (5, 1), (7, 3))
    assert difference(both, first) == second


def a_result(**fields: object) -> Result:
    counts = {
        one.name: 0
        for one in dataclasses.fields(Result)
        if one.name not in ("rcodes", "histogram", "wrong_samples", "set_ups")
    }
    made = {**counts, "rcodes": (0,) * 16, "histogram": (), "processes": 1, **fields}
    return Result(**made)  # type: ignore[arg-type]


def test_processes_are_added() -> None:
    one = a_result(sent=5, answered=4, lost=1, elapsed_s=2.0, min_ns=10, max_ns=50, sum_ns=100, busy=0.5,
                   rcodes=(4,) + (0,) * 15, histogram=((10, 4),))  # fmt: skip
    silent = a_result(sent=3, lost=3, elapsed_s=3.0, busy=0.1)
    both = merge([one, silent])
    assert (both.sent, both.answered, both.lost, both.processes) == (8, 4, 4, 2)
    # One that has no answers has no least time.
    assert (both.elapsed_s, both.min_ns, both.max_ns, both.busy) == (3.0, 10, 50, 0.3)
    assert (both.rcodes[0], both.histogram, both.per_second) == (4, ((10, 4),), 4 / 3.0)
    assert merge([one]) == one


def test_connections_are_added() -> None:
    one = a_result(set_ups=Latencies(((10, 2), (20, 1)), 9, 21, 40), resumed=1, reconnects=1)
    two = a_result(set_ups=Latencies(((10, 1),), 11, 11, 11))
    both = merge([one, two, a_result()])
    assert both.set_ups == Latencies(((10, 3), (20, 1)), 9, 21, 51)
    assert (both.set_ups.count, both.first_connections, both.resumed) == (4, 3, 1)
    assert (both.set_ups.percentile_us(50), both.set_ups.mean_us) == (0.01, 51 / 4 / 1000)
    assert (Latencies().percentile_us(50), Latencies().mean_us) == (0, 0)


def test_mean_and_deviation() -> None:
    made = a_result(answered=2, sum_ns=300, histogram=((100, 1), (200, 1)))
    assert (made.mean_us, made.stddev_us) == (0.15, 0.05)


OPTIONS = {
    "server": "127.0.0.1:53", "transport": "udp", "load": "closed loop", "loop": "closed", "queries": 1,
    "source": "file",
}  # fmt: skip


def test_a_report_of_nothing_has_no_zeros() -> None:
    nothing = report.run_report(OPTIONS, a_result(), [], None, [], False)
    text = report.run_text(nothing)
    zeros = [line.split("  ")[0] for line in text.splitlines() if line.endswith(" 0")]
    assert zeros == ["queries sent", "answered"]
    assert "latency" not in text
    assert report.run_opening(nothing)[-1] == "No answer to 0 queries."
    assert pictures.run_plots(nothing) == []
    json.dumps(nothing)


def test_that_no_answer_was_wrong_is_said() -> None:
    checked = report.run_report(OPTIONS, a_result(sent=3, answered=3, checked=3), [], None, [], False)
    assert re.search(r"^answers checked +3\nwrong answers +0$", report.run_text(checked), re.MULTILINE)


def test_the_generator_that_was_the_limit_is_said() -> None:
    busy = report.run_report(OPTIONS, a_result(busy=1.0, answered=1, sent=1), [], None, [], False)
    assert "the generator was busy all the time" in report.run_text(busy)
    idle = report.run_report(OPTIONS, a_result(busy=0.5, answered=1, sent=1), [], None, [], False)
    assert "busy all the time" not in report.run_text(idle)


def turn(per_second: float, cpu_us: float | None = None) -> Turn:
    answered = int(per_second)
    result = a_result(sent=answered, answered=answered, elapsed_s=1.0, max_ns=10, histogram=((10, answered),),
                      rcodes=(answered,) + (0,) * 15)  # fmt: skip
    return Turn(result, None if cpu_us is None else Usage(int(cpu_us * 1000 * answered), 2048, 3))


def test_ratios_are_of_the_same_round() -> None:
    """The second round runs on a machine at half its speed: figures halve or double, ratios stay."""
    first = Series("first", Server("a", 1), 1, [turn(1000, 4), turn(500, 8)])
    second = Series("second", Server("b", 1), 2, [turn(2000, 5), turn(1000, 10)])
    made = report.versus_report(OPTIONS, [first, second], False)["servers"]
    assert made[1]["of_first"]["queries_per_second"] == {"median": 2.0, "min": 2.0, "max": 2.0}
    assert made[1]["of_first"]["cpu_us_per_query"] == {"median": 1.25, "min": 1.25, "max": 1.25}
    assert made[0]["cpu_us_per_query"] == {"median": 6.0, "min": 4.0, "max": 8.0}
    assert made[1]["rcodes"]["NOERROR"] == 3000
    text = report.versus_text(report.versus_report(OPTIONS, [first, second], False))
    assert "PSS MiB" in text
    assert "2,000 (1,000-" not in text
    assert "1,500 (1,000-2,000)" in text


def test_no_round_was_whole() -> None:
    made = report.versus_report(OPTIONS, [Series("a", Server("a", 1)), Series("b", Server("b", 1))], True)
    assert list(made["servers"][0]["rcodes"]) == list(RCODES)
    assert "ended before its time" in report.versus_text(made)
    assert pictures.versus_plots(made) == []
    assert report.versus_opening(made)[-1] == "No round was whole."


def test_the_opening_says_what_on_what_and_the_result() -> None:
    made = report.run_report(OPTIONS, a_result(answered=99, sent=100, lost=1, elapsed_s=2.0), [], None, [], False)
    what, machine, said = report.run_opening(made)
    assert what == "udp to 127.0.0.1:53: closed loop; 1 queries of file"
    assert "CPUs" in machine and "Linux" in machine
    assert re.fullmatch(r"50 queries a second; p50 .*, p99 .*; 1% lost", said)
    first = Series("first", Server("a", 1), 1, [turn(1000)])
    second = Series("second", Server("b", 2), 2, [turn(2000)])
    opened = report.versus_opening(report.versus_report(OPTIONS, [first, second], False))
    assert "first (a:1) and second (b:2)" in opened[0]
    assert opened[-1] == "first 1,000 queries a second; second 2,000 queries a second (2.00 x first)"


def test_comparisons_are_drawn_once() -> None:
    both = [Series(name, Server("a", 1), 1, [turn(1000, 4), turn(900, 5)]) for name in ("one", "two")]
    made = report.versus_report(OPTIONS, both, False)
    drawn = pictures.versus_plots(made)
    assert len(drawn) == sum(made["servers"][0][key] is not None for key, *_ in report.COLUMNS)
    assert all(re.search(r", (us|MiB)</title>|a second</title>", plot) for plot in drawn)


def mark(sent: int, answered: int) -> Result:
    return a_result(sent=sent, answered=answered, histogram=((10, answered),))


def test_what_is_left_of_an_interval_is_part_of_the_one_before() -> None:
    """The last point of a plot was 0: a thousandth of a second without an answer."""
    watch = Watch()
    watch.add(mark(10, 10), 1.0)
    watch.add(mark(20, 20), 2.0)
    assert watch.end(mark(21, 21), 2.001, 1.0) is None
    assert [(one.end_s, one.length_s, one.answered) for one in watch.intervals] == [
        (1.0, 1.0, 10), (2.001, pytest.approx(1.001), 11),
    ]  # fmt: skip


def test_a_long_rest_is_an_interval() -> None:
    watch = Watch()
    watch.add(mark(10, 10), 1.0)
    rest = watch.end(mark(18, 18), 1.8, 1.0)
    assert rest is not None and rest.answered == 8
    assert [one.end_s for one in watch.intervals] == [1.0, 1.8]


@pytest.mark.parametrize(("number", "expected"), [(0, "abc"), (1, "bca"), (5, "cab")])
def test_each_round_begins_with_another_server(number: int, expected: str) -> None:
    assert "".join(in_turn("abc", number)) == expected


@pytest.mark.parametrize(
    ("us", "text"), [(0.5, "500 ns"), (1, "1.0 us"), (999.9, "999.9 us"), (1500, "1.50 ms"), (2e6, "2.000 s")]
)
def test_times_have_their_unit(us: float, text: str) -> None:
    assert report.duration(us) == text
