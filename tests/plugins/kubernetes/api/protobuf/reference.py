"""An EndpointSlice in protobuf as the JSON that says the same: slow, and written from the format's description.

https://protobuf.dev/programming-guides/encoding/; field numbers: generated.proto of k8s.io/api/discovery/v1. Where
a field that is no list stands twice, the last one counts. Raises ValueError on bytes that are no such message.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
LABELS = {
    "kubernetes.io/service-name",
    "multicluster.kubernetes.io/service-name",
    "multicluster.kubernetes.io/source-cluster",
}
Value = int | bytes


def varint(data: bytes, at: int) -> tuple[int, int]:
    """A number, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if at == len(data):
            break
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & (1 << 64) - 1, at
    raise ValueError("a number breaks off")


def fields(data: Value) -> Iterator[tuple[int, Value]]:
    """The fields of a message: number, and value."""
    if isinstance(data, int):
        raise ValueError("a number where a message is expected")
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        number, kind = key >> 3, key & 7
        if not 0 < number < 1 << 29 or kind not in (VARINT, FIXED64, BYTES, FIXED32):
            raise ValueError("no field")
        if kind == VARINT:
            value, at = varint(data, at)
            yield number, value
            continue
        size = 8 if kind == FIXED64 else 4
        if kind == BYTES:
            size, at = varint(data, at)
        if size > len(data) - at:
            raise ValueError("a field breaks off")
        # What has a fixed size is none of the fields that are read: told apart from text by a number.
        yield number, data[at : at + size] if kind == BYTES else -1
        at += size


def text(value: Value) -> str:
    if isinstance(value, int):
        raise ValueError("a number where text is expected")
    return value.decode()


def number(value: Value) -> int:
    if isinstance(value, bytes) or value < 0:
        raise ValueError("no number")
    return value


def labels(entry: Value) -> dict[str, str]:
    key: Value = b""
    value: Value = b""
    for at, one in fields(entry):
        if at == 1:
            key = one
        elif at == 2:
            value = one
    return {name: text(value) for name in LABELS if key == name.encode()}


def metadata(data: Value) -> dict[str, Any]:
    found: dict[str, Any] = {"labels": {}}
    for at, value in fields(data):
        if at in (1, 3, 6):
            found[{1: "name", 3: "namespace", 6: "resourceVersion"}[at]] = text(value)
        elif at == 9:
            list(fields(value))
        elif at == 11:
            found["labels"] |= labels(value)
        elif at == 12:
            labels(value)
    return found


def endpoint(data: Value) -> dict[str, Any]:
    found: dict[str, Any] = {"addresses": []}
    for at, value in fields(data):
        if at == 1:
            found["addresses"].append(text(value))
        elif at == 2:
            ready = [number(one) != 0 for at_, one in fields(value) if at_ == 1]
            found["conditions"] = {"ready": ready[-1] if ready else None}
        elif at == 3:
            found["hostname"] = text(value)
        elif at == 4:
            names = [text(one) for at_, one in fields(value) if at_ == 3]
            found["targetRef"] = {"name": names[-1] if names else ""}
        elif at == 7:
            found["zone"] = text(value) or None
    return found


def port(data: Value) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for at, value in fields(data):
        if at in (1, 2):
            found[{1: "name", 2: "protocol"}[at]] = text(value)
        elif at == 3:
            low = number(value) & 0xFFFFFFFF
            found["port"] = low - (1 << 32) if low >> 31 else low
    return found


def endpoint_slice(data: bytes) -> dict[str, Any]:
    """The object, as its JSON would be."""
    found: dict[str, Any] = {"metadata": {}, "endpoints": [], "ports": []}
    for at, value in fields(data):
        if at == 1:
            found["metadata"] = metadata(value)
        elif at == 2:
            found["endpoints"].append(endpoint(value))
        elif at == 3:
            found["ports"].append(port(value))
        elif at == 4:
            found["addressType"] = text(value)
    return found
