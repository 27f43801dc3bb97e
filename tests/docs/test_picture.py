"""docs/terminal.svg shows the commands of README.md, which test_pages.py runs."""

from __future__ import annotations

from xml.etree import ElementTree

from tests.docs.fences import ROOT
from tests.docs.picture import PICTURE, drawn, lines_of


def test_the_picture_shows_what_the_page_does() -> None:
    lines = lines_of(ROOT / "README.md")
    assert [line for line in lines if line.startswith("$ ")] != []
    assert PICTURE.read_text() == drawn(lines), "python -m tests.docs.picture draws it anew"


def test_the_picture_is_xml() -> None:
    texts = ["".join(one.itertext()) for one in ElementTree.parse(PICTURE).iter("{http://www.w3.org/2000/svg}text")]
    assert texts == lines_of(ROOT / "README.md")
