"""What a real API server 1.36 said, replayed over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from fastdns.plugins.kubernetes.api import errors
from fastdns.plugins.kubernetes.api.client import Client
from fastdns.plugins.kubernetes.api.connection import Connection
from fastdns.plugins.kubernetes.api.reflector import Reflector
from fastdns.plugins.kubernetes.api.source import Outage
from fastdns.plugins.kubernetes.resources import Watched
from fastdns.plugins.kubernetes.sink import Resource
from tests.plugins.kubernetes.api.support import FAST, CountingMetrics, RecordingSink, decoded, key

RECORDINGS = Path(__file__).parent / "recordings"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture
async def serve() -> AsyncIterator[Callable[[Handler], Awaitable[Client]]]:
    """Starts a server with one handler; gives a client to it."""
    ends: list[Any] = []

    async def start(handler: Handler) -> Client:
        app = web.Application()
        app.router.add_get("/{path:.*}", handler)
        server = TestServer(app)
        await server.start_server()

        async def connection() -> Connection:
            return Connection(host_url=str(server.make_url("")).rstrip("/"))

        client = Client(connection)
        ends.extend((server, client))
        return client

    yield start
    for end in reversed(ends):
        await end.close()


def recorded(name: str, status: int = 200) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        return web.Response(body=(RECORDINGS / name).read_bytes(), status=status, content_type="application/json")

    return handle


def reflector(client: Client, resource: Resource) -> Reflector:
    return Reflector(
        Watched(resource, "/x", name="x"),
        client,
        RecordingSink(),
        Outage(),
        metrics=CountingMetrics(),
        timing=FAST,
    )


def expected(name: str) -> dict[str, Any]:
    """What is left of a recorded watch, by a decoder of its own."""
    left: dict[str, Any] = {}
    for line in (RECORDINGS / name).read_bytes().splitlines():
        event = decoded(line)
        meta = event["object"]["metadata"]
        if event["type"] in ("ADDED", "MODIFIED"):
            left[f"{meta['namespace']}/{meta['name']}"] = event["object"]
        elif event["type"] == "DELETED":
            left.pop(f"{meta['namespace']}/{meta['name']}", None)
    return left


@pytest.mark.parametrize(
    ("name", "resource"),
    [
        ("services-watch-initial-events.jsonl", Resource.SERVICE),
        ("endpointslices-watch-initial-events.jsonl", Resource.SLICE),
    ],
)
async def test_initial_events(serve: Any, name: str, resource: Resource) -> None:
    made = reflector(await serve(recorded(name)), resource)
    await made._once()
    sink: Any = made._sink
    assert sink.objects[resource].keys() == expected(name).keys() != set()
    assert sink.synced == {resource}
    assert made.version == "260" or int(made.version) > 200
    assert len(made.digest) == len(expected(name))


@pytest.mark.parametrize(
    ("name", "resource"),
    [
        ("endpointslices-watch-changes.jsonl", Resource.SLICE),
        ("pods-watch-changes.jsonl", Resource.POD),
    ],
)
async def test_changes(serve: Any, name: str, resource: Resource) -> None:
    made = reflector(await serve(recorded(name)), resource)
    made.version = "1"
    await made._once()
    sink: Any = made._sink
    lines = (RECORDINGS / name).read_bytes().splitlines()
    last = decoded(lines[-1])["object"]["metadata"]["resourceVersion"]
    assert made.version == last
    told = [line for line in lines if decoded(line)["type"] != "BOOKMARK"]
    assert sink.calls["upsert"] + sink.calls["delete"] == len(told) > 3
    assert sink.objects[resource].keys() == expected(name).keys()


@pytest.mark.parametrize(
    ("name", "resource"), [("services-list.json", Resource.SERVICE), ("pods-list.json", Resource.POD)]
)
async def test_lists(serve: Any, name: str, resource: Resource) -> None:
    made = reflector(await serve(recorded(name)), resource)
    await made._list_pages(500)
    sink: Any = made._sink
    listed = decoded((RECORDINGS / name).read_bytes())["items"]
    assert {key(obj) for obj in sink.objects[resource].values()} == {
        f"{item['metadata']['namespace']}/{item['metadata']['name']}" for item in listed
    }
    assert made.version == "31397"


async def test_pages_and_an_expired_token(serve: Any) -> None:
    answers = ["services-list-page1.json", "services-list-page2.json", "list-expired-continue.json"]
    asked: list[dict[str, str]] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        asked.append(dict(request.query))
        name = answers[min(len(asked), 3) - 1]
        return await recorded(name, 410 if "expired" in name else 200)(request)

    made = reflector(await serve(handle), Resource.SERVICE)
    with pytest.raises(errors.Gone, match="too old to display"):
        await made._list_pages(2)
    first = decoded((RECORDINGS / answers[0]).read_bytes())["metadata"]["continue"]
    assert asked[0] == {"limit": "2"} and asked[1] == {"limit": "2", "continue": first}
    sink: Any = made._sink
    assert sink.calls["upsert"] > 1 and sink.synced == set()


@pytest.mark.parametrize(
    ("name", "status", "error"),
    [
        ("unauthorized.json", 401, errors.Unauthorized),
        ("forbidden.json", 403, errors.Forbidden),
        ("no-such-resource.json", 404, errors.NotFound),
        ("list-expired-continue.json", 410, errors.Gone),
        ("watch-initial-events-bad-request.json", 422, errors.BadRequest),
    ],
)
async def test_refusals(serve: Any, name: str, status: int, error: type[errors.ApiError]) -> None:
    client = await serve(recorded(name, status))
    text = (RECORDINGS / name).read_text()
    with pytest.raises(error) as caught:
        await client.get("/x", {})
    assert caught.value.code == status
    assert caught.value.message in text.replace('\\"', '"').strip()


async def test_an_old_etcd_is_asked_for_pages(serve: Any) -> None:
    made = reflector(await serve(recorded("watch-initial-events-refused-old-etcd.jsonl")), Resource.SERVICE)
    await made._once()
    assert made._contact.streams_lists is False


async def test_too_old(serve: Any) -> None:
    made = reflector(await serve(recorded("watch-too-old.jsonl")), Resource.SERVICE)
    made.version = "1"
    await made._once()
    assert made.version == ""


async def test_lines_come_whole_however_the_bytes_are_cut(serve: Any) -> None:
    body = (RECORDINGS / "endpointslices-watch-initial-events.jsonl").read_bytes()

    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for at in range(0, len(body), 700):
            await response.write(body[at : at + 700])
            if at % 2100 == 0:
                await asyncio.sleep(0.001)
        await response.write(b'{"type":"ADDED","half')
        return response

    client = await serve(handle)
    seen: list[bytes] = []
    async with client.watch("/x", {}, silence_s=5) as batches:
        async for batch in batches:
            assert batch
            seen.extend(batch)
    assert b"\n".join(seen) + b"\n" == body
