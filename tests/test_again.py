"""Tests of tests.again: what is run again, and what its status is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests import again


@pytest.mark.parametrize(
    ("tests", "passes", "why"),
    [
        (["def test_it(): pass"], True, "alone it passes"),
        (["def test_it(): pass", "def test_it(): assert False"], False, "one of them fails alone, too"),
        (["def test_it(): pass"] * (again.MOST + 1), False, "so many are no accident"),
        ([], False, "something else has failed"),
    ],
)
def test_what_fails_twice_is_broken(
    tmp_path: Path, tests: list[str], passes: bool, why: str, capfd: pytest.CaptureFixture[str]
) -> None:
    names = []
    for number, text in enumerate(tests):
        (tmp_path / f"test_{number}.py").write_text(text)
        names.append(f"{tmp_path}/test_{number}.py::test_it")
    last_failed = tmp_path / "lastfailed"
    if names:
        last_failed.write_text(json.dumps(dict.fromkeys(names, True)))
    assert (again.main(last_failed) == 0) == passes, why
    said = capfd.readouterr().out
    assert all((f": {name}" in said) == (len(names) <= again.MOST) for name in names), why
