"""Queries that a hostile sender would send: well-formed ones, mangled ones, and noise. Deterministic by seed."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator

import dns.message
import dns.rdatatype

NAMES = [
    "kubernetes.default.svc.cluster.local.",
    "web.shop.svc.cluster.local.",
    "_http._tcp.web.shop.svc.cluster.local.",
    "db-0.db.shop.svc.cluster.local.",
    "db.shop.svc.cluster.local.",
    "store.default.svc.cluster.local.",
    "10-244-1-20.shop.pod.cluster.local.",
    "1.0.96.10.in-addr.arpa.",
    "20.1.244.10.in-addr.arpa.",
    "4.3.2.1." + "0." * 20 + "6.9.0.0.0.0.d.f.ip6.arpa.",
    "cluster.local.",
    "dns-version.cluster.local.",
    "ns.dns.cluster.local.",
    "svc.cluster.local.",
    "nope.nope.svc.cluster.local.",
    "example.com.",
    ".",
    "a." * 100 + "cluster.local.",
    "x" * 63 + "." + "y" * 63 + "." + "z" * 63 + ".svc.cluster.local.",
]
TYPES = ["A", "AAAA", "SRV", "PTR", "NS", "SOA", "TXT", "CNAME", "MX", "ANY", "DS", "AXFR", "IXFR", "HTTPS"]
POINTERS = (0xC0, 0x00, 0x0C, 0x0D, 0xFF, 0xC1)


def well_formed(rng: random.Random) -> bytes:
    """A query that a resolver could send."""
    message = dns.message.make_query(rng.choice(NAMES), rng.choice(TYPES), use_edns=rng.choice((None, 0)))
    message.id = rng.getrandbits(16)
    wire = bytearray(message.to_wire())
    if message.edns < 0 and rng.random() < 0.3:
        # An OPT record of our own: any size, version, flags, and options that may not fit their lengths.
        options = rng.randbytes(rng.randrange(0, 40))
        wire += b"\0" + struct.pack(
            ">HHIH", 41, rng.getrandbits(16), rng.getrandbits(32) & 0x0001FFFF, len(options)
        ) + options  # fmt: skip
        wire[11] = 1
    return bytes(wire)


def mangled(rng: random.Random, wire: bytes) -> bytes:
    """wire with a few of the changes that have broken parsers."""
    data = bytearray(wire)
    for _ in range(rng.randrange(1, 5)):
        kind = rng.randrange(8)
        at = rng.randrange(len(data)) if data else 0
        if kind == 0 and data:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1 and data:
            data[at] = rng.getrandbits(8)
        elif kind == 2:
            del data[at:]
        elif kind == 3:
            data[at:at] = rng.randbytes(rng.randrange(1, 12))
        elif kind == 4 and len(data) > 12:
            # A compression pointer: backwards, forwards, to itself, into the header.
            data[at : at + 2] = bytes((rng.choice(POINTERS), rng.choice((*POINTERS, at & 0xFF))))
        elif kind == 5 and len(data) >= 12:
            # Counts that promise more, or less.
            struct.pack_into(">H", data, rng.choice((4, 6, 8, 10)), rng.choice((0, 1, 2, 3, 255, 65535)))
        elif kind == 6 and len(data) >= 4:
            struct.pack_into(">H", data, 2, rng.getrandbits(16))
        elif kind == 7 and len(data) > 12:
            part = data[12:at] if at > 12 else data[12:]
            data += part
    return bytes(data[:65535])


def packets(seed: int, count: int) -> Iterator[bytes]:
    """count messages, the same for the same seed."""
    rng = random.Random(seed)
    corpus = [well_formed(rng) for _ in range(2000)]
    for _ in range(count):
        kind = rng.random()
        if kind < 0.1:
            yield rng.choice(corpus)
        elif kind < 0.9:
            yield mangled(rng, rng.choice(corpus))
        else:
            yield rng.randbytes(rng.choice((0, 1, 11, 12, 13, 17, 40, 200, 512, 4000)))
