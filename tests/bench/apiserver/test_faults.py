"""The faults of the test API server, each as a client sees it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path

import aiohttp
import pytest

from fastdns.bench import apiserver
from fastdns.bench.apiserver import Store, fill, service
from fastdns.bench.apiserver.faults import NAMES
from tests.bench.apiserver.client import SERVICES, SLICES, STREAM, names


@pytest.mark.parametrize(
    ("name", "options", "code", "reason"),
    [
        ("unauthorized", {}, 401, "Unauthorized"),
        ("forbidden", {}, 403, "Forbidden"),
        ("error", {}, 500, "InternalError"),
        ("error", {"code": 503}, 503, "ServiceUnavailable"),
        ("gone", {}, 410, "Expired"),
    ],
)
async def test_faults_that_are_a_status(server, client, name, options, code, reason):
    server.faults.set(name, resource="services", times=2, **options)
    assert (await client.get(SLICES))[0] == 200
    for query in ({}, {"watch": "1"}):
        status, body = await client.get(SERVICES, **query)
        assert (status, body["code"], body["reason"]) == (code, code, reason)
    assert (await client.get(SERVICES))[0] == 200
    assert server.faults.hits[name] == 2
    assert [request.status for request in server.requests] == [200, code, code, 200]


async def test_too_many_requests_and_a_missing_resource(server, client):
    server.faults.set("too_many", retry_after_s=7, times=1)
    response, _ = await client.raw(SERVICES)
    assert (response.status, response.headers["Retry-After"]) == (429, "7")
    server.faults.set("not_found", times=1)
    assert await client.get(SERVICES) == (404, "404 page not found\n")
    assert (await client.get(SERVICES))[0] == 200


async def test_connections_are_refused_and_taken_again_on_the_same_port(server, client):
    async with client.watch(SERVICES, rv=server.store.rv) as watch:
        server.faults.set("refuse")
        with pytest.raises(aiohttp.ClientError):
            await watch.line()
    with pytest.raises(aiohttp.ClientConnectorError):
        await client.get(SERVICES)
    server.faults.clear()
    await asyncio.sleep(0.01)
    assert (await client.get(SERVICES))[0] == 200


async def test_requests_hang_until_the_fault_goes(server, client):
    server.faults.set("hang")
    asking = asyncio.create_task(client.get(SERVICES))
    await asyncio.sleep(0.05)
    assert not asking.done()
    server.faults.clear()
    assert (await asking)[0] == 200


async def test_open_connections_freeze_for_good_and_new_ones_do_not(server, client):
    async with client.watch(SERVICES, rv=server.store.rv) as watch:
        server.faults.set("freeze")
        server.faults.clear()
        server.store.put(service("one", "zz"))
        with pytest.raises(TimeoutError):
            await watch.line(0.05)
        assert (await client.get(SERVICES))[0] == 200
        assert server.faults.hits["freeze"] == 1


async def test_connections_are_taken_without_a_word_until_the_fault_goes(server, client):
    server.faults.set("silent")
    asking = asyncio.create_task(client.get(SERVICES))
    while not server.faults.hits["silent"]:
        await asyncio.sleep(0.01)
    server.faults.clear()
    for _ in range(100):
        with contextlib.suppress(aiohttp.ClientConnectorError):
            assert (await client.get(SERVICES))[0] == 200
            break
        await asyncio.sleep(0.01)
    assert not asking.done(), "what was taken stays silent"
    asking.cancel()


async def test_a_watch_stalls_in_the_middle(server, client):
    async with client.watch(SERVICES, rv=server.store.rv) as watch:
        server.store.put(service("one", "zz"))
        assert await watch.event()
        server.faults.set("stall", verb="watch")
        server.store.put(service("two", "zz"))
        with pytest.raises(TimeoutError):
            await watch.line(0.05)
        server.faults.clear()
        assert (await watch.event())["object"]["metadata"]["name"] == "two"


async def test_connections_are_cut_in_mid_line(server, client):
    async with client.watch(SERVICES, rv=server.store.rv) as watch:
        server.faults.set("cut", times=1)
        server.store.put(service("one", "zz"))
        with pytest.raises(aiohttp.ClientPayloadError):
            await watch.response.read()
    server.faults.set("cut", after=10_000, times=1)
    with pytest.raises(aiohttp.ClientPayloadError):
        await client.get(SERVICES)
    assert (await client.get(SERVICES))[0] == 200


async def test_bytes_come_slowly(server, client):
    server.faults.set("slow", chunk=10_000, pause_s=0.01)
    begin = time.monotonic()
    _, body = await client.raw(SERVICES)
    assert time.monotonic() - begin >= 0.01 * (len(body) // 10_000)


async def test_a_lying_server_keeps_a_change_from_watchers(server, client):
    async with client.watch(SERVICES, rv=server.store.rv) as watch:
        server.faults.set("drop", resource="services", times=1)
        server.store.put(service("hidden", "zz"))
        server.store.put(service("shown", "zz"))
        assert (await watch.event())["object"]["metadata"]["name"] == "shown"
    assert {"hidden", "shown"} <= set(names((await client.get(SERVICES))[1]))


async def test_error_events_in_the_middle_of_a_watch(server, client):
    for name, code in (("gone_event", 410), ("error_event", 500)):
        async with client.watch(SERVICES, rv=server.store.rv) as watch:
            server.faults.set(name, times=1)
            event = await watch.event()
            assert (event["type"], event["object"]["code"]) == ("ERROR", code)
            assert await watch.line() == b""
    async with client.watch(SERVICES, rv=server.store.rv) as watch:
        server.faults.set("close", times=1)
        assert await watch.line() == b""


async def test_doubled_events_garbage_and_wrong_versions(server, client):
    version = server.store.rv
    async with client.watch(SERVICES, rv=version) as watch:
        server.faults.set("duplicate", times=1)
        server.store.put(service("one", "zz"))
        assert await watch.line() == await watch.line()
        server.faults.set("garbage", times=1)
        server.store.put(service("two", "zz"))
        with pytest.raises(ValueError):
            await watch.event()
    server.faults.set("wrong_version", by=-100, times=1)
    _, body = await client.get(SERVICES)
    assert body["metadata"]["resourceVersion"] == str(server.store.rv - 100)
    server.faults.set("no_bookmarks", initial=True)
    async with client.watch("/api/v1/namespaces", **STREAM) as watch:
        for _ in range(3):
            assert (await watch.event())["type"] == "ADDED"
        with pytest.raises(TimeoutError):
            await watch.line(0.05)


async def test_another_cluster_behind_the_same_address(server, client):
    _, before = await client.get(SERVICES)
    other = Store(rv=1, seed=2)
    fill(other, services=10)
    async with client.watch(SERVICES, rv=server.store.rv) as watch:
        server.replace(other)
        with pytest.raises(aiohttp.ClientError):
            await watch.line()
    _, after = await client.get(SERVICES)
    assert int(after["metadata"]["resourceVersion"]) < int(before["metadata"]["resourceVersion"])
    uids = [{item["metadata"]["uid"] for item in body["items"]} for body in (before, after)]
    assert len(uids[1]) == 10 and not uids[0] & uids[1]


def test_each_fault_has_a_test():
    text = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    assert [name for name in NAMES if f'"{name}"' not in text] == []
    with pytest.raises(ValueError, match="no such fault"):
        apiserver.Faults().set("fire")
