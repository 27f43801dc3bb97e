"""Reads dnstap messages, by its own understanding of protobuf and of dnstap.proto."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

CLIENT_QUERY, CLIENT_RESPONSE, FORWARDER_QUERY, FORWARDER_RESPONSE = 5, 6, 7, 8
UDP, TCP, DOT = 1, 2, 3
INET, INET6 = 1, 2

Value = int | bytes


def varint(data: bytes, at: int) -> tuple[int, int]:
    """A number, and where the next byte stands."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def fields(data: bytes) -> dict[int, Value]:
    """The fields of a message by number; each may stand there once, in order."""
    found: dict[int, Value] = {}
    at = 0
    while at < len(data):
        tag, at = varint(data, at)
        number, kind = tag >> 3, tag & 7
        assert number not in found
        value: Value
        if kind == 0:
            value, at = varint(data, at)
        elif kind == 5:
            (value,) = struct.unpack_from("<I", data, at)
            at += 4
        else:
            assert kind == 2, f"field {number} is coded as {kind}"
            size, at = varint(data, at)
            assert at + size <= len(data), f"field {number} is longer than the message"
            value = data[at : at + size]
            at += size
        found[number] = value
    return found


@dataclass(frozen=True)
class Tapped:
    """A dnstap message. Fields that are left out are None; times are nanoseconds since 1970."""

    identity: bytes | None
    version: bytes | None
    extra: bytes | None
    type: int
    family: int
    protocol: int
    query_address: bytes | None
    query_port: int | None
    response_address: bytes | None
    response_port: int | None
    query_ns: int | None
    response_ns: int | None
    query: bytes | None
    response: bytes | None
    raw: bytes = field(repr=False, compare=False, default=b"")


def read(data: bytes) -> Tapped:
    """A message, all of whose fields are of dnstap.proto."""
    outer = fields(data)
    assert outer.keys() <= {1, 2, 3, 14, 15}, outer
    assert outer[15] == 1
    inner = outer[14]
    assert isinstance(inner, bytes)
    m = fields(inner)
    assert m.keys() <= set(range(1, 15)), m

    def text(found: dict[int, Value], number: int) -> bytes | None:
        value = found.get(number)
        assert value is None or isinstance(value, bytes)
        return value

    def whole(number: int) -> int | None:
        value = m.get(number)
        assert value is None or isinstance(value, int)
        return value

    def time(seconds: int, rest: int) -> int | None:
        if seconds not in m:
            return None
        s, ns = whole(seconds), whole(rest)
        assert s is not None and ns is not None and ns < 10**9
        return s * 10**9 + ns

    return Tapped(
        text(outer, 1), text(outer, 2), text(outer, 3), whole(1) or 0, whole(2) or 0, whole(3) or 0,
        text(m, 4), whole(6), text(m, 5), whole(7), time(8, 9), time(12, 13), text(m, 10), text(m, 14), data,
    )  # fmt: skip
