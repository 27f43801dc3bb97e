"""Lines of the log that could be repeated without end."""

from __future__ import annotations

from fastdns.plugins.transfer.said import LINE_S, MAX_LINES, Said


def test_a_line_is_said_once_in_a_while() -> None:
    now = 0.0
    said = Said(lambda: now)
    assert said.is_new("a")
    assert not said.is_new("a")
    assert said.is_new("b")
    now += LINE_S - 1
    assert not said.is_new("a")
    now += 1
    assert said.is_new("a")


def test_the_lines_of_a_while_are_bounded() -> None:
    now = 0.0
    said = Said(lambda: now)
    assert sum(said.is_new(number) for number in range(10 * MAX_LINES)) == MAX_LINES
    assert len(said.said) == MAX_LINES
    now += LINE_S
    assert said.is_new("another")
    assert len(said.said) == 1
