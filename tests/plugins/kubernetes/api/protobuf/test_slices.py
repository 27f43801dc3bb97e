"""EndpointSlices in protobuf are stored as their JSON is, and what is no EndpointSlice is refused as a whole."""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastdns.bench.apiserver.protobuf import OBJECTS, envelope, field, framed, integer, text
from fastdns.memory._store import Store, Writer
from fastdns.plugins.kubernetes.api.formats import UNREADABLE, JsonFormat, ProtobufFormat
from fastdns.plugins.kubernetes.records._sink import ClusterWriter
from fastdns.plugins.kubernetes.records._slices import EncodedSlice
from fastdns.plugins.kubernetes.sink import Resource
from tests.plugins.kubernetes.api.protobuf import reference
from tests.plugins.kubernetes.api.protobuf.test_messages import SLICE, both
from tests.plugins.kubernetes.api.test_reflector import reflector

pytestmark = pytest.mark.native

NAMED = field(1, text(1, "a") + text(3, "ns") + field(11, text(1, "kubernetes.io/service-name") + text(2, "web")))
READY = field(2, integer(1, 1))
UNREADY = field(2, integer(1, 0))
KINDS = (Resource.SLICE, Resource.IMPORT_SLICE)


class Stored:
    """What a sink makes of single slices, each stored where there was none."""

    def __init__(self, resource: Resource = Resource.SLICE, *, pod_names: bool = True, zonal: bool = True) -> None:
        self.resource = resource
        self.counted: Counter[tuple[str, str]] = Counter()
        self.store = Store(8 << 20)
        self.sink = ClusterWriter(
            Writer(self.store),
            0,
            [],
            endpoint_pod_names=pod_names,
            zonal=zonal,
            clock=lambda: 1.0,
            on_left_out=lambda *what: self.counted.update([what]),
        )

    def of(self, obj: Any) -> tuple[dict[bytes, bytes], Counter[tuple[str, str]]]:
        """The records of a slice, and what was counted as left out."""
        self.counted = Counter()
        self.sink.upsert(self.resource, obj)
        found = dict(self.store.items()), self.counted
        self.sink.delete(self.resource, obj)
        assert not self.store.items()
        return found

    def of_bytes(self, raw: bytes) -> Any:
        """The same of a slice in protobuf."""
        return self.of(ProtobufFormat(self.resource).object_of(raw))

    def of_json(self, obj: dict[str, Any]) -> Any:
        """The same of a slice in JSON."""
        return self.of(JsonFormat(self.resource).object_of(json.dumps(obj).encode()))


@settings(max_examples=300, deadline=None)
@given(SLICE, st.sampled_from(KINDS), st.booleans(), st.booleans())
def test_what_is_stored_and_counted_is_what_is_of_json(
    obj: dict[str, Any], resource: Resource, pod_names: bool, zonal: bool
) -> None:
    stored = Stored(resource, pod_names=pod_names, zonal=zonal)
    by_json, by_protobuf = both(resource, obj)
    assert isinstance(by_protobuf, EncodedSlice)
    expected = stored.of(by_json)
    assert stored.of(by_protobuf) == expected
    event = ProtobufFormat(resource).event_of(
        framed("ADDED", envelope("discovery.k8s.io/v1", "EndpointSlice", OBJECTS["EndpointSlice"](0, obj)))[4:]
    )
    assert event.type == "ADDED"
    assert stored.of(event.object) == expected


@settings(max_examples=50, deadline=None)
@given(st.lists(SLICE, min_size=1, max_size=6), st.booleans())
def test_changes_of_one_cluster_in_turns_of_json_and_protobuf(made: list[dict[str, Any]], json_first: bool) -> None:
    """A slice that was packed one way is replaced and deleted by what came the other way."""
    mixed, plain = Stored(), Stored()
    for number, obj in enumerate(made):
        for stored, which in ((mixed, (number + json_first) % 2), (plain, 0)):
            stored.sink.upsert(Resource.SLICE, both(Resource.SLICE, obj)[which])
        # Names of slices are hashed with a secret of each store: as much as can be compared is.
        assert sorted(map(len, dict(mixed.store.items()).values())) == sorted(
            map(len, dict(plain.store.items()).values())
        )
        assert {key[:4] for key, _ in mixed.store.items()} == {key[:4] for key, _ in plain.store.items()}
        again = dict(mixed.store.items())
        mixed.sink.upsert(Resource.SLICE, both(Resource.SLICE, obj)[1 - (number + json_first) % 2])
        assert dict(mixed.store.items()) == again
    for obj in made:
        mixed.sink.delete(Resource.SLICE, both(Resource.SLICE, obj)[1])
    assert not mixed.store.items()


ADDRESSES = text(1, "10.0.0.1") + text(1, "10.0.0.2")
PORT = field(3, text(1, "http") + text(2, "TCP") + integer(3, 80))


@pytest.mark.parametrize(
    ("raw", "same"),
    [
        (text(4, "IPv6") + field(2, text(1, "fd00::1")), field(2, text(1, "fd00::1")) + text(4, "IPv6")),
        (field(2, READY + text(3, "h") + ADDRESSES), field(2, ADDRESSES + READY + text(3, "h"))),
        (field(2, ADDRESSES + UNREADY + READY), field(2, ADDRESSES + READY)),
        (field(2, ADDRESSES + UNREADY + field(2, b"")), field(2, ADDRESSES)),
        (field(2, ADDRESSES + field(2, integer(1, 0) + integer(1, 1))), field(2, ADDRESSES)),
        (field(2, ADDRESSES + text(3, "a") + text(3, "b")), field(2, ADDRESSES + text(3, "b"))),
        (field(2, ADDRESSES + text(3, "a") + text(3, "")), field(2, ADDRESSES)),
        (field(2, ADDRESSES + text(3, "") + field(4, text(3, "pod"))), field(2, ADDRESSES + text(3, "pod"))),
        (field(2, ADDRESSES + field(4, text(3, "pod")) + field(4, b"")), field(2, ADDRESSES)),
        (field(2, ADDRESSES + text(7, "z1") + text(7, "Z2")), field(2, ADDRESSES + text(7, "z2"))),
        (field(2, ADDRESSES) + field(3, text(1, "a") + text(1, "b")), field(2, ADDRESSES) + field(3, text(1, "b"))),
        (
            field(2, ADDRESSES) + field(3, integer(3, 7) + integer(3, 8)),
            field(2, ADDRESSES) + field(3, integer(3, 8)),
        ),
        (field(2, ADDRESSES) + PORT + PORT, field(2, ADDRESSES) + PORT),
        (field(2, field(99, b"\xff") + ADDRESSES + b"\x5d1234\x5912345678") + field(98, b""), field(2, ADDRESSES)),
    ],
    ids=[
        "the type after or before the endpoints", "addresses last", "ready last", "unready, then not said",
        "ready twice", "two hostnames", "a hostname that is taken back", "the pod's name in place of an empty one",
        "a pod that is taken back", "two zones", "two names of a port", "two numbers of a port", "a port twice",
        "fields that are not known",
    ],
)  # fmt: skip
def test_fields_in_any_order_and_more_than_once(raw: bytes, same: bytes) -> None:
    stored = Stored()
    assert stored.of_bytes(NAMED + raw) == stored.of_bytes(NAMED + same)
    assert stored.of_bytes(NAMED + raw) == stored.of_json(reference.endpoint_slice(NAMED + raw))
    assert len(stored.of_bytes(NAMED + raw)[0]) > 1, "it holds an address"


@pytest.mark.parametrize("number", [-1, -2, 0, 1, 65535, 65536, 1 << 31, (1 << 32) + 80])
def test_numbers_of_ports(number: int) -> None:
    stored = Stored()
    raw = NAMED + field(2, ADDRESSES) + field(3, integer(3, number))
    found, counted = stored.of_bytes(raw)
    assert (found, counted) == stored.of_json(reference.endpoint_slice(raw))
    served = 0 <= number <= 65535 or number == (1 << 32) + 80
    assert (("slice", "ports") in counted) is not served


BAD = b"\xff\xfe"


@pytest.mark.parametrize(
    "raw",
    [
        field(2, field(1, BAD)),
        field(2, integer(1, 7)),
        field(2, ADDRESSES + field(3, BAD)),
        field(2, ADDRESSES + field(3, b"\xed\xa0\x80")),
        field(2, ADDRESSES + field(7, BAD)),
        field(2, ADDRESSES + field(4, field(3, BAD))),
        field(2, ADDRESSES + integer(4, 1)),
        field(2, ADDRESSES + field(2, field(1, b"x"))),
        field(2, ADDRESSES + field(2, b"\x08")),
        field(2, ADDRESSES + b"\x0a\x7f"),
        field(2, ADDRESSES + b"\x0b\x0c"),
        integer(2, 1),
        field(3, field(1, BAD)),
        field(3, field(2, BAD)),
        field(3, field(3, b"80")),
        field(4, BAD),
        integer(4, 4),
        field(1, field(1, BAD)),
        b"\x00\x00",
        b"\xff" * 11,
    ],
    ids=[
        "an address that is no UTF-8", "an address that is a number", "a hostname that is no UTF-8",
        "a hostname with a surrogate", "a zone that is no UTF-8", "a pod's name that is no UTF-8",
        "a target that is a number", "ready that is text", "conditions that break off",
        "an address that breaks off", "a group", "an endpoint that is a number", "a port's name that is no UTF-8",
        "a protocol that is no UTF-8",
        "a port's number that is text", "a type that is no UTF-8", "a type that is a number",
        "a name that is no UTF-8", "field 0", "a number without an end",
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_before_anything_is_packed(raw: bytes) -> None:
    """Also where the endpoint is not ready, of which nothing would be served."""
    for whole in (NAMED + raw, raw + NAMED, NAMED + field(2, ADDRESSES) + raw):
        with pytest.raises(UNREADABLE):
            ProtobufFormat(Resource.SLICE).object_of(whole)
        with pytest.raises(ValueError):
            reference.endpoint_slice(whole)


def test_a_slice_that_cannot_be_read_is_skipped_and_counted_as_in_json(caplog: pytest.LogCaptureFixture) -> None:
    """What was known of it stays, it is named, and the others go on."""
    for read, good, bad in (
        (ProtobufFormat(Resource.SLICE), NAMED + field(2, ADDRESSES), NAMED + field(2, field(1, BAD))),
        (
            JsonFormat(Resource.SLICE),
            b'{"metadata":{"name":"a","namespace":"ns"},"addressType":"IPv4"}',
            b'{"metadata":{"name":"a","namespace":"ns"},"endpoints":[{"addresses":["\xff"]}]}',
        ),
    ):
        made = reflector(resource=Resource.SLICE, name="endpointslices")
        made._take_items(read, [good, bad, good], made.digest)
        assert made._sink.calls["upsert"] == 2
        assert list(made._metrics.left_outs.values()) == [1]
        assert "endpointslices ns/a is skipped" in caplog.text
        caplog.clear()


@pytest.mark.parametrize("resource", KINDS)
def test_mangled_slices_are_refused_or_stored_as_the_reference_reads_them(resource: Resource) -> None:
    rng = random.Random(14)
    label = f"{'' if resource is Resource.SLICE else 'multicluster.'}kubernetes.io/service-name"
    endpoints = [
        {"addresses": ["10.0.0.1"], "conditions": {"ready": True}, "hostname": "one", "zone": "zone-a"},
        {"addresses": ["10.0.0.2"], "conditions": {"ready": False}, "targetRef": {"kind": "Pod", "name": "two"}},
        {"addresses": ["10.0.0.3"], "targetRef": {"kind": "Pod", "name": "three"}, "zone": "\u00fc"},
    ]
    whole = OBJECTS["EndpointSlice"](0, {
        "metadata": {"name": "a", "namespace": "b", "labels": {label: "c"}}, "addressType": "IPv4",
        "endpoints": endpoints, "ports": [{"name": "http", "protocol": "TCP", "port": 80}, {}],
    })  # fmt: skip
    stored = Stored(resource)
    seen: Counter[str] = Counter()
    for _ in range(6_000):
        data = bytearray(whole)
        for _ in range(rng.randrange(1, 4)):
            data[rng.randrange(len(data))] = rng.choice((rng.randrange(256), data[rng.randrange(len(data))]))
        raw = bytes(data[: rng.choice((len(data), len(data), rng.randrange(len(data) + 1)))])
        try:
            said = reference.endpoint_slice(raw)
        except ValueError:
            with pytest.raises(UNREADABLE):
                ProtobufFormat(resource).object_of(raw)
            seen["refused"] += 1
            continue
        assert stored.of_bytes(raw) == stored.of_json(said), raw.hex()
        seen["stored" if stored.of_bytes(raw)[0] else "empty"] += 1
    assert min(seen["refused"], seen["stored"], seen["empty"]) > 100, seen
