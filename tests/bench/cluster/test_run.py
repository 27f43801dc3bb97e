"""``fastdns bench cluster``: a whole run with a small cluster, and what keeps one from ending well."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from fastdns.bench.cli import main

CALL = [sys.executable, "-m", "fastdns.cli", "bench", "cluster"]
SMALL = [
    "--services", "20", "--endpoints", "3", "--workers", "1",
    "--seconds", "0.5", "--samples", "5", "--settle", "0.2", "--limit", "30",
]  # fmt: skip


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*CALL, *arguments], capture_output=True, text=True, timeout=100, check=False)


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
