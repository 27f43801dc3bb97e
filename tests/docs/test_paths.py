"""Files and modules that pages name exist: a move of a file shows here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.fences import FENCE, PAGES, ROOT

SUFFIXES = (".py", ".pyx", ".pxd", ".md", ".yaml", ".svg")
FILES = {
    path.relative_to(ROOT).as_posix()
    for folder in ("src", "tests", "bench", "docs", "deploy")
    for path in (ROOT / folder).rglob("*")
    # Folders, and commands such as deploy/image.
    if path.suffix in SUFFIXES or not path.suffix
} | {path.name for path in ROOT.iterdir()}
# Files that belong to the reader of a page.
THEIRS = {"cluster.yaml", "example.yaml"}
# Decisions are records of their day.
CURRENT = [page for page in PAGES if page.parent.name != "decisions"]


def named(page: Path) -> set[str]:
    """What a page names as a file, a folder or a module with its folder."""
    words = re.findall(r"`([\w./-]+)(?:: \w+)?`", FENCE.sub("", page.read_text()))
    return {
        word.rstrip("/")
        for word in words
        if not word.startswith(("/", ".", "build", "dist"))
        and (word.endswith(SUFFIXES) or re.fullmatch(r"[a-z]\w*(/_?[a-z]\w*)+/?|[a-z]\w+/", word))
    }


def exists(word: str) -> bool:
    """Whether it is a path, or the end of one."""
    endings = (word,) if word.endswith(SUFFIXES) else (word, *(word + suffix for suffix in SUFFIXES))
    return any(path == ending or path.endswith("/" + ending) for path in FILES for ending in endings)


@pytest.mark.parametrize("page", CURRENT, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_a_page_names_exist(page: Path) -> None:
    assert {word for word in named(page) - THEIRS if not exists(word)} == set()


def test_a_file_that_is_gone_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "`docs/README.md`, `plugins/forwrad/config.py`, `supervisr/`, `cli.py`, `dns/nmaes`, `dns/names`\n"
    )
    assert {word for word in named(page) if not exists(word)} == {
        "plugins/forwrad/config.py", "supervisr", "dns/nmaes",
    }  # fmt: skip
