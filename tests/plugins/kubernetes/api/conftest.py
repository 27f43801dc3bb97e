"""An API server with a few objects for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from fastdns.bench.apiserver import ApiServer, Store, fill
from fastdns.plugins.kubernetes.api import client


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused credentials are asked for again sooner than once a second."""
    monkeypatch.setattr(client, "REFRESH_INTERVAL_S", 0.05)


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    store = Store()
    fill(store, services=20, endpoints=3)
    async with ApiServer(store, tls=True, bookmark_every_s=0.2) as server:
        yield server
