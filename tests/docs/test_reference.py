"""The reference pages list what the code has: variables with their defaults, flags, commands."""

from __future__ import annotations

import re

import pytest

from fastdns import cli, commands
from tests.docs.fences import ROOT

SOURCES = [path.read_text() for path in sorted((ROOT / "src/fastdns").rglob("*.py"))]
REFERENCE = ROOT / "docs/reference"


def test_every_variable_of_the_environment_is_listed() -> None:
    used = {name for text in SOURCES for name in re.findall(r'["\'](FASTDNS_[A-Z_]+)["\']', text)}
    page = (REFERENCE / "environment.md").read_text()
    assert set(re.findall(r"^\| `(FASTDNS_[A-Z_]+)` \|", page, re.MULTILINE)) == used


def test_variables_have_the_defaults_of_the_help() -> None:
    page = (REFERENCE / "environment.md").read_text()
    rows = dict(re.findall(r"^\| `(FASTDNS_[A-Z_]+)` \| (\d+) \|", page, re.MULTILINE))
    helped = dict(re.findall(r"^  (FASTDNS_[A-Z_]+) .*\(default (\d+)\)$", cli.USAGE, re.MULTILINE))
    assert rows == helped
    assert len(rows) >= 7


@pytest.mark.parametrize(
    ("heading", "usage"),
    [
        ("`fastdns`", cli.USAGE),
        ("`fastdns check`", commands.usage(commands.CHECK)),
        ("`fastdns demo`", commands.usage(commands.DEMO)),
        ("`fastdns top`", commands.usage(commands.TOP)),
    ],
)
def test_flags_are_those_of_the_help(heading: str, usage: str) -> None:
    page = (REFERENCE / "command-line.md").read_text()
    section = page.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`-.*?) \|", section, re.MULTILINE)
    listed = {flag for row in rows for flag in re.findall(r"`-([a-z.]+)", row)} - {"help", "h"}
    helped = {
        flag for line in re.findall(r"^  (-.*?)  ", usage, re.MULTILINE) for flag in re.findall(r"-([a-z.]+)", line)
    }
    assert listed == helped


def test_commands_are_those_that_there_are() -> None:
    page = (REFERENCE / "command-line.md").read_text()
    listed = set(re.findall(r"^\| `fastdns ([a-z]+)", page, re.MULTILINE))
    assert listed == {command.name for command in commands.COMMANDS}
