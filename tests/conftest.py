"""The order in which the files of tests begin, where several processes share them; the time of their examples."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes says little: it shares the machine with other tests, and sanitized code takes several
# times as long.
settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared")

# They start whole servers, one after the other, and mostly wait; the first has the most of them. A long one that
# began last would keep one process busy while the others have nothing left to do.
FIRST = [
    f"tests/{name}"
    for name in ("integration/test_readmes_boot.py", "integration/", "test_cli.py", "bench/", "docs/", "deploy/")
]


def place(item: pytest.Item) -> int:
    """Where a test's file stands in FIRST; behind it if nowhere."""
    return next((number for number, name in enumerate(FIRST) if item.nodeid.startswith(name)), len(FIRST))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files of FIRST first; each file keeps its own order."""
    items.sort(key=place)
