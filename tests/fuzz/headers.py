"""Headers of the PROXY protocol, whole and damaged, against a reader of version 2 in Python."""

from __future__ import annotations

import random
import struct

from fastdns.dns._proxy_header import proxy_header
from fastdns.transports._proxies import Proxies
from fastdns.transports.proxied import USE
from tests.dns.proxy_headers import SIGNATURE
from tests.fuzz.findings import Finding

TEXTS = (
    b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 53\r\n", b"PROXY TCP6 2001:db8::1 ::2 1 53\r\n",
    b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n",
)  # fmt: skip
ROOM = 2048


def made(rng: random.Random) -> bytes:
    """A header, most often one that is right."""
    if rng.random() < 0.3:
        data = bytearray(rng.choice(TEXTS))
    else:
        family = rng.choice((0x11, 0x12, 0x21, 0x22, 0x31, 0x00, rng.randrange(256)))
        body = rng.randbytes(rng.choice((0, 12, 36, 50, 216, rng.randrange(2100))))
        command = rng.choice((0x21, 0x21, 0x20, rng.randrange(256)))
        data = bytearray(SIGNATURE + bytes([command, family]) + struct.pack("!H", len(body)) + body)
    for _ in range(rng.choice((0, 0, 0, 1, 3))):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data) + rng.randbytes(rng.choice((0, 0, 12, 40)))


def reference(data: bytes) -> tuple[int, int, bytes, int] | None:
    """What a datagram with version 2's signature says; None of others."""
    if not data.startswith(SIGNATURE) or len(data) < 16:
        return None
    command, family, length = struct.unpack("!BBH", data[12:16])
    if command not in (0x20, 0x21) or family >> 4 > 3 or family & 15 > 2 or 16 + length > ROOM:
        return 3, 0, b"", 0
    if len(data) < 16 + length:
        return 2, 0, b"", 0
    size = {1: 4, 2: 16}.get(family >> 4, 0)
    if command == 0x20 or not size:
        return 1, 16 + length, b"", 0
    if length < 2 * size + 4:
        return 3, 0, b"", 0
    address = data[16 : 16 + size]
    if address.startswith(b"\0" * 10 + b"\xff\xff"):
        address = address[12:]
    return 1, 16 + length, address, struct.unpack("!H", data[16 + 2 * size : 18 + 2 * size])[0]


def fuzz_headers(count: int, seed: int) -> int:
    """Read count headers; returns how many of them name a client. Raises Finding."""
    rng = random.Random(seed)
    proxies = Proxies([], USE, 5, 3)
    named = 0
    for number in range(count):
        data = made(rng)
        found = proxy_header(data)
        wanted = reference(data)
        if wanted is not None and found != wanted:
            raise Finding(f"{data.hex()}: {found}, expected {wanted}; header {number} of seed {seed}")
        if found[1] > len(data) or len(found[2]) not in (0, 4, 16):
            raise Finding(f"{data.hex()}: {found}; header {number} of seed {seed}")
        client = proxies.client(b"\x7f\0\0\1", rng.randrange(8), data, number)
        if client is not None and found[0] == 1 and found[2] and client[:2] != (found[2], found[3]):
            raise Finding(f"{data.hex()}: {client} as a datagram, {found}; header {number} of seed {seed}")
        named += len(found[2]) > 0
    return named
