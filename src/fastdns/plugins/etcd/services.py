"""What a value of etcd says: a service, as SkyDNS defines it, to the record that the store keeps of it.

A value is a JSON object with the fields host, port, priority, weight, text, mail, ttl, targetstrip and group,
each of which may be missing. As in Go, the case of a field's name does not count, null means that it is missing,
and fields with other names mean nothing. The form of the record is in _layout.pxd.
"""

from __future__ import annotations

import re
import struct
from hashlib import blake2b
from ipaddress import ip_address
from typing import Any

import msgspec

from fastdns.dns.names import wire_name_as_written
from fastdns.netaddrs import canonical_address

# The type under which rrsets/ has a service: for private use (RFC 6895 section 3.1).
TYPE_SERVICE = 65400
HEAD = struct.Struct("<QQIIHHHHBBBBBB")
ID_BYTES = 8
EXPIRES = struct.Struct("<Q")

HOST_NONE, HOST_IPV4, HOST_IPV6, HOST_NAME = range(4)
FLAG_MAIL, FLAG_NO_PORT = 1, 2

PRIORITY = 10
MAX_TEXT_BYTES = 60000
MAX_WEIGHT = 2**31 - 1
# RFC 2181 section 8.
MAX_TTL_S = 2**31 - 1
MAX_LABELS = 127

_ESCAPE = re.compile(rb"\\([0-9]{3}|.)", re.DOTALL)

FIELDS: dict[str, type] = {
    "host": str, "port": int, "priority": int, "weight": int, "text": str, "mail": bool, "ttl": int,
    "targetstrip": int, "group": str,
}  # fmt: skip


def key_id(key: bytes) -> bytes:
    """What tells the keys of one name apart."""
    return blake2b(key, digest_size=ID_BYTES).digest()


def with_expiry(record: bytes, expires_ns: int) -> bytes:
    """The same record with another time at which its lease ends."""
    return record[:ID_BYTES] + EXPIRES.pack(expires_ns) + record[ID_BYTES + EXPIRES.size :]


def empty(key: bytes, name: bytes) -> bytes:
    """The record of a key whose value is no service: the name exists, and has no data."""
    return pack(key, name, {}, 0)


def record_of(key: bytes, name: bytes, value: bytes, expires_ns: int) -> bytes:
    """The record of a key. name: of the key, in wire form. expires_ns: of its lease, by the monotonic clock; 0:
    none.

    Raises ValueError with what is wrong with the value.
    """
    return pack(key, name, fields_of(value), expires_ns)


def fields_of(value: bytes) -> dict[str, Any]:
    """The fields of a value that are there. Raises ValueError."""
    try:
        said = msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"it is no JSON: {error}") from None
    if said is None:
        return {}
    if not isinstance(said, dict):
        raise ValueError("it is no JSON object")
    found: dict[str, Any] = {}
    for field, content in said.items():
        name = field if field in FIELDS else field.lower()
        wanted = FIELDS.get(name)
        if wanted is None or content is None:
            continue
        if type(content) is not wanted:
            raise ValueError(f"{name} is {shortened(content)}; expected {WORDS[wanted]}")
        found[name] = content
    return found


WORDS = {str: "a text", int: "a whole number", bool: "true or false"}


def shortened(content: object) -> str:
    """A value as a message shows it."""
    text = repr(content)
    return text if len(text) <= 40 else text[:37] + "..."


def within(fields: dict[str, Any], name: str, low: int, high: int) -> int:
    """A number of a value. Raises ValueError where it is out of bounds."""
    value: int = fields.get(name, 0)
    if not low <= value <= high:
        raise ValueError(f"{name} is {shortened(value)}; expected {low} to {high}")
    return value


def pack(key: bytes, name: bytes, fields: dict[str, Any], expires_ns: int) -> bytes:
    """The record of a service. Raises ValueError."""
    kind, host = host_of(fields.get("host", ""))
    text = text_of(fields.get("text", ""))
    group: bytes = fields.get("group", "").encode("utf-8", "surrogatepass")
    if len(group) > 255:
        raise ValueError("its group has over 255 bytes")
    port = within(fields, "port", -1, 65535)
    flags = (FLAG_MAIL if fields.get("mail") else 0) | (FLAG_NO_PORT if port < 0 else 0)
    strip = fields.get("targetstrip", 0)
    head = HEAD.pack(
        int.from_bytes(key_id(key), "little"), expires_ns, min(within(fields, "ttl", 0, 2**32 - 1), MAX_TTL_S),
        within(fields, "weight", 0, MAX_WEIGHT), max(port, 0), within(fields, "priority", 0, 65535) or PRIORITY,
        len(host), len(text), len(name), len(group), kind, flags, min(key.count(b"/"), 255),
        max(0, min(strip, MAX_LABELS)),
    )  # fmt: skip
    return head + name + host + text + group


def host_of(text: str) -> tuple[int, bytes]:
    """The kind of a host, and its address or its name in wire form. Raises ValueError."""
    if not text:
        return HOST_NONE, b""
    address = canonical_address(text) if "%" not in text else None
    if address is not None:
        packed = ip_address(address).packed
        return (HOST_IPV4 if len(packed) == 4 else HOST_IPV6), packed
    try:
        return HOST_NAME, wire_name_as_written(text)
    except (ValueError, UnicodeEncodeError):
        raise ValueError(f"host is {shortened(text)}; expected an address or a domain name") from None


def text_of(text: str) -> bytes:
    """The rdata of a TXT record, in strings of 255 bytes at most. ``\\DDD`` and ``\\X`` are one byte each, as in
    zone files (RFC 1035 section 5.1). Raises ValueError."""
    if not text:
        return b""
    data = _ESCAPE.sub(unescaped, text.encode("utf-8", "surrogatepass"))
    if len(data) > MAX_TEXT_BYTES:
        raise ValueError(f"its text has over {MAX_TEXT_BYTES} bytes")
    parts = [data[at : at + 255] for at in range(0, len(data), 255)] or [b""]
    return b"".join(bytes((len(part),)) + part for part in parts)


def unescaped(match: re.Match[bytes]) -> bytes:
    """The byte that an escape means."""
    escaped: bytes = match[1]
    return bytes((int(escaped) & 0xFF,)) if len(escaped) == 3 else escaped
