"""What is listed and watched: selectors, pages, versions, streams, bookmarks, metadata."""

from __future__ import annotations

import asyncio
import json
import time

import msgspec
import pytest

from fastdns.bench import apiserver
from fastdns.bench.apiserver import ApiServer, Churn, service, slice_
from fastdns.bench.apiserver.kinds import KINDS
from fastdns.bench.apiserver.selectors import parse_labels
from fastdns.plugins.kubernetes.objects import TYPES
from fastdns.plugins.kubernetes.sink import Resource
from tests.bench.apiserver.client import IMPORTS, SERVICES, SLICES, STREAM, Client, names


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("app=web", True),
        ("app==web,tier=front", True),
        ("app=web,tier!=front", False),
        ("tier!=back", True),
        ("absent!=x", True),
        ("absent=x", False),
        ("app in (api, web)", True),
        ("app in (api)", False),
        ("app notin (api,db),tier", True),
        ("absent notin (x)", True),
        ("tier", True),
        ("!tier", False),
        ("!absent", True),
        ("app in (web),tier notin (back)", True),
    ],
)
def test_label_selectors(text, wanted):
    labels = {"app": "web", "tier": "front"}
    assert all(test(labels) for test in parse_labels(text)) is wanted


async def test_selectors_of_lists(server, client):
    _, everything = await client.get(SERVICES)
    front = [item for item in everything["items"] if item["metadata"]["labels"]["tier"] == "front"]
    _, found = await client.get(SERVICES, labels="tier in (front)")
    assert found["items"] == front
    assert 0 < len(front) < len(everything["items"])
    for fields, wanted in (
        ("metadata.name=svc-00007", ["svc-00007"]),
        ("metadata.name=svc-00007,metadata.namespace=elsewhere", []),
        ("spec.clusterIP==None", [f"svc-{index:05d}" for index in range(5, 60, 10)]),
    ):
        _, found = await client.get(SERVICES, fields=fields)
        assert sorted(names(found)) == wanted
    status, refused = await client.get(SERVICES, fields="spec.color=red")
    assert (status, refused["message"]) == (400, "field label not supported: spec.color")
    _, limited = await client.get(SERVICES, labels="tier=front", limit=2)
    assert "remainingItemCount" not in limited["metadata"]
    assert limited["metadata"]["continue"]
    status, _ = await client.get(SERVICES, labels="a b c")
    assert status == 400


async def test_a_watch_sees_objects_enter_and_leave_its_selector(server, client):
    store = server.store
    async with client.watch(SERVICES, rv=store.rv, labels="color=red") as watch:
        store.put(service("paint", labels={"color": "blue"}))
        store.put(service("paint", labels={"color": "red"}))
        store.put(service("paint", labels={"color": "red", "more": "yes"}))
        store.put(service("paint", labels={"color": "green"}))
        events = [await watch.event() for _ in range(3)]
    assert [event["type"] for event in events] == ["ADDED", "MODIFIED", "DELETED"]
    assert events[2]["object"]["metadata"]["labels"] == {"color": "red", "more": "yes"}
    assert events[2]["object"]["metadata"]["resourceVersion"] == str(store.rv)


# Pages.


@pytest.mark.parametrize("path", [SERVICES, "/api/v1/namespaces/ns-000/services"])
async def test_pages_are_one_consistent_list_whatever_is_written_meanwhile(server, client, path):
    _, whole = await client.get(path)
    found, token, version = [], "", whole["metadata"]["resourceVersion"]
    while True:
        query = {"continue_": token} if token else {}
        _, page = await client.get(path, limit=7, **query)
        assert page["metadata"]["resourceVersion"] == version
        found += page["items"]
        for item in page["items"][:2]:
            server.store.delete("services", item["metadata"]["namespace"], item["metadata"]["name"])
        server.store.put(service(f"new-{len(found)}", "ns-000"))
        server.store.patch("services", found[-1]["metadata"]["namespace"], found[-1]["metadata"]["name"], {"x": 1})
        token = page["metadata"].get("continue", "")
        if not token:
            break
        assert page["metadata"]["remainingItemCount"] == len(whole["items"]) - len(found)
    assert found == whole["items"]


async def test_a_compacted_page_is_gone_and_its_token_gives_the_rest(server, client):
    _, first = await client.get(SERVICES, limit=50)
    server.store.put(service("zz", "zz"))
    server.store.compact()
    status, refused = await client.get(SERVICES, limit=50, continue_=first["metadata"]["continue"])
    assert (status, refused["reason"]) == (410, "Expired")
    status, rest = await client.get(SERVICES, limit=50, continue_=refused["metadata"]["continue"])
    assert (status, len(rest["items"]), names(rest)[-1]) == (200, 11, "zz")
    assert rest["metadata"]["resourceVersion"] == str(server.store.rv)
    server.faults.set("expired_continue")
    status, _ = await client.get(SERVICES, limit=5, continue_=first["metadata"]["continue"])
    assert status == 410


async def test_resource_versions_of_lists(server, client):
    version = server.store.rv
    server.store.put(service("late", "zz"))
    cases = [
        ({"rv": 0, "limit": 5}, 200, 61),
        ({"rv": version}, 200, 61),
        ({"rv": version, "resourceVersionMatch": "NotOlderThan"}, 200, 61),
        ({"rv": version, "resourceVersionMatch": "Exact"}, 200, 60),
        ({"rv": version, "limit": 100}, 200, 60),
        ({"rv": version + 50}, 504, 0),
        ({"rv": 0, "resourceVersionMatch": "Exact"}, 422, 0),
        ({"rv": 3, "resourceVersionMatch": "Exact"}, 410, 0),
        ({"resourceVersionMatch": "Exact"}, 422, 0),
        ({"sendInitialEvents": "true"}, 422, 0),
        ({"rv": "abc"}, 400, 0),
        ({"continue_": "nonsense"}, 400, 0),
        ({"watch": "1", "resourceVersionMatch": "NotOlderThan"}, 422, 0),
    ]
    for query, code, count in cases:
        status, body = await client.get(SERVICES, **query)
        assert (status, len(body.get("items", ()))) == (code, count), query
        assert status == 200 or body["kind"] == "Status"


# Watches.


async def test_list_then_watch_has_no_gap_and_no_double_while_others_write(server, client):
    async def write() -> None:
        churn = Churn(server.store, seed=3)
        for number in range(1500):
            churn.step()
            if number % 10 == 0:
                await asyncio.sleep(0)
        server.store.put(slice_("last", "zz", service="last"))

    writing = asyncio.create_task(write())
    await asyncio.sleep(0)
    _, body = await client.get(SLICES)
    state = {item["metadata"]["name"]: item["metadata"]["resourceVersion"] for item in body["items"]}
    version = int(body["metadata"]["resourceVersion"])
    seen = []
    while "last" not in state:
        # Every watch is short, and each goes on where the one before has ended.
        async with client.watch(SLICES, rv=version) as watch:
            for _ in range(100):
                event = await watch.event()
                meta = event["object"]["metadata"]
                version = int(meta["resourceVersion"])
                seen.append(version)
                state[meta["name"]] = meta["resourceVersion"]
                if meta["name"] == "last":
                    break
    await writing
    assert seen == sorted(set(seen))
    _, body = await client.get(SLICES)
    assert state == {item["metadata"]["name"]: item["metadata"]["resourceVersion"] for item in body["items"]}


async def test_a_streaming_list_waits_for_the_version_asked_for(server, client):
    wanted = server.store.rv + 2
    async with client.watch(SERVICES, **STREAM, rv=wanted) as watch:
        events = [await watch.event() for _ in range(60)]
        assert {event["type"] for event in events} == {"ADDED"}
        server.store.put(service("one", "zz"))
        server.store.put(service("two", "zz"))
        events = await watch.initial()
    assert [event["object"]["metadata"].get("name") for event in events] == ["one", "two", None]
    assert events[-1]["object"]["metadata"]["resourceVersion"] == str(wanted)


async def test_a_watch_without_version_starts_with_what_is_there(server, client):
    async with client.watch("/api/v1/namespaces") as watch:
        events = [await watch.event() for _ in range(3)]
        server.store.put(apiserver.namespace("zz"))
        events.append(await watch.event())
    found = [event["object"]["metadata"]["name"] for event in events]
    assert found == ["default", "kube-system", "ns-000", "zz"]


async def test_bookmarks_come_to_an_idle_watch_that_asked_for_them():
    async with ApiServer(tls=False, bookmark_every_s=0.05) as server:
        client = Client(server)
        async with client.watch(SERVICES, rv=server.store.rv, allowWatchBookmarks="true") as watch:
            server.store.put(apiserver.namespace("elsewhere"))
            event = await watch.event()
            assert event["object"]["metadata"] == {"resourceVersion": str(server.store.rv)}
            server.faults.set("no_bookmarks")
            with pytest.raises(TimeoutError):
                await watch.line(0.15)
        async with client.watch(SERVICES, rv=server.store.rv) as watch:
            with pytest.raises(TimeoutError):
                await watch.line(0.15)
        await client.session.close()


async def test_a_watch_ends_cleanly_at_its_timeout(server, client):
    async with client.watch(SERVICES, rv=server.store.rv, timeoutSeconds=1) as watch:
        begin = time.monotonic()
        assert await watch.line() == b""
        assert 0.8 < time.monotonic() - begin < 2
    assert server.watches == 0


async def test_metadata_only(server, client):
    accept = "application/json;as=PartialObjectMetadata{};g=meta.k8s.io;v=v1"
    _, text = await client.raw(SLICES, Accept=accept.format("List"))
    body = json.loads(text)
    assert (body["kind"], body["apiVersion"]) == ("PartialObjectMetadataList", "meta.k8s.io/v1")
    for item in body["items"]:
        assert list(item) == ["kind", "apiVersion", "metadata"]
        assert item["metadata"]["managedFields"]
    async with client.watch(SLICES, {"Accept": accept.format("")}, **STREAM) as watch:
        events = await watch.initial()
    for event in events:
        assert list(event["object"]) == ["kind", "apiVersion", "metadata"]
        assert event["object"]["kind"] == "PartialObjectMetadata"


async def test_service_imports_are_written_as_custom_resources_are(server, client):
    server.store.put(apiserver.service_import("web", "default", ips=["10.1.0.1"]))
    _, body = await client.get(IMPORTS)
    assert list(body) == ["apiVersion", "items", "kind", "metadata"]
    assert list(body["items"][0]) == ["apiVersion", "kind", "metadata", "spec", "status"]
    _, resources = await client.get("/apis/multicluster.x-k8s.io/v1alpha1")
    assert [resource["name"] for resource in resources["resources"]] == ["serviceimports"]
    _, groups = await client.get("/apis")
    assert {group["name"] for group in groups["groups"]} == {"discovery.k8s.io", "multicluster.x-k8s.io"}
    async with client.watch(IMPORTS, **STREAM) as watch:
        events = await watch.initial()
    assert [event["type"] for event in events] == ["ADDED", "BOOKMARK"]
    assert list(events[1]["object"]) == ["apiVersion", "kind", "metadata"]


# The product reads it.


async def test_lists_and_watches_decode_to_what_the_product_reads(server, client):
    server.store.put(apiserver.service_import("web", "default", ips=["10.1.0.1"]))
    for resource, plural in (
        (Resource.SERVICE, "services"),
        (Resource.SLICE, "endpointslices"),
        (Resource.NAMESPACE, "namespaces"),
        (Resource.POD, "pods"),
        (Resource.IMPORT, "serviceimports"),
    ):
        struct = TYPES[resource]
        _, body = await client.raw(f"{KINDS[plural].path}/{plural}")
        items = msgspec.json.decode(body, type=msgspec.defstruct("List", [("items", list[struct])])).items
        assert len(items) == server.store.count(plural) > 0
        async with client.watch(f"{KINDS[plural].path}/{plural}", **STREAM) as watch:
            decoder = msgspec.json.Decoder(msgspec.defstruct("Event", [("type", str), ("object", struct)]))
            objects = [decoder.decode(await watch.line()).object for _ in items]
            assert objects == items
            assert decoder.decode(await watch.line()).type == "BOOKMARK"
