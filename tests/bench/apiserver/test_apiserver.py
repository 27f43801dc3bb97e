"""The test API server against recordings of a real one, then its own: selectors, pages, watches, faults."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from fastdns.bench import apiserver
from fastdns.bench.apiserver import ApiServer, Churn, Store, endpoint, fill, service, slice_
from fastdns.bench.apiserver.faults import NAMES
from fastdns.bench.apiserver.kinds import BY_NAME, KINDS
from fastdns.bench.apiserver.process import Process
from fastdns.bench.apiserver.selectors import parse_labels
from fastdns.bench.apiserver.statuses import continue_token
from fastdns.plugins.kubernetes.objects import TYPES
from fastdns.plugins.kubernetes.sink import Resource

RECORDINGS = Path(__file__).parent / "recordings"
SERVICES = "/api/v1/services"
SLICES = "/apis/discovery.k8s.io/v1/endpointslices"
IMPORTS = "/apis/multicluster.x-k8s.io/v1alpha1/serviceimports"
STREAM = {
    "watch": "1",
    "sendInitialEvents": "true",
    "resourceVersionMatch": "NotOlderThan",
    "allowWatchBookmarks": "true",
}


def recording(name: str) -> str:
    return (RECORDINGS / name).read_text()


def recorded_events(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in recording(name).splitlines() if line]


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


# What the recordings show.


def recorded_store() -> Store:
    """A store with the objects, versions and uids of the recorded lists."""
    objects = []
    for file in (
        "services-list",
        "services-list-page1",
        "endpointslices-list",
        "namespaces-list",
        "pods-list",
    ):
        body = json.loads(recording(f"{file}.json"))
        kind = BY_NAME[body["kind"].removesuffix("List")]
        for item in body["items"]:
            objects.append({"kind": kind.kind, "apiVersion": kind.api_version, **item})
    store = Store(rv=1)
    for obj in sorted(objects, key=lambda obj: int(obj["metadata"]["resourceVersion"])):
        version = int(obj["metadata"]["resourceVersion"])
        if version > store.rv:
            store.rv = version - 1
            store.put(obj)
    store.rv = 31397
    store.compact()
    return store


@pytest.fixture
async def recorded() -> AsyncIterator[Client]:
    async with ApiServer(recorded_store(), tls=False) as running:
        made = Client(running)
        yield made
        await made.session.close()


@pytest.mark.parametrize(
    ("name", "path", "query"),
    [
        ("services-list", "/api/v1/namespaces/edge-a/services", {}),
        ("endpointslices-list", "/apis/discovery.k8s.io/v1/namespaces/edge-a/endpointslices", {}),
        ("pods-list", "/api/v1/namespaces/edge-a/pods", {}),
        ("services-list-page1", SERVICES, {"limit": 3}),
        ("namespaces-list", "/api/v1/namespaces", {"limit": 3}),
    ],
)
async def test_a_list_is_byte_for_byte_the_recorded_one(recorded, name, path, query):
    response, body = await recorded.raw(path, query, **{"User-Agent": "curl/8"})
    text = body.decode()
    wanted = recording(f"{name}.json")
    if query:
        # The recorded cluster had more objects behind this page.
        body, page = json.loads(text), json.loads(wanted)
        remaining = page["metadata"].pop("remainingItemCount")
        if name.startswith("services"):
            assert remaining > body["metadata"].pop("remainingItemCount") > 0
            text, wanted = json.dumps(body), json.dumps(page)
        else:
            page["metadata"].pop("continue")
            text, wanted = json.dumps(body), json.dumps(page)
    assert text == wanted
    wanted_headers = recording(f"{name}.json.headers").lower()
    assert ("content-length" in response.headers) == ("content-length" in wanted_headers)
    sent = {key.lower() for key in response.headers} - {"content-length", "transfer-encoding"}
    lines = wanted_headers.splitlines()[1:]
    assert sent == {line.partition(":")[0] for line in lines if line} - {"content-length"}
    assert response.headers["Content-Type"] == "application/json"


async def test_the_second_page_continues_the_first(recorded):
    token = json.loads(recording("services-list-page1.json"))["metadata"]["continue"]
    status, body = await recorded.get(SERVICES, limit=2, continue_=token)
    wanted = json.loads(recording("services-list-page2.json"))
    assert status == 200
    assert body["items"] == wanted["items"]
    assert list(body["metadata"]) == list(wanted["metadata"])
    assert body["metadata"]["continue"] == wanted["metadata"]["continue"]


@pytest.mark.parametrize(("name", "path"), [("services", SERVICES), ("endpointslices", SLICES)])
async def test_initial_events_are_shaped_as_recorded(recorded, name, path):
    wanted = {
        event["object"]["metadata"].get("name", ""): event
        for event in recorded_events(f"{name}-watch-initial-events.jsonl")
    }
    async with recorded.watch(path, **STREAM) as watch:
        events = await watch.initial()
    compared = 0
    for event in events:
        other = wanted.get(event["object"]["metadata"].get("name", ""))
        if other is not None:
            # The watch was recorded on a cluster like the one of the lists, so what differs is known.
            blank = ("uid", "resourceVersion", "creationTimestamp", "time", "generation")
            shown = _blank(event, blank), _blank(other, blank)
            if "clusterIP" not in json.dumps(shown) and "churn" not in json.dumps(shown):
                assert json.dumps(shown[0]) == json.dumps(shown[1])
            assert _paths(event) == _paths(other)
            compared += 1
    assert compared >= len(wanted) - 1
    last = json.loads(json.dumps(events[-1]).replace("31397", "260"))
    assert json.dumps(last) == json.dumps(wanted[""])


def _blank(value: Any, fields: tuple[str, ...]) -> Any:
    if isinstance(value, dict):
        return {name: None if name in fields else _blank(inner, fields) for name, inner in value.items()}
    return [_blank(inner, fields) for inner in value] if isinstance(value, list) else value


def _paths(value: Any, at: str = "") -> set[str]:
    if isinstance(value, dict):
        return {at}.union(*(_paths(inner, f"{at}.{name}") for name, inner in value.items()))
    if isinstance(value, list):
        return {at}.union(*(_paths(inner, f"{at}[]") for inner in value))
    return {at}


async def test_refusals_are_word_for_word_the_recorded_ones(recorded, server):
    async def ask(path: str, headers: dict[str, str], **query: str) -> tuple[int, str, dict[str, str]]:
        async with aiohttp.ClientSession() as session:
            url = f"{recorded.session._base_url}".rstrip("/") + path
            agent = {"User-Agent": "curl/8", **headers}
            async with session.get(url, params=query, headers=agent) as response:
                return response.status, await response.text(), dict(response.headers)

    known = {"Authorization": recorded.session.headers["Authorization"]}
    cases = [
        ("forbidden.json", 403, ask(SERVICES, {})),
        ("unauthorized.json", 401, ask(SERVICES, {"Authorization": "Bearer stranger"})),
        ("no-such-resource.json", 404, ask(IMPORTS, known)),
        (
            "watch-initial-events-bad-request.json",
            422,
            ask(SERVICES, known, watch="1", sendInitialEvents="true", allowWatchBookmarks="true"),
        ),
        ("list-expired-continue.json", 410, ask(SERVICES, known, **{"continue": continue_token(1, "a/b")})),
    ]
    for name, code, asked in cases:
        status, text, headers = await asked
        assert (status, text) == (code, recording(name)), name
        wanted = {line.partition(":")[0] for line in recording(f"{name}.headers").splitlines()[1:] if line}
        assert {key.lower() for key in headers} == wanted, name
        assert headers["Content-Type"] in recording(f"{name}.headers")


async def test_version_has_the_recorded_keys(recorded):
    status, body = await recorded.get("/version")
    wanted = json.loads(recording("version.json"))
    assert (status, list(body)) == (200, list(wanted))
    assert (body["major"], body["minor"]) == (wanted["major"], wanted["minor"])


async def test_a_watch_from_too_long_ago_gets_the_recorded_error_event(server, client):
    server.store.compact()
    async with client.watch(SERVICES, rv=1) as watch:
        text = (await watch.line()).decode()
        assert await watch.line() == b""
    assert text == recording("watch-too-old.jsonl").replace("30752", str(server.store.rv))


async def test_an_old_server_refuses_streaming_lists_with_the_recorded_event(server, client):
    server.faults.set("no_streaming", times=1)
    async with client.watch(SERVICES, **STREAM) as watch:
        assert (await watch.line()).decode() == recording("watch-initial-events-refused-old-etcd.jsonl")
        assert await watch.line() == b""
    server.faults.set("no_streaming", form="invalid")
    status, body = await client.get(SERVICES, **STREAM)
    assert (status, body["reason"]) == (422, "Invalid")
    server.faults.clear()
    server.faults.set("no_streaming", form="ignored")
    async with client.watch(SERVICES, **STREAM) as watch:
        for _ in range(server.store.count("services")):
            assert (await watch.event())["type"] == "ADDED"
        with pytest.raises(TimeoutError):
            await watch.line(0.05)


async def test_a_watch_from_the_future_says_nothing(server, client):
    async with client.watch(SERVICES, rv=10**9, timeoutSeconds=1) as watch:
        assert await watch.response.read() == recording("watch-future-rv.jsonl").encode()


async def test_changes_are_told_as_recorded(server, client):
    wanted = recorded_events("endpointslices-watch-changes.jsonl")
    put, delete = server.store.put, server.store.delete
    put(slice_("churn-a", "edge-a", service="churn", endpoints=["10.246.0.1"]))
    put(slice_("dupip-b", "edge-a", service="dupip", endpoints=["10.244.6.1"]))
    async with client.watch(SLICES, rv=server.store.rv, allowWatchBookmarks="true", timeoutSeconds=3) as watch:
        for last in (2, 3, 4):
            put(slice_("churn-a", "edge-a", service="churn", endpoints=[f"10.246.0.{last}"]))
        delete("endpointslices", "edge-a", "dupip-b")
        events = [await watch.event() for _ in wanted]
    blank = ("uid", "resourceVersion", "creationTimestamp", "time")
    assert json.dumps(_blank(events, blank)) == json.dumps(_blank(wanted, blank))
    versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in events]
    assert versions == [*range(versions[0], versions[0] + 4), versions[3]]


async def test_pods_leave_the_field_selector_and_die_gracefully_as_recorded(client, server):
    wanted = recorded_events("pods-watch-changes.jsonl")
    server.replace(store := Store())
    store.put(apiserver.pod("pod-one", "edge-a", ip="10.244.8.1"))
    store.put(apiserver.pod("pod-six", "edge-a", ip="fd00:10:244::81"))
    store.put(apiserver.pod("pod-two", "edge-b", ip="10.244.8.2"))
    fields = "status.phase!=Succeeded,status.phase!=Failed,status.phase!=Unknown"
    async with client.watch("/api/v1/pods", **STREAM, fields=fields, timeoutSeconds=3) as watch:
        events = await watch.initial()
        store.patch("pods", "edge-b", "pod-two", {"status": {"phase": "Succeeded"}})
        store.delete("pods", "edge-a", "pod-one", grace_s=30)
        events += [await watch.event() for _ in range(3)]
    blank = ("uid", "resourceVersion", "creationTimestamp", "deletionTimestamp", "time")
    assert json.dumps(_blank(events, blank)) == json.dumps(_blank(wanted, blank))


@pytest.mark.parametrize("name", ["services-list", "endpointslices-list", "namespaces-list", "pods-list"])
async def test_what_is_built_has_the_weight_of_what_was_recorded(name):
    for item in json.loads(recording(f"{name}.json"))["items"]:
        built = _rebuild(name, item)
        for field in ("uid", "resourceVersion", "generation"):
            item["metadata"].pop(field, None)
        assert json.dumps(built["metadata"]) == json.dumps(_retimed(item["metadata"])), item["metadata"]["name"]
        rest = {key: value for key, value in built.items() if key not in ("kind", "apiVersion", "metadata")}
        assert json.dumps(rest) == json.dumps({key: item[key] for key in item if key != "metadata"})


def _retimed(value: Any) -> Any:
    text = json.dumps(value)
    for moment in {value["creationTimestamp"], value["managedFields"][0]["time"]}:
        text = text.replace(moment, "2026-11-23T05:47:51Z")
    return json.loads(text)


def _rebuild(name: str, item: dict[str, Any]) -> dict[str, Any]:
    """The recorded object as the builders make it."""
    meta = item["metadata"]
    if name == "namespaces-list":
        if meta["name"] == "default":
            # Made by the API server itself.
            meta["managedFields"][0]["manager"] = "unknown"
        labels = {key: value for key, value in meta["labels"].items() if key != "kubernetes.io/metadata.name"}
        return apiserver.namespace(meta["name"], labels=labels)
    if name == "pods-list":
        return apiserver.pod(meta["name"], meta["namespace"], ip=item["status"]["podIP"])
    spec = item.get("spec", item)
    ports = [(port.get("name", ""), port["protocol"], port["port"]) for port in spec.get("ports") or ()]
    if name == "endpointslices-list":
        owner = meta["labels"]["kubernetes.io/service-name"]
        return slice_(
            meta["name"],
            meta["namespace"],
            service=owner,
            endpoints=item["endpoints"],
            ports=ports,
            family=item["addressType"],
        )
    addresses = [address for address in spec.get("clusterIPs", ()) if address != "None"]
    built = service(
        meta["name"],
        meta["namespace"],
        cluster_ips=addresses,
        external_name=spec.get("externalName", ""),
        ports=ports,
        publish_not_ready=spec.get("publishNotReadyAddresses", False),
    )
    # Which families were asked for, and which came of themselves, shows only here.
    if json.dumps(spec.get("ipFamilies")) == '["IPv6", "IPv4"]':
        built["metadata"]["managedFields"] = json.loads(
            json.dumps(meta["managedFields"]).replace(meta["managedFields"][0]["time"], "2026-11-23T05:47:51Z")
        )
        built["spec"] = spec
    return built


# Selectors.


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


# Credentials.


async def test_tls_tokens_and_certificates(tmp_path):
    async with ApiServer(directory=tmp_path) as server:
        client = Client(server)
        assert (await client.get(SERVICES))[0] == 200
        assert (await client.get(f"{SERVICES[:7]}/namespaces/default/services/x"))[0] == 403
        old = server.token
        server.rotate_token()
        assert (await client.get(SERVICES))[0] == 401
        assert server.token_file.read_text() == server.token != old
        await client.session.close()
        context = server.client_context()
        context.load_cert_chain(*server.client_certificate())
        connector = aiohttp.TCPConnector(ssl=context)
        async with aiohttp.ClientSession(server.url, connector=connector) as session:
            async with session.get(f"{SERVICES[:7]}/namespaces/default/services/x") as response:
                assert (response.status, (await response.json())["reason"]) == (404, "NotFound")
            async with session.get("/nowhere") as response:
                assert response.status == 404
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await session.get(server.url + "/version")
            for path, code in (("/healthz", 200), ("/readyz", 200), ("/apis", 403)):
                async with session.get(server.url + path, ssl=server.client_context()) as response:
                    assert response.status == code


@pytest.mark.parametrize("how", ["token", "token_file", "cert", "exec"])
async def test_kubeconfigs_are_what_the_kubernetes_package_reads(tmp_path, how):
    from kubernetes import client, config

    store = Store()
    fill(store, services=5)
    async with ApiServer(store) as server:
        path = server.kubeconfig(tmp_path / "config", how=how, embed=how == "token")

        def ask() -> list[str]:
            api = client.CoreV1Api(config.new_client_from_config(str(path)))
            return [item.metadata.name for item in api.list_service_for_all_namespaces(limit=3).items]

        found = await asyncio.to_thread(ask)
        assert len(found) == 3
        environment = server.service_account(tmp_path / "mounted")
        assert environment["KUBERNETES_SERVICE_PORT"] == str(server.port)
        assert (tmp_path / "mounted" / "ca.crt").exists()


# Faults.


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
    text = Path(__file__).read_text()
    assert [name for name in NAMES if f'"{name}"' not in text] == []
    with pytest.raises(ValueError, match="no such fault"):
        apiserver.Faults().set("fire")


# Size.


def test_the_same_seed_makes_the_same_cluster():
    stores = [Store(), Store(), Store()]
    for store, seed in zip(stores, (5, 5, 6), strict=True):
        fill(store, services=50, endpoints=120, seed=seed)
    dumps = [
        [(version.key, version.meta, version.rest) for version in store.tables["endpointslices"].current.values()]
        for store in stores
    ]
    assert dumps[0] == dumps[1] != dumps[2]
    sizes = [
        len(stores[0].get("endpointslices", *key.split("/"))["endpoints"])
        for key in stores[0].keys("endpointslices")
    ]
    assert set(sizes) == {100, 20}


async def test_churn_says_what_it_changed():
    store = Store()
    fill(store, services=50)
    log = await Churn(store, 1000).run(0.2)
    assert 100 < len(log) <= 200
    assert {"replaced", "unready", "service_added"} <= {change.what for change in log}
    last: dict[tuple[str, str], str] = {}
    for change in log:
        for address in filter(None, (change.added, change.removed)):
            if not change.what.startswith("service"):
                last[change.service, address] = "yes" if address == change.added else ""
    ready = set()
    for key in store.keys("endpointslices"):
        obj = store.get("endpointslices", *key.split("/"))
        owner = obj["metadata"]["labels"]["kubernetes.io/service-name"]
        ready |= {(owner, e["addresses"][0]) for e in obj["endpoints"] if e["conditions"]["ready"]}
    assert all((pair in ready) == bool(there) for pair, there in last.items())


async def test_a_large_cluster_is_filled_and_listed_quickly():
    store = Store()
    begin = time.process_time()
    fill(store, services=2000, endpoints=10)
    async with ApiServer(store, tls=False) as server:
        client = Client(server)
        response, body = await client.raw(SLICES)
        assert response.headers["Content-Encoding"] == "gzip"
        response, plain = await client.raw(SLICES, **{"Accept-Encoding": "identity"})
        assert "Content-Encoding" not in response.headers and plain == body
        assert len(json.loads(body)["items"]) == store.count("endpointslices") == 2080
        await client.session.close()
    assert time.process_time() - begin < 4


# A process of its own.


def test_a_process_of_its_own_is_driven_through_its_control_endpoint(tmp_path):
    with Process(services=20, endpoints=2, tls=False, churn=200, kubeconfig=tmp_path / "kubeconfig") as process:
        assert process.kubeconfig == tmp_path / "kubeconfig"
        assert process.info["services"] == 20
        process.post(
            "put", endpoint_slice := slice_("mine", "zz", service="mine", endpoints=[endpoint("10.9.9.9")])
        )
        assert endpoint_slice["kind"] == "EndpointSlice"
        process.fault("error", resource="services")
        command = [
            "curl",
            "-s",
            "-H",
            f"Authorization: Bearer {process.info['token']}",
            process.url + SERVICES,
        ]
        answer = subprocess.run(command, capture_output=True, check=True).stdout
        assert json.loads(answer)["code"] == 500
        process.clear()
        assert process.get("requests")[0]["status"] == 500
        deadline = time.monotonic() + 5
        while not process.get("log") and time.monotonic() < deadline:
            time.sleep(0.01)
        assert process.get("log")[0]["rv"] > 0
        process.post("replace", {"services": 3})
        assert process.get("state")["services"] == 3
