"""docs/decisions: numbers without gaps, one form, and a table that lists every page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "docs/decisions"
PAGES = sorted(path for path in FOLDER.glob("*.md") if path.name != "README.md")
HEADINGS = ["Context", "Decision", "Consequences", "Tried and given up"]
STATUS = re.compile(r"Status: (accepted|superseded by \[\d{4}\]\([^)]+\)), \d{4}-\d\d-\d\d\b")


def title(page: Path) -> str:
    """The first line without its number."""
    return page.read_text().splitlines()[0].partition(". ")[2]


def test_numbers_have_no_gaps() -> None:
    assert [page.name[:5] for page in PAGES] == [f"{number:04d}-" for number in range(1, len(PAGES) + 1)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name[:4])
def test_a_page_has_the_form(page: Path) -> None:
    lines = page.read_text().splitlines()
    assert lines[0].startswith(f"# {page.name[:4]}. "), "the title begins with the page's number"
    assert STATUS.match(lines[2]), f"Status: accepted, YYYY-MM-DD expected in line 3, got {lines[2]!r}"
    assert [line[3:] for line in lines if line.startswith("## ")] == HEADINGS
    sections = re.split(r"^## .*$", page.read_text(), flags=re.MULTILINE)[1:]
    assert all(section.strip() for section in sections), "a section is empty"


def test_the_table_lists_every_page_with_its_title() -> None:
    rows = re.findall(r"^\| \[(\d{4})\]\((\S+)\) \| (.*) \|$", (FOLDER / "README.md").read_text(), re.MULTILINE)
    assert rows == [(page.name[:4], page.name, title(page)) for page in PAGES]
