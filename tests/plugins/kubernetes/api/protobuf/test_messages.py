"""Protobuf is read as JSON is: recorded objects and made up ones, whole, byte by byte and mangled.

EndpointSlices, of which no object is made, have tests of their own: test_slices.py.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from fastdns.bench.apiserver import protobuf as written
from fastdns.bench.apiserver.kinds import BY_NAME
from fastdns.bench.apiserver.protobuf import OBJECTS, ProtobufForm, framed
from fastdns.memory._store import Store, Writer
from fastdns.plugins.kubernetes.api._json_items import JsonItems
from fastdns.plugins.kubernetes.api.errors import BadRequest
from fastdns.plugins.kubernetes.api.formats import UNREADABLE, JsonFormat, ProtobufFormat
from fastdns.plugins.kubernetes.api.protobuf._messages import decode_name, unwrap
from fastdns.plugins.kubernetes.api.protobuf._streams import Frames, Items
from fastdns.plugins.kubernetes.objects import Metadata
from fastdns.plugins.kubernetes.records._sink import ClusterWriter
from fastdns.plugins.kubernetes.sink import Resource
from tests.plugins.kubernetes.api.test_recordings import RECORDINGS, reflector, serve

pytestmark = pytest.mark.native

__all__ = ["serve"]

KINDS = {
    Resource.SERVICE: "Service",
    Resource.SLICE: "EndpointSlice",
    Resource.IMPORT_SLICE: "EndpointSlice",
    Resource.NAMESPACE: "Namespace",
    Resource.POD: "Pod",
}
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=8)
LABELS = st.dictionaries(
    st.sampled_from(["kubernetes.io/service-name", "app", "multicluster.kubernetes.io/source-cluster"]), TEXT
)
ADDRESS = st.sampled_from(["10.0.0.1", "10.0.0.2", "fd00::1", "::ffff:10.0.0.3", "a.example.com", "", "nonsense"])
METADATA = st.fixed_dictionaries(
    {"name": st.sampled_from(["a", "b-c"]), "namespace": st.sampled_from(["ns", "other"]),
     "resourceVersion": st.integers(1, 99).map(str)},
    optional={"labels": LABELS, "uid": TEXT, "generation": st.integers(0, 2**40)},
)  # fmt: skip
PORT = st.fixed_dictionaries(
    {"port": st.integers(1, 65535)}, optional={"name": TEXT, "protocol": st.sampled_from(["TCP", "UDP", "SCTP"])}
)
ENDPOINT = st.fixed_dictionaries(
    {"addresses": st.lists(ADDRESS, max_size=3)},
    optional={
        "conditions": st.fixed_dictionaries({}, optional={"ready": st.booleans(), "serving": st.booleans()}),
        "hostname": TEXT,
        "zone": TEXT,
        "targetRef": st.fixed_dictionaries({"kind": st.just("Pod")}, optional={"name": TEXT}),
        "nodeName": TEXT,
    },
)
SERVICE = st.fixed_dictionaries(
    {"metadata": METADATA},
    optional={
        "spec": st.fixed_dictionaries(
            {},
            optional={
                "type": st.sampled_from(["ClusterIP", "ExternalName", "NodePort"]),
                "clusterIP": ADDRESS | st.just("None"),
                "clusterIPs": st.lists(ADDRESS | st.just("None"), max_size=3),
                "externalName": ADDRESS,
                "ports": st.lists(PORT, max_size=3),
                "selector": LABELS,
            },
        )
    },
)
SLICE = st.fixed_dictionaries(
    {"metadata": METADATA, "addressType": st.sampled_from(["IPv4", "IPv6", "FQDN"])},
    optional={"endpoints": st.lists(ENDPOINT, max_size=4), "ports": st.lists(PORT | st.just({}), max_size=3)},
)
POD = st.fixed_dictionaries(
    {"metadata": METADATA},
    optional={
        "status": st.fixed_dictionaries(
            {}, optional={"phase": st.sampled_from(["Running", "Failed"]), "podIP": ADDRESS}
        )
    },
)
OBJECT = st.one_of(
    st.tuples(st.just(Resource.SERVICE), SERVICE),
    st.tuples(st.just(Resource.SLICE), SLICE),
    st.tuples(st.just(Resource.POD), POD),
    st.tuples(st.just(Resource.NAMESPACE), st.fixed_dictionaries({"metadata": METADATA})),
)


class Named(msgspec.Struct):
    """An object of which only the metadata is compared."""

    metadata: Metadata


def both(resource: Resource, obj: dict[str, Any]) -> tuple[Any, Any]:
    """An object by way of JSON, and by way of protobuf."""
    raw = OBJECTS[KINDS[resource]](0, obj)
    return JsonFormat(resource).object_of(json.dumps(obj).encode()), ProtobufFormat(resource).object_of(raw)


def comparable(resource: Resource, obj: Any) -> Any:
    """What is packed of an object, but for what an absent and an empty string have in common."""

    def emptied(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: emptied(one) for name, one in value.items() if emptied(one) not in (None, {}, [], "")}
        return [emptied(one) for one in value] if isinstance(value, list) else value

    made = emptied(msgspec.to_builtins(obj))
    read = ("kubernetes.io/service-name", "multicluster.kubernetes.io/source-cluster")
    labels = {name: one for name, one in made["metadata"].pop("labels", {}).items() if name in read}
    return made, labels


@settings(max_examples=300, deadline=None)
@given(OBJECT)
def test_protobuf_and_json_say_the_same(made: tuple[Resource, dict[str, Any]]) -> None:
    resource, obj = made
    by_json, by_protobuf = both(resource, obj)
    if resource is Resource.SLICE:
        by_json, by_protobuf = Named(by_json.metadata), Named(by_protobuf.metadata)
    assert comparable(resource, by_json) == comparable(resource, by_protobuf)


@settings(max_examples=150, deadline=None)
@given(st.lists(OBJECT, max_size=5))
def test_protobuf_and_json_are_packed_alike(made: list[tuple[Resource, dict[str, Any]]]) -> None:
    """Each object by way of protobuf changes no byte of what it is by way of JSON."""
    store = Store(1 << 20)
    sink = ClusterWriter(Writer(store), 0, [], endpoint_pod_names=True, zonal=True, clock=lambda: 1.0)
    for resource, obj in made:
        by_json, by_protobuf = both(resource, obj)
        sink.upsert(resource, by_json)
        packed = dict(store.items())
        sink.upsert(resource, by_protobuf)
        assert dict(store.items()) == packed


@pytest.mark.parametrize(
    ("name", "resource"),
    [
        ("services-list.json", Resource.SERVICE),
        ("pods-list.json", Resource.POD),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 1000, 1 << 20])
def test_a_list_is_the_same_however_its_bytes_are_cut(name: str, resource: Resource, size: int) -> None:
    body = (RECORDINGS / name).read_bytes()
    listed = json.loads(body)
    encoder = OBJECTS[KINDS[resource]]
    form = ProtobufForm(BY_NAME[KINDS[resource]])
    versions = [Fake(encoder(0, item)) for item in listed["items"]]
    proto = b"".join(form.list_(versions, 7, "token", 3))  # type: ignore[arg-type]
    for read, data in ((ProtobufFormat(resource), proto), (JsonFormat(resource), body)):
        listing = read.listing()
        items = [item for at in range(0, len(data), size) for item in listing.feed(data[at : at + size])]
        names = [read.object_of(item).metadata.name for item in items]
        assert names == [item["metadata"]["name"] for item in listed["items"]] != []
        metadata = listing.metadata()
        if read.__class__ is ProtobufFormat:
            assert (metadata.resourceVersion, metadata.continue_) == ("7", "token")
        else:
            assert metadata.resourceVersion == listed["metadata"]["resourceVersion"]


class Fake:
    """As much of a version as is written."""

    def __init__(self, data: bytes) -> None:
        self.protobuf = data


@pytest.mark.parametrize("size", [1, 3, 100])
def test_frames_come_whole_however_the_bytes_are_cut(size: int) -> None:
    sent = [framed("ADDED", b"x" * length) for length in (0, 1, 200, 5000)]
    data = b"".join(sent)
    cut = Frames(1 << 20)
    found = [frame for at in range(0, len(data), size) for frame in cut.feed(data[at : at + size])]
    assert found == [one[4:] for one in sent]


def test_what_is_too_large_is_refused_before_it_is_kept() -> None:
    with pytest.raises(ValueError, match="over 100 bytes"):
        Frames(100).feed(b"\0\0\1\0")
    list_ = b"k8s\0" + written.field(2, written.field(2, b"x" * 200))
    with pytest.raises(ValueError, match="over 100 bytes"):
        Items(100).feed(list_[:12])
    with pytest.raises(ValueError, match="over 100 bytes"):
        JsonItems(100).feed(b'{"items":[{"a":"' + b"x" * 200)


def test_a_list_that_breaks_off_is_none() -> None:
    whole = b"k8s\0" + written.field(2, written.field(2, b"") * 3)
    for size in range(len(whole)):
        listing = ProtobufFormat(Resource.SERVICE).listing()
        listing.feed(whole[:size])
        with pytest.raises(UNREADABLE):
            listing.metadata()


@pytest.mark.parametrize(
    "body", [b'{"items":[{},', b'{"items":[{}]', b"[]", b'{"items":[{}]]', b"x", b'{"items":"["']
)
def test_json_that_is_no_list_is_none(body: bytes) -> None:
    with pytest.raises(UNREADABLE):
        listing = JsonFormat(Resource.SERVICE).listing()
        listing.feed(body)
        listing.metadata()


def test_items_are_found_by_their_name_alone() -> None:
    """A list before it, a text that looks like one, and one within an item are none."""
    body = rb'{"x":[{"no":1}],"items\"":[{"no":2}],"y":"items:[{",'
    body += b'"items" : [ {"items":[{"a":"}]"}]} , {} ],"metadata":{}}'
    for size in (1, 4, 1000):
        cut = JsonItems(1000)
        found = [item for at in range(0, len(body), size) for item in cut.feed(body[at : at + size])]
        assert found == [b'{"items":[{"a":"}]"}]}', b"{}"] and cut.is_whole


def test_items_that_are_no_objects_are_items_too() -> None:
    """They made the rest of the list no JSON, so that nothing of it was served."""
    body = b'{"items":[null, 12 ,{"a":1},"te,]xt",[1],true],"metadata":{"resourceVersion":"7"}}'
    for size in (1, 2, 3, 5, 1000):
        listing = JsonFormat(Resource.SERVICE).listing()
        found = [item for at in range(0, len(body), size) for item in listing.feed(body[at : at + size])]
        assert found == [b"null", b"12", b'{"a":1}', b'"te,]xt"', b"[1]", b"true"]
        assert listing.metadata().resourceVersion == "7"
    with pytest.raises(ValueError, match="over 10 bytes"):
        JsonItems(10).feed(b'{"items":[12345678901234')


def test_mangled_protobuf_is_refused_or_read_and_nothing_else() -> None:
    rng = random.Random(13)
    obj = {"metadata": {"name": "a", "namespace": "b", "labels": {"kubernetes.io/service-name": "c"}},
           "addressType": "IPv4", "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": True}}],
           "ports": [{"name": "http", "port": 80}]}  # fmt: skip
    raw = OBJECTS["EndpointSlice"](0, obj)
    whole = framed("ADDED", written.envelope("v1", "EndpointSlice", raw))[4:]
    refused = 0
    for _ in range(20_000):
        data = bytearray(whole)
        for _ in range(rng.randrange(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        mangled = bytes(data[: rng.randrange(len(data) + 1)])
        for resource in KINDS:
            read = ProtobufFormat(resource)
            decode_name(mangled)
            for attempt in (read.event_of, read.object_of, read.status_of, read.raw_event_of, unwrap):
                try:
                    attempt(mangled)
                except UNREADABLE:
                    refused += 1
        listing = ProtobufFormat(Resource.SLICE).listing()
        try:
            listing.feed(b"k8s\0" + mangled)
        except UNREADABLE:
            refused += 1
    assert refused > 20_000


@pytest.mark.parametrize("status", [406, 415])
async def test_a_server_that_refuses_protobuf_is_asked_for_json(serve: Any, status: int) -> None:
    accepts: list[str] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        accepts.append(request.headers["Accept"])
        if "protobuf" in accepts[-1]:
            return web.Response(status=status, text="no")
        return web.Response(body=(RECORDINGS / "services-list.json").read_bytes(), content_type="application/json")

    made = reflector(await serve(handle), Resource.SERVICE)
    await made._list_pages(500)
    await made._list_pages(500)
    assert made.listings == 2 and len(accepts) == 3 and accepts[1:] == ["application/json"] * 2


async def test_another_refusal_is_no_reason_for_json(serve: Any) -> None:
    async def handle(request: web.Request) -> web.StreamResponse:
        return web.Response(status=422, text="no")

    made = reflector(await serve(handle), Resource.SERVICE)
    with pytest.raises(BadRequest):
        await made._list_pages(500)
    assert made._client._has_protobuf


async def test_a_refusal_in_protobuf_says_why(serve: Any) -> None:
    status = {"metadata": {}, "status": "Failure", "message": "not for you", "reason": "Forbidden", "code": 403}
    body = written.envelope("v1", "Status", written.STATUS(0, status))

    async def handle(request: web.Request) -> web.StreamResponse:
        return web.Response(status=403, body=body, content_type="application/vnd.kubernetes.protobuf")

    client = await serve(handle)
    with pytest.raises(Exception, match="403: not for you"):
        await client.get("/x", {})


def test_of_a_real_server_nothing_is_lost() -> None:
    """Recorded objects, by way of protobuf: what DNS needs is what JSON says."""
    store = Store(8 << 20)
    sink = ClusterWriter(Writer(store), 0, [], endpoint_pod_names=True, zonal=True, clock=lambda: 1.0)
    for name, resource in (
        ("services-watch-initial-events.jsonl", Resource.SERVICE),
        ("endpointslices-watch-initial-events.jsonl", Resource.SLICE),
        ("pods-watch-changes.jsonl", Resource.POD),
    ):
        for line in Path(RECORDINGS / name).read_bytes().splitlines():
            obj = json.loads(line)["object"]
            by_json, by_protobuf = both(resource, obj)
            named = [comparable(resource, Named(one.metadata)) for one in (by_json, by_protobuf)]
            assert named[0][1] == named[1][1]
            assert by_json.metadata.name == by_protobuf.metadata.name
            sink.upsert(resource, by_json)
            packed = dict(store.items())
            sink.upsert(resource, by_protobuf)
            assert packed and dict(store.items()) == packed
