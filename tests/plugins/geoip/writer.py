"""Writes databases in the MaxMind DB format, as small as tests need them."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Mapping
from typing import Any

MARKER = b"\xab\xcd\xefMaxMind.com"
STRING, DOUBLE, UINT32, MAP, ARRAY, BOOLEAN = 2, 3, 6, 7, 11, 14


def control(kind: int, size: int) -> bytes:
    """The control byte of a field, and what of its size does not fit."""
    extra = b""
    if size >= 285:
        size, extra = 30, (size - 285).to_bytes(2, "big")
    elif size >= 29:
        size, extra = 29, bytes([size - 29])
    return (bytes([kind << 5 | size]) if kind < 8 else bytes([size, kind - 7])) + extra


class Data:
    """A data section. Texts that repeat become pointers."""

    def __init__(self, *, pointers: bool = True) -> None:
        self.bytes = bytearray()
        self.texts: dict[str, int] = {}
        self.pointers = pointers

    def put(self, value: Any) -> None:
        """Add a field."""
        if isinstance(value, bool):
            self.bytes += control(BOOLEAN, value)
        elif isinstance(value, int):
            raw = value.to_bytes((value.bit_length() + 7) // 8, "big")
            self.bytes += control(UINT32, len(raw)) + raw
        elif isinstance(value, float):
            self.bytes += control(DOUBLE, 8) + struct.pack(">d", value)
        elif isinstance(value, str):
            self.put_text(value)
        elif isinstance(value, dict):
            self.bytes += control(MAP, len(value))
            for key, item in value.items():
                self.put_text(key)
                self.put(item)
        else:
            self.bytes += control(ARRAY, len(value))
            for item in value:
                self.put(item)

    def put_text(self, text: str) -> None:
        at = self.texts.get(text)
        if self.pointers and at is not None:
            if at < 2048:
                self.bytes += bytes([0x20 | at >> 8, at & 255])
            else:
                self.bytes += bytes([0x28 | (at - 2048) >> 16]) + ((at - 2048) & 0xFFFF).to_bytes(2, "big")
            return
        self.texts.setdefault(text, len(self.bytes))
        raw = text.encode()
        self.bytes += control(STRING, len(raw)) + raw


def database(
    records: Mapping[str, Any], *, kind: str = "GeoLite2-City", record_bits: int = 28, ip_version: int = 6,
    pointers: bool = True,
) -> bytes:  # fmt: skip
    """A file. records: by network."""
    data = Data(pointers=pointers)
    # A node: two records, each None, another node, or (place,) in the data section.
    root: list[Any] = [None, None]

    def put(bits: str, record: Any) -> None:
        node = root
        for bit in map(int, bits[:-1]):
            if node[bit] is None:
                node[bit] = [None, None]
            node = node[bit]
        node[int(bits[-1])] = record

    for text, record in records.items():
        network = ipaddress.ip_network(text)
        bits = "".join(f"{byte:08b}" for byte in network.network_address.packed)[: network.prefixlen]
        if network.version == 4 and ip_version == 6:
            bits = "0" * 96 + bits
        at = len(data.bytes)
        data.put(record)
        put(bits, (at,))
    if ip_version == 6:
        # As MaxMind's: mapped addresses lead to those of IPv4.
        ipv4: Any = root
        for _ in range(96):
            ipv4 = ipv4[0] if isinstance(ipv4, list) else None
        if isinstance(ipv4, list):
            put("0" * 80 + "1" * 16, ipv4)
    nodes = [root]
    known = {id(root)}
    for node in nodes:
        new = [part for part in node if isinstance(part, list) and id(part) not in known]
        known.update(map(id, new))
        nodes += new
    numbers = {id(node): number for number, node in enumerate(nodes)}
    tree = bytearray()
    for node in nodes:
        left, right = (
            numbers[id(part)] if isinstance(part, list) else len(nodes) + (0 if part is None else 16 + part[0])
            for part in node
        )
        if record_bits == 28:
            tree += (left & 0xFFFFFF).to_bytes(3, "big") + bytes([left >> 24 << 4 | right >> 24])
            tree += (right & 0xFFFFFF).to_bytes(3, "big")
        else:
            tree += left.to_bytes(record_bits // 8, "big") + right.to_bytes(record_bits // 8, "big")
    about = Data(pointers=False)
    about.put({
        "binary_format_major_version": 2, "binary_format_minor_version": 0, "build_epoch": 1700000000,
        "database_type": kind, "description": {"en": "of tests"}, "ip_version": ip_version, "languages": ["en"],
        "node_count": len(nodes), "record_size": record_bits,
    })  # fmt: skip
    return bytes(tree) + bytes(16) + bytes(data.bytes) + MARKER + bytes(about.bytes)


# What the tests look up.
CITIES: dict[str, Any] = {
    "127.0.0.0/30": {
        "city": {"names": {"de": "Cambridge (de)", "en": "Cambridge"}},
        "continent": {"code": "EU", "names": {"en": "Europe"}},
        "country": {"iso_code": "GB", "names": {"en": "United Kingdom"}, "is_in_european_union": False},
        "location": {"latitude": 52.2242, "longitude": 0.1315, "time_zone": "Europe/London"},
        "postal": {"code": "CB4"},
        "subdivisions": [{"iso_code": "ENG"}, {"iso_code": "TWH", "names": {"en": "x"}}],
    },
    "127.0.0.4/32": {"country": {"iso_code": "DE", "is_in_european_union": True}, "location": {"latitude": -1e-7}},
    "203.0.113.0/24": {"city": {"names": {"en": "Zürich"}}, "country": {"iso_code": "CH"}},
    "2001:db8::/32": {"city": {"names": {"en": "Six"}}, "subdivisions": []},
}
NETWORKS: dict[str, Any] = {
    "127.0.0.0/8": {"autonomous_system_number": 396982, "autonomous_system_organization": "GOOGLE-CLOUD-PLATFORM"},
}
