"""fastdns bench cluster: its command line, its report, its page, and a whole run with a small cluster."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fastdns.bench import cluster, plot
from fastdns.bench.cli import main
from fastdns.bench.errors import BenchUsageError
from fastdns.bench.page import page
from fastdns.bench.progress import Stages

pytestmark = pytest.mark.alone

CALL = [sys.executable, "-m", "fastdns.cli", "bench", "cluster"]
SMALL = [
    "--services", "20", "--endpoints", "3", "--workers", "1",
    "--seconds", "0.5", "--samples", "5", "--settle", "0.2",
]  # fmt: skip


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*CALL, *arguments], capture_output=True, text=True, timeout=100, check=False)


def report(**changes: Any) -> dict[str, Any]:
    sizes = {"all": 80.0, "server": 16.0, "watcher": 64.0}
    made = {
        "schema": cluster.SCHEMA,
        "machine": {"cpus": 2, "model": "a <CPU>", "kernel": "6", "python": "3", "load": [0.5, 0.1, 0.1]},
        "other_work_percent": 3.0,
        "options": {"command": "server {corefile}", "workers": 2, "no_tls": False},
        "cluster": {"namespaces": 1, "services": 20, "headless": 2, "slices": 21, "endpoints": 60},
        "start": {"ready_s": 1.5, "first_answer_s": 1.25},
        "restart": None,
        "memory_mib": {
            "steady": sizes, "start_peak": sizes, "relist_peak": sizes, "relist_peak_of_steady": 1.0,
            "after_churn": sizes,
        },
        "relist": {"requests": [], "looks": 1},
        "changes": {
            "elapsed_s": 1.0, "churn_per_second": 50.0, "timed": 2, "unseen": 0,
            "to_answer_ms": {"p50": 2.0, "p90": 3.0, "p99": 3.0, "max": 3.0}, "queries": 9, "failed": 0,
            "unanswered": 0, "cpu_percent": 4.0, "all_ms": [2.0, 3.0],
        },
    }  # fmt: skip
    return made | changes


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--services", "0"], "--services"),
        (["--services", "ten"], "--services"),
        (["--churn", "-1"], "--churn"),
        (["--probes", "33"], "--probes"),
        (["--seconds", "nan"], "--seconds"),
        (["--serv", "10"], "--serv"),
        (["--command", "coredns"], "{corefile} or {port}"),
        (["--command", "coredns 'x {corefile}"], "--command: No closing quotation"),
        (["--command", ""], "--command is empty"),
        (["more"], "more"),
    ],
    ids=str,
)
def test_a_wrong_command_line_is_told_so(arguments: list[str], says: str) -> None:
    with pytest.raises(BenchUsageError) as raised:
        cluster.parse(arguments)
    assert says in str(raised.value)


def test_braces_of_a_command_that_are_no_placeholders_stay() -> None:
    words = cluster.command_words("sh -c 'exec ${X:-coredns} -conf {corefile}'", Path("/a b/Corefile"), 53)
    assert words == ["sh", "-c", "exec ${X:-coredns} -conf /a b/Corefile"]


def test_without_its_dependencies_it_says_how_to_get_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert main(["cluster", *SMALL]) == 1
    assert "pip install 'fastdns[bench]'" in capsys.readouterr().err


def test_a_server_that_ends_is_told_with_its_last_words() -> None:
    ended = run(*SMALL, "--command", "sh -c 'echo no such plugin >&2; exit 3' {corefile}")
    assert ended.returncode == 1
    assert "no such plugin" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_command_that_is_not_there_is_told_so() -> None:
    ended = run(*SMALL, "--command", "no-such-server {corefile}")
    assert ended.returncode == 1
    assert "no-such-server" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_text_has_the_same_lines_whatever_they_hold() -> None:
    def labels(made: dict[str, Any]) -> list[str]:
        return [line[:28].strip() for line in cluster.text(made)[5:]]

    nothing = report(
        start={"ready_s": None, "first_answer_s": 1.0},
        changes=report()["changes"]
        | {"to_answer_ms": dict.fromkeys(("p50", "p90", "p99", "max")), "timed": 0, "all_ms": []},
    )
    assert labels(nothing) == labels(report())
    assert cluster.text(nothing)[6].split() == ["ready", "after", "-"]
    assert len(cluster.plots(nothing)) == len(cluster.plots(report())) - 1


def test_progress_is_a_bar_on_a_terminal_and_lines_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    for bar in (True, False):
        with Stages(bar) as stages:
            stages.stage("first stage")
            stages.done(0.5)
            stages.stage("second stage")
        said = capsys.readouterr()
        assert said.out == ""
        assert "first stage" in said.err and "second stage" in said.err
        assert ("0:00:0" in said.err) is bar


def test_without_rich_there_are_lines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "rich.console", None)
    with Stages(True) as stages:
        stages.stage("first stage")
        stages.done(1.0)
    assert capsys.readouterr().err.splitlines() == [
        "(pip install 'fastdns[bench]' shows a progress bar)",
        "first stage",
    ]


def test_percentiles_are_of_what_there_is() -> None:
    values = [float(value) for value in range(1, 101)]
    assert (cluster.percentile(values, 50), cluster.percentile(values, 99)) == (51.0, 100.0)
    assert cluster.percentile([], 99) is None


def test_a_page_holds_everything_and_asks_for_nothing() -> None:
    made = report()
    text = page("a <title>", cluster.plots(made), cluster.text(made), made | {"command": "</script><b>"})
    assert "a &lt;title&gt;" in text
    assert "a &lt;CPU&gt;" in text
    assert text.count("</script>") == 1
    assert "src=" not in text and "href=" not in text and "@import" not in text
    kept = text.partition('id="report">')[2].partition("</script>")[0]
    assert json.loads(kept)["command"] == "</script><b>"


def test_plots_are_the_same_for_the_same_figures() -> None:
    groups = [plot.Group("hit", [plot.Bar("fastdns", 1.15, 1.1, 1.2), plot.Bar("<knot>", 1.4)])]
    made = plot.bars("CPU", groups, mark=1.0)
    assert made == plot.bars("CPU", groups, mark=1.0)
    assert "1.15 (1.10-1.20)" in made
    assert "&lt;knot&gt;" in made
    assert max(len(line) for line in made.splitlines()) < 250
    assert plot.shares("CDF", [1.0, 10.0, 5.0], unit="ms") == plot.shares("CDF", [10.0, 5.0, 1.0], unit="ms")


def test_a_small_cluster_from_end_to_end(tmp_path: Path) -> None:
    html = tmp_path / "report.html"
    ended = run(*SMALL, "--snapshot", "--json", "--html", str(html))
    assert ended.returncode == 0, ended.stderr
    made = json.loads(ended.stdout)
    assert made["cluster"]["services"] == 20
    for start in (made["start"], made["restart"]):
        assert start["ready_s"] > 0 and start["first_answer_s"] > 0
    memory = made["memory_mib"]
    assert {"all", "server", "watcher", "worker 1"} == set(memory["steady"])
    assert memory["relist_peak"]["all"] > 0
    # The relist was one: every kind was listed or streamed anew.
    assert {"/api/v1/services", "/api/v1/namespaces"} <= {line.split()[1] for line in made["relist"]["requests"]}
    changes = made["changes"]
    assert changes["timed"] == len(changes["all_ms"]) >= 5
    assert (changes["unseen"], changes["failed"]) == (0, 0)
    assert all(took > 0 for took in changes["all_ms"])
    text = html.read_text()
    assert text.count("<svg") == 2 and "change to answer p99" in text
