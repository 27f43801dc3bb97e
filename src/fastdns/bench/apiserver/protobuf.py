"""Objects in Kubernetes' protobuf, made from their JSON.

Field numbers: generated.proto of k8s.io/api and k8s.io/apimachinery. What is not in a table is left out; it is
nothing that the generator makes. Fields come in the order of their numbers, as the real one writes them.
"""

from __future__ import annotations

import calendar
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import msgspec

from fastdns.bench.apiserver.kinds import Kind
from fastdns.bench.apiserver.store import Event, Selector, Version, encode

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"
MAGIC = b"k8s\0"
_BATCH = 64
_END = {"k8s.io/initial-events-end": "true"}

Encoder = Callable[[int, Any], bytes]
Table = dict[str, tuple[int, Encoder]]


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number: int, data: bytes) -> bytes:
    """A field that has a length."""
    return varint(number << 3 | 2) + varint(len(data)) + data


def text(number: int, value: str) -> bytes:
    return field(number, value.encode())


def integer(number: int, value: int) -> bytes:
    return varint(number << 3) + varint(int(value))


def texts(number: int, values: Iterable[str]) -> bytes:
    return b"".join([text(number, value) for value in values])


def mapping(number: int, values: dict[str, str]) -> bytes:
    return b"".join([field(number, text(1, key) + text(2, value)) for key, value in sorted(values.items())])


def moment(number: int, value: str) -> bytes:
    """meta/v1 Time."""
    return field(number, integer(1, calendar.timegm(time.strptime(value, "%Y-%m-%dT%H:%M:%SZ"))))


def fields_v1(number: int, value: Any) -> bytes:
    return field(number, field(1, encode(value)))


def int_or_string(number: int, value: int | str) -> bytes:
    if isinstance(value, int):
        return field(number, integer(1, 0) + integer(2, value) + text(3, ""))
    return field(number, integer(1, 1) + integer(2, 0) + text(3, value))


def message(table: Table, *, always: Sequence[str] = ()) -> Encoder:
    """A message of a table. always: strings that are written even if empty, as Go writes plain strings."""
    parts = sorted((number, name, encoder) for name, (number, encoder) in table.items())

    def encoder_of(number: int, value: Any) -> bytes:
        out = []
        for at, name, encoder in parts:
            one = value.get(name)
            if one is not None:
                out.append(encoder(at, one))
            elif name in always:
                out.append(text(at, ""))
        body = b"".join(out)
        return field(number, body) if number else body

    return encoder_of


def many(one: Encoder) -> Encoder:
    return lambda number, values: b"".join([one(number, value) for value in values or ()])


_REFERENCE = message(
    {"kind": (1, text), "namespace": (2, text), "name": (3, text), "uid": (4, text), "apiVersion": (5, text),
     "resourceVersion": (6, text), "fieldPath": (7, text)},
    always=("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath"),
)  # fmt: skip
_OWNER = message(
    {"kind": (1, text), "name": (3, text), "uid": (4, text), "apiVersion": (5, text), "controller": (6, integer),
     "blockOwnerDeletion": (7, integer)}
)  # fmt: skip
_MANAGED = message(
    {"manager": (1, text), "operation": (2, text), "apiVersion": (3, text), "time": (4, moment),
     "fieldsType": (6, text), "fieldsV1": (7, fields_v1), "subresource": (8, text)},
    always=("subresource",),
)  # fmt: skip
METADATA = message(
    {"name": (1, text), "generateName": (2, text), "namespace": (3, text), "selfLink": (4, text), "uid": (5, text),
     "resourceVersion": (6, text), "generation": (7, integer), "creationTimestamp": (8, moment),
     "deletionTimestamp": (9, moment), "deletionGracePeriodSeconds": (10, integer), "labels": (11, mapping),
     "annotations": (12, mapping), "ownerReferences": (13, many(_OWNER)), "finalizers": (14, texts),
     "managedFields": (17, many(_MANAGED))},
    always=("name", "generateName", "namespace", "selfLink", "uid", "resourceVersion"),
)  # fmt: skip
_SERVICE_PORT = message(
    {"name": (1, text), "protocol": (2, text), "port": (3, integer), "targetPort": (4, int_or_string),
     "nodePort": (5, integer), "appProtocol": (6, text)},
    always=("name", "protocol"),
)  # fmt: skip
_SERVICE_SPEC = message(
    {"ports": (1, many(_SERVICE_PORT)), "selector": (2, mapping), "clusterIP": (3, text), "type": (4, text),
     "externalIPs": (5, texts), "sessionAffinity": (7, text), "loadBalancerIP": (8, text),
     "externalName": (10, text), "externalTrafficPolicy": (11, text), "publishNotReadyAddresses": (13, integer),
     "ipFamilyPolicy": (17, text), "clusterIPs": (18, texts), "ipFamilies": (19, texts),
     "internalTrafficPolicy": (22, text)},
    always=("clusterIP", "type", "sessionAffinity", "loadBalancerIP", "externalName", "externalTrafficPolicy"),
)  # fmt: skip
_INGRESS = message({"ip": (1, text), "hostname": (2, text), "ipMode": (3, text)}, always=("ip", "hostname"))
_CONDITIONS = message({"ready": (1, integer), "serving": (2, integer), "terminating": (3, integer)})
_ENDPOINT = message(
    {"addresses": (1, texts), "conditions": (2, _CONDITIONS), "hostname": (3, text), "targetRef": (4, _REFERENCE),
     "nodeName": (6, text), "zone": (7, text)}
)  # fmt: skip
_SLICE_PORT = message({"name": (1, text), "protocol": (2, text), "port": (3, integer), "appProtocol": (4, text)})
_CONTAINER = message(
    {"name": (1, text), "image": (2, text), "resources": (8, message({})), "terminationMessagePath": (13, text),
     "imagePullPolicy": (14, text), "terminationMessagePolicy": (20, text)}
)  # fmt: skip
_TOLERATION = message(
    {"key": (1, text), "operator": (2, text), "value": (3, text), "effect": (4, text),
     "tolerationSeconds": (5, integer)}
)  # fmt: skip
_POD_SPEC = message(
    {"containers": (2, many(_CONTAINER)), "restartPolicy": (3, text), "terminationGracePeriodSeconds": (4, integer),
     "dnsPolicy": (6, text), "nodeName": (10, text), "securityContext": (14, message({})),
     "schedulerName": (19, text), "tolerations": (22, many(_TOLERATION)), "priority": (25, integer),
     "enableServiceLinks": (30, integer), "preemptionPolicy": (31, text)}
)  # fmt: skip
_POD_STATUS = message(
    {
        "phase": (1, text),
        "podIP": (6, text),
        "qosClass": (9, text),
        "podIPs": (12, many(message({"ip": (1, text)}))),
    },
    always=("phase", "podIP"),
)
_LIST_METADATA = message(
    {
        "selfLink": (1, text),
        "resourceVersion": (2, text),
        "continue": (3, text),
        "remainingItemCount": (4, integer),
    },
    always=("selfLink", "resourceVersion", "continue"),
)
STATUS = message(
    {"metadata": (1, _LIST_METADATA), "status": (2, text), "message": (3, text), "reason": (4, text),
     "code": (6, integer)}
)  # fmt: skip
OBJECTS: dict[str, Encoder] = {
    "Service": message(
        {"metadata": (1, METADATA), "spec": (2, _SERVICE_SPEC),
         "status": (3, message({"loadBalancer": (1, message({"ingress": (1, many(_INGRESS))}))}))}
    ),
    "Namespace": message(
        {"metadata": (1, METADATA), "spec": (2, message({"finalizers": (1, texts)})),
         "status": (3, message({"phase": (1, text)}))}
    ),
    "Pod": message({"metadata": (1, METADATA), "spec": (2, _POD_SPEC), "status": (3, _POD_STATUS)}),
    "EndpointSlice": message(
        {"metadata": (1, METADATA), "endpoints": (2, many(_ENDPOINT)), "ports": (3, many(_SLICE_PORT)),
         "addressType": (4, text)}
    ),
}  # fmt: skip


def envelope(api_version: str, kind: str, raw: bytes) -> bytes:
    """A runtime.Unknown after the magic number."""
    return MAGIC + field(1, text(1, api_version) + text(2, kind)) + field(2, raw) + text(3, "") + text(4, "")


def framed(what: str, inner: bytes) -> bytes:
    """An event of a watch."""
    event = text(1, what) + field(2, field(1, inner))
    return len(event).to_bytes(4, "big") + event


class ProtobufForm:
    """How the objects of one resource are written: as answers.Form, in protobuf."""

    content_type = MEDIA_TYPE
    stream_type = f"{MEDIA_TYPE};stream=watch"

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self._object = OBJECTS[kind.kind]

    def item(self, version: Version) -> bytes:
        """An object, encoded once a version."""
        if not version.protobuf:
            obj = msgspec.json.decode(self.kind.object_open + version.meta + version.rest)
            version.protobuf = self._object(0, obj)
        return version.protobuf

    def list_(self, versions: Sequence[Version], rv: int, token: str, remaining: int | None) -> Iterator[bytes]:
        """A list, in pieces."""
        meta: dict[str, Any] = {"resourceVersion": str(rv), "continue": token}
        if token and remaining is not None:
            meta["remainingItemCount"] = remaining
        items = [self.item(version) for version in versions]
        head = _LIST_METADATA(1, meta)
        size = len(head) + sum(1 + len(varint(len(item))) + len(item) for item in items)
        about = text(1, self.kind.api_version) + text(2, f"{self.kind.kind}List")
        yield MAGIC + field(1, about) + varint(2 << 3 | 2) + varint(size) + head
        for start in range(0, len(items), _BATCH):
            yield b"".join([field(2, item) for item in items[start : start + _BATCH]])
        yield text(3, "") + text(4, "")

    def added(self, versions: Iterable[Version]) -> Iterator[bytes]:
        """The initial events of a watch, in pieces."""
        frames: list[bytes] = []
        for version in versions:
            frames.append(self.line("ADDED", version))
            if len(frames) == _BATCH:
                yield b"".join(frames)
                frames.clear()
        if frames:
            yield b"".join(frames)

    def line(self, what: str, version: Version) -> bytes:
        """One event of a watch."""
        return framed(what, envelope(self.kind.api_version, self.kind.kind, self.item(version)))

    def event(self, event: Event, selector: Selector) -> bytes:
        """The type of a change for a watcher: an object that starts or stops to match is added or deleted."""
        was, now = selector.matches(event.old), selector.matches(event.new)
        if now and event.new is not None:
            return self.line("MODIFIED" if was else "ADDED", event.new)
        if was and event.old is not None:
            return self.line("DELETED", event.old.at(event.rv))
        return b""

    def bookmark(self, rv: int, *, end: bool = False) -> bytes:
        """A bookmark; ``end`` is the one that ends the initial events."""
        meta: dict[str, Any] = {"resourceVersion": str(rv)}
        if end:
            meta["annotations"] = _END
        raw = self._object(0, {"metadata": meta})
        return framed("BOOKMARK", envelope(self.kind.api_version, self.kind.kind, raw))

    def error(self, status: dict[str, Any]) -> bytes:
        """An ERROR event."""
        return framed("ERROR", envelope("v1", "Status", STATUS(0, status)))
