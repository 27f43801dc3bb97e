"""Every figure of the README's comparison stands in bench/RESULTS.md, and so do the commands that gave them."""

from __future__ import annotations

import re

from tests.docs.fences import ROOT

README = (ROOT / "README.md").read_text()
RESULTS = (ROOT / "bench/RESULTS.md").read_text()
# 13 of "13 kills", 0.50 of "0.50-0.70 s", 59,539; not the 10 of a version or of a date.
NUMBER = re.compile(r"(?<![\w.,])\d+(?:,\d{3})*(?:\.\d+)?(?![\w]|,\d|\.\d)")


def numbers(text: str) -> set[str]:
    """The numbers of a text, as they are written."""
    return set(NUMBER.findall(text.replace("-", " ")))


def is_rounded_from(figure: str, known: set[str]) -> bool:
    """Whether it is a number of those, or one of them with fewer digits."""
    digits = len(figure.partition(".")[2])
    value = float(figure.replace(",", ""))
    return any(round(float(one.replace(",", "")), digits) == value for one in known)


def rows() -> list[list[str]]:
    """The cells of the comparison's rows."""
    table = README.split("## Beside CoreDNS\n")[1].split("\n1. ")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if "|" in line][2:]


def test_the_figures_stand_in_the_results() -> None:
    known = numbers(RESULTS)
    wrong = {
        figure
        for name, ours, theirs, _ in rows()
        if re.search("[¹²³⁴⁵]", name)
        for figure in numbers(f"{ours} {theirs}")
        if not is_rounded_from(figure, known)
    }
    assert wrong == set()


def test_a_figure_with_a_unit_has_a_source() -> None:
    sourced = [name for name, ours, theirs, _ in rows() if re.search("[¹²³⁴⁵]", name)]
    assert len(sourced) >= 9
    for name, ours, theirs, _ in rows():
        if re.search(r"\d (?:µs|ms|s|MiB)|\d%", ours + theirs):
            assert name in sourced, f"{name}: which command gave this?"


def test_the_commands_stand_in_the_results() -> None:
    notes = README.split("## Beside CoreDNS\n")[1].split("## Install")[0]
    commands = re.findall(r"^\d\. `([^`]+)`", notes, re.MULTILINE)
    assert len(commands) == 4
    flat = " ".join(RESULTS.split())
    assert [command for command in commands if command not in flat] == []


def test_a_figure_that_is_made_up_is_found() -> None:
    known = {"5.59", "59,539", "0.162"}
    assert is_rounded_from("5.6", known) and is_rounded_from("59,539", known) and is_rounded_from("0.16", known)
    assert not is_rounded_from("5.5", known) and not is_rounded_from("59,538", known)
