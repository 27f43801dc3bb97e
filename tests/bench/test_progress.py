"""The progress of a long run: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import sys

import pytest

from fastdns.bench.progress import Stages


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
