"""docs/reference/bench.md says what is so: its command lines are read, its file of expected answers is."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from fastdns.bench.expected import parse_expected
from fastdns.bench.options import EPILOG, parse, parser

DOCUMENT = (Path(__file__).parents[2] / "docs/reference/bench.md").read_text()
BLOCKS = re.findall(r"^```\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
COMMANDS = [
    re.split(r" {3,}(?=\S)", line)[0]
    for text in (*BLOCKS, EPILOG)
    for line in re.sub(r"\\\n +", "", text).splitlines()
    if line.strip().startswith("fastdns bench -")
]


def test_there_are_examples() -> None:
    assert len(COMMANDS) >= 10


@pytest.mark.parametrize("command", COMMANDS)
def test_examples_are_command_lines(command: str) -> None:
    words = [word for word in shlex.split(command) if word != "-h"]
    parse(words[2:])


def test_the_file_of_expected_answers_is_read() -> None:
    [text] = [block for block in BLOCKS if block.startswith("; name")]
    assert len(parse_expected(text.splitlines(), "docs/reference/bench.md")) == 7


def test_every_option_is_in_the_help_and_documented_ones_exist() -> None:
    known = {option for action in parser()._actions for option in action.option_strings}
    named = set(re.findall(r"(?<![\w-])(--[a-z][a-z-]+|-[a-zA-Z])\b(?![\w-])", DOCUMENT))
    assert named - known == set()
