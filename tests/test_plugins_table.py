"""The table of plugins in docs/reference/plugins.md is what the plugins say."""

from __future__ import annotations

import pytest

from fastdns.plugins.order import available, load
from tests.plugins_table import PAGE, description, how, row, syntax, with_table, written

README = """# sample

## Name

*sample* - does
something.

## Syntax

    sample [TTL] {
        ttl SECONDS
        on|off
        ttl AGAIN
    }

or

    sample off

Words.

## Examples

    other {
        no option
    }
"""


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == written(), "run `python -m tests.plugins_table --write`"


@pytest.mark.parametrize("name", available())
def test_a_plugin_says_how_it_runs(name: str) -> None:
    assert how(load(name)), "it does nothing"
    cells = row(name).count(" | ")
    assert cells == 4


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("whoami", "native step"),
        ("kubernetes", "native step, values, source, supervisor"),
        ("health", "supervisor, HTTP"),
        ("debug", "settings"),
    ],
)
def test_how_they_run(name: str, expected: str) -> None:
    assert how(load(name)) == expected


def test_readmes_are_read() -> None:
    assert description(README, "sample") == "does something."
    assert syntax(README) == (["sample [TTL]", "sample off"], ["ttl", "on|off"])
    with pytest.raises(SystemExit, match="under Name"):
        description(README, "other")


def test_a_page_without_marks() -> None:
    with pytest.raises(SystemExit, match="expected once each"):
        with_table("# Plugins\n", "| |")
