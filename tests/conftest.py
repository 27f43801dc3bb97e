"""Which tests run beside others, and which alone: ``make test`` runs the two kinds one after the other."""

from __future__ import annotations

from pathlib import Path

import pytest

# What only computes. Everything else starts processes, waits for times, or measures memory.
BESIDE_OTHERS = (
    "bench/test_docs.py",
    "bench/test_queries.py",
    "bench/test_result.py",
    "corefile",
    "deploy",
    "fuzz",
    "plugins/cache/test_answers.py",
    "plugins/cache/test_config.py",
    "plugins/forward/test_config.py",
    "plugins/kubernetes/test_cases.py",
    "plugins/kubernetes/test_property.py",
    "plugins/kubernetes/test_reference.py",
    "plugins/log/test_classes.py",
    "plugins/log/test_config.py",
    "plugins/log/test_lines.py",
    "plugins/loop/test_config.py",
    "plugins/test_loadbalance.py",
    "plugins/test_weights.py",
    "plugins/test_whoami.py",
    "test_security.py",
    "test_wire.py",
    "test_wire_dnslib.py",
    "test_wire_replies.py",
)
TESTS = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what has to run alone."""
    for item in items:
        if not item.path.relative_to(TESTS).as_posix().startswith(BESIDE_OTHERS):
            item.add_marker("alone")
