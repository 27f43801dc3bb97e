"""Every command of README.md and docs/ is run, and prints what the page shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.fences import PAGES, ROOT, blocks_of
from tests.docs.shell import Shell, missing, run_block
from tests.docs.statics import missing_tools

WITH_COMMANDS = [page for page in PAGES if any(block.runs for block in blocks_of(page))]


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_print_what_the_page_shows(page: Path, tmp_path: Path) -> None:
    blocks = blocks_of(page)
    if reason := missing():
        pytest.skip(f"no network of a page's own: {reason}")
    if tools := missing_tools("".join(block.text for block in blocks if block.runs)):
        pytest.skip(f"not installed: {', '.join(sorted(tools))}")
    with Shell(tmp_path) as shell:
        for block in blocks:
            run_block(shell, block)


def test_there_are_pages_with_commands() -> None:
    assert len(WITH_COMMANDS) >= 8
