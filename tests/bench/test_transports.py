"""bench.transports: its servers, what is no figure, its report; no figure is asserted."""

from __future__ import annotations

import json
import os
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from bench.listeners import LISTENERS, OVER_TCP, SCHEMES
from bench.transports import Place

from bench import transports
from bench.servers import LeftOut
from fastdns.bench.result import Result
from tests.certificates import write_certificate

FASTDNS = f"{sys.executable} -m fastdns"
THERE = [one for one in SCHEMES if one in OVER_TCP or find_spec("qh3")]
INSTALLED = [name for name, one in LISTENERS.items() if not one.program or shutil.which(one.program)]


def place(folder: Path, server: str, program: str, connections: int = 100) -> Place:
    write_certificate(folder)
    return Place({server: program}, {}, folder, os.sched_getaffinity(0), connections)


@pytest.mark.parametrize("server", INSTALLED)
def test_what_is_installed_answers_over_each_transport(tmp_path: Path, server: str) -> None:
    program = LISTENERS[server].program
    where = place(tmp_path, server, shutil.which(program) or "" if program else FASTDNS)
    with where.start(server, THERE) as started:
        assert set(started.ports) == set(LISTENERS[server].transports) & set(THERE)
        for transport in started.ports:
            transports.probe(started, transport)


def test_a_server_that_does_not_start_is_left_out_with_the_reason(tmp_path: Path) -> None:
    where = place(tmp_path, "dnsdist", "/bin/false")
    with pytest.raises(LeftOut, match="did not start"), where.start("dnsdist", []):
        pass


def test_connections_that_are_closed_meanwhile_are_no_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transports, "GROUP", 10)
    monkeypatch.setattr(transports, "BEFORE", 2)
    # There are 20 places for 32 connections.
    where = place(tmp_path, "fastdns", FASTDNS, 20)
    with where.start("fastdns", ["tcp"]) as started, pytest.raises(LeftOut, match=r"closed|lost"):
        transports.of_memory(started, "tcp", 30)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ""),
        ({"answered": 0}, "0 answered"),
        ({"lost": 1}, "1 lost"),
        ({"stream_errors": 2}, "2 refused"),
        ({"rcodes": (9, 0, 0, 1)}, "rcodes"),
    ],
)
def test_answers_that_are_not_right_are_no_figure(changes: dict[str, object], expected: str) -> None:
    given = {
        "sent": 10, "answered": 10, "lost": 0, "mismatched": 0, "truncated": 0, "errors": 0, "answer_bytes": 1,
        "elapsed_s": 1.0, "max_ns": 1, "rcodes": (10, 0, 0, 0), "histogram": (),
    } | changes  # fmt: skip
    result = Result(**given)  # type: ignore[arg-type]
    if not expected:
        assert transports.answered(result) is result
        return
    with pytest.raises(LeftOut, match=expected):
        transports.answered(result)


def test_a_turn_that_fails_is_left_out_and_the_others_go_on() -> None:
    left_out: dict[str, str] = {}
    calls: list[str] = []

    def fails() -> float:
        calls.append("fails")
        raise LeftOut("no answer")

    rows = transports.rounds([(("a", "dot", "1"), lambda: 2.0), (("b", "dot", "1"), fails)], 3, left_out)
    assert rows == {("a", "dot", "1"): [2.0, 2.0, 2.0]}
    assert left_out == {"b dot 1": "no answer"}
    assert calls == ["fails"]


def test_ratios_are_of_one_round() -> None:
    rows = {
        ("fastdns", "tcp", "1"): [1.0, 2.0, 3.0],
        ("fastdns", "dot", "1"): [2.0, 4.0, 6.0],
        ("bind", "dot", "1"): [6.0, 12.0, 18.0],
    }
    report = {"queries": rows, "versions": {}, "left_out": {"bind doh": "why"}, "other_work_percent": 1.0}
    lines = list(transports.lines(report))
    assert lines[1].split() == ["fastdns", "dot", "1", "4.0", "(2.0-6.0)", "2.00"]
    assert lines[2].split() == ["bind", "dot", "1", "12.0", "(6.0-18.0)", "3.00"]
    assert lines[3].split() == ["fastdns", "tcp", "1", "2.0", "(1.0-3.0)", "0.50"]
    assert lines[-1] == "left out: bind doh: why"


@pytest.mark.parametrize("words", [["--servers", "fastdns,nobody"], ["--parts", "all"], ["--transports", "udp"]])
def test_an_unknown_word_is_told(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        transports.options(words)
    assert "expected, got" in capsys.readouterr().err


def test_a_small_run_has_all_parts(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    # This process keeps its CPUs.
    monkeypatch.setattr(transports.os, "sched_setaffinity", lambda pid, cpus: None)
    monkeypatch.setattr(transports, "OUTSTANDING", (1,))
    transports.main(
        ["--json", "--servers", "fastdns,coredns", "--transports", "dot", "--coredns", "/no/coredns",
         "--rounds", "1", "--seconds", "0.05", "--connections", "4", "--idle", "20"]
    )  # fmt: skip
    report = json.loads(capsys.readouterr().out)
    assert report["left_out"] == {"coredns": "not installed"}
    done = {(part, row["transport"], row["what"]) for part in transports.UNITS for row in report[part]}
    assert done == {
        ("queries", "dot", "1"), ("connections", "dot", "full"), ("connections", "dot", "resumed"),
        ("memory", "dot", "20 idle"),
    }  # fmt: skip
    assert report["generator"]["fastdns bench, 4 each"]["per_second"]["median"] > 0
