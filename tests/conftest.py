"""Which tests run beside others, and which alone: ``make test`` runs the two kinds one after the other."""

from __future__ import annotations

from pathlib import Path

import pytest

# What floods, kills on all cores, measures memory or shares of CPUs, or makes networks: it takes the whole machine.
# Everything else waits for conditions, and runs beside others.
ALONE = (
    "bench/apiserver/test_process.py",
    "bench/test_cli.py",
    "bench/test_cluster.py",
    "bench/test_compare.py",
    "bench/test_generator.py",
    "bench/test_load.py",
    "integration/faults",
    "integration/test_drop_in.py",
    "integration/test_kill.py",
    "integration/test_pid1.py",
    "integration/test_wildcard.py",
    "test_cache.py",
    "test_hot_thread.py",
    "test_store_processes.py",
    "upstream/test_bounds.py",
    "upstream/test_hostile.py",
    "upstream/test_shares.py",
)
TESTS = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what has to run alone."""
    for item in items:
        if item.path.relative_to(TESTS).as_posix().startswith(ALONE):
            item.add_marker("alone")
