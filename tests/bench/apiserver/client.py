"""A client of the test API server, and the watches that it reads."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp

from fastdns.bench.apiserver import ApiServer

SERVICES = "/api/v1/services"
SLICES = "/apis/discovery.k8s.io/v1/endpointslices"
IMPORTS = "/apis/multicluster.x-k8s.io/v1alpha1/serviceimports"
STREAM = {
    "watch": "1",
    "sendInitialEvents": "true",
    "resourceVersionMatch": "NotOlderThan",
    "allowWatchBookmarks": "true",
}


class Watch:
    """The lines of a watch as they come."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response

    async def line(self, timeout: float = 3.0) -> bytes:
        async with asyncio.timeout(timeout):
            return await self.response.content.readline()

    async def event(self, timeout: float = 3.0) -> dict[str, Any]:
        line = await self.line(timeout)
        assert line, "the watch has ended"
        event: dict[str, Any] = json.loads(line)
        return event

    async def initial(self) -> list[dict[str, Any]]:
        """Everything up to the bookmark that ends the initial events, and it."""
        events = [await self.event()]
        while events[-1]["type"] != "BOOKMARK":
            events.append(await self.event())
        return events


class Client:
    """Asks the server as its service account."""

    def __init__(self, server: ApiServer, token: str | None = None) -> None:
        connector = aiohttp.TCPConnector(ssl=server.client_context() or True, limit=0)
        headers = {"Authorization": f"Bearer {token or server.token}"}
        self.session = aiohttp.ClientSession(server.url, connector=connector, headers=headers)

    async def get(self, path: str, **query: Any) -> tuple[int, Any]:
        async with self.session.get(path, params=_query(query)) as response:
            body = await response.read()
            json_ = response.content_type == "application/json"
            return response.status, json.loads(body) if json_ else body.decode()

    async def raw(
        self, path: str, query: dict[str, Any] | None = None, **headers: str
    ) -> tuple[aiohttp.ClientResponse, bytes]:
        async with self.session.get(path, params=_query(query or {}), headers=headers) as response:
            return response, await response.read()

    @contextlib.asynccontextmanager
    async def watch(self, path: str, headers: dict[str, str] | None = None, **query: Any) -> AsyncIterator[Watch]:
        params = _query({"watch": "1", **query})
        async with self.session.get(path, params=params, headers=headers, read_bufsize=1 << 22) as response:
            assert response.status == 200, await response.text()
            yield Watch(response)


def _query(query: dict[str, Any]) -> dict[str, str]:
    names = {
        "rv": "resourceVersion",
        "labels": "labelSelector",
        "fields": "fieldSelector",
        "continue_": "continue",
    }
    return {names.get(name, name): str(value) for name, value in query.items()}


def names(body: Any) -> list[str]:
    return [item["metadata"]["name"] for item in body["items"]]
