"""docs/reference/bench.md: its options exist, its file of expected answers is read, the help's examples parse.

tests/docs/test_pages.py runs its commands.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from fastdns.bench.expected import parse_expected
from fastdns.bench.options import EPILOG, parse, parser
from tests.docs.fences import blocks_of

PAGE = Path(__file__).parents[2] / "docs/reference/bench.md"
COMMANDS = [
    re.split(r" {3,}(?=\S)", line)[0].strip()
    for line in re.sub(r"\\\n +", "", EPILOG).splitlines()
    if line.strip().startswith("fastdns bench -")
]


def test_there_are_examples() -> None:
    assert len(COMMANDS) >= 5


@pytest.mark.parametrize("command", COMMANDS)
def test_examples_are_command_lines(command: str) -> None:
    words = [word for word in shlex.split(command) if word != "-h"]
    parse(words[2:])


def test_the_file_of_expected_answers_is_read() -> None:
    [block] = [block for block in blocks_of(PAGE) if block.words.get("file") == "expected.txt"]
    assert len(parse_expected(block.text.splitlines(), "expected.txt")) == 7


def test_every_option_that_the_page_names_exists() -> None:
    known = {option for action in parser()._actions for option in action.option_strings}
    known |= {"--services", "--endpoints", "--churn", "--workers", "--snapshot", "--command"}
    named = set(re.findall(r"(?<![\w-])(--[a-z][a-z-]+|-[a-zA-Z])\b(?![\w-])", PAGE.read_text()))
    assert named - known == set()


def test_the_page_names_every_option() -> None:
    text = PAGE.read_text()
    for action in parser()._actions:
        assert any(re.search(rf"(?<![\w-]){option}(?![\w-])", text) for option in action.option_strings), (
            action.option_strings
        )
