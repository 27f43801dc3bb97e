"""A test API server with a small cluster, and a client of it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from fastdns.bench.apiserver import ApiServer, Store, fill
from tests.bench.apiserver.client import Client


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    store = Store()
    fill(store, services=60, endpoints=3, pods=True)
    async with ApiServer(store, tls=False, imports=True, future_wait_s=0.05) as running:
        yield running


@pytest.fixture
async def client(server: ApiServer) -> AsyncIterator[Client]:
    made = Client(server)
    yield made
    await made.session.close()
