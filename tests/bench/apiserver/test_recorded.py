"""The test API server against recordings of a real one."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from fastdns.bench import apiserver
from fastdns.bench.apiserver import ApiServer, Store, service, slice_
from fastdns.bench.apiserver.kinds import BY_NAME
from fastdns.bench.apiserver.statuses import continue_token
from tests.bench.apiserver.client import IMPORTS, SERVICES, SLICES, STREAM, Client

RECORDINGS = Path(__file__).parent / "recordings"


def recording(name: str) -> str:
    return (RECORDINGS / name).read_text()


def recorded_events(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in recording(name).splitlines() if line]


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
