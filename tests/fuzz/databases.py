"""Damaged databases of places (MaxMind DB): opened or refused, and looked up in."""

from __future__ import annotations

import random

from fastdns.plugins.geoip._database import Database
from fastdns.plugins.geoip.values import VALUES
from tests.fuzz.findings import Memory
from tests.plugins.geoip.writer import CITIES, NETWORKS, database

ADDRESSES = [
    b"\x7f\0\0\1", b"\x7f\0\0\4", b"\xff" * 4, b"\0" * 16, b"\xff" * 16, b"\x20\x01\x0d\xb8" + bytes(11) + b"\1",
    bytes(10) + b"\xff\xff\x7f\0\0\1",
]  # fmt: skip
PATHS = [[key.encode() for key in keys] for _, keys, _ in VALUES.values()]
# Control bytes of maps, arrays, pointers and long texts, and ends of the file.
BYTES = (0, 1, 0x04, 0x07, 0x1F, 0x20, 0x2F, 0x3F, 0x38, 0x5D, 0x5F, 0x9F, 0xE0, 0xE4, 0xFF)


def fuzz_databases(count: int, seed: int) -> int:
    """Look up in count databases; returns how many are opened."""
    rng = random.Random(seed)
    whole = [
        database(records, record_bits=bits, pointers=pointers)
        for records in (CITIES, NETWORKS)
        for bits in (24, 28, 32)
        for pointers in (False, True)
    ]
    memory = Memory(1000)
    opened = 0
    for number in range(count):
        raw = bytearray(rng.choice(whole))
        # The last part is what says how the rest is read.
        first = rng.choice((0, 0, max(0, len(raw) - 200)))
        for _ in range(rng.randrange(1, 8)):
            raw[rng.randrange(first, len(raw))] = rng.choice((*BYTES, rng.randrange(256)))
        if rng.random() < 0.2:
            at = rng.randrange(len(raw))
            del raw[at : at + rng.choice((1, 2, 16, len(raw)))]
        try:
            found = Database(bytes(raw))
        except ValueError:
            continue
        opened += 1
        for address in (*rng.sample(ADDRESSES, 3), rng.randbytes(rng.choice((4, 16)))):
            found.text(address, rng.choice(PATHS))
        memory.look(number)
    return opened
