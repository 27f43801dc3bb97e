"""The order in which the files of tests begin, where several processes share them."""

from __future__ import annotations

import pytest

# They start whole servers, one after the other, and mostly wait. One of them that began last would keep a process
# busy while the others have nothing left to do.
FIRST = tuple(f"tests/{name}" for name in ("integration/", "bench/", "docs/", "deploy/", "test_cli.py"))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files of FIRST first; each file keeps its own order."""
    items.sort(key=lambda item: not item.nodeid.startswith(FIRST))
