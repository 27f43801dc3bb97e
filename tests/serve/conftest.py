"""The plugins of choosing.py, as if their package were installed."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import EntryPoint

import pytest

from fastdns.plugins import order
from tests.serve.points import ENTRY_POINTS


@pytest.fixture
def choosing(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Corefiles may name them."""
    points = {name: EntryPoint(name, value, order.GROUP) for name, value in ENTRY_POINTS.items()}
    monkeypatch.setattr(order, "external", lambda: points)
    monkeypatch.setattr(order, "_order", list(order.ORDER))
    order.load.cache_clear()
    yield
    order.load.cache_clear()
