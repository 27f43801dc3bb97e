"""Zones of any RRs, as a zone file, a transfer or an API may bring them: written to the store, and asked for.

Rdata is of its type's form, or damaged, or noise. Owners are names of the zone, others, and none. Every question
has a reply that is a message; every version of a zone follows on the one before.
"""

from __future__ import annotations

import random
from collections.abc import Iterable

import dns.rdata
import dns.rdataclass
import dns.rdatatype

from fastdns.authoritative._step import ZoneStep
from fastdns.dns.names import wire_name
from fastdns.memory._store import Store, Writer
from fastdns.rrsets._draft import Draft
from fastdns.rrsets._writer import ZoneWriter
from fastdns.serve._worker import Worker
from fastdns.serve._zones import ServerTable
from tests.fuzz.findings import Finding, Memory
from tests.fuzz.packets import mangled
from tests.fuzz.questions import LABELS, ask
from tests.fuzz.replies import RDATA

SOURCE = 3
ZONES = ("example.org.", "sub.example.org.", ".", "www.example.org.")
QUESTIONS = 30
# What is answered from has the form of its type, or none is answered at all.
NATIVE = (
    "A",
    "AAAA",
    "NS",
    "CNAME",
    "DNAME",
    "SOA",
    "MX",
    "SRV",
    "HTTPS",
    "DS",
    "RRSIG",
    "NSEC",
    "NSEC3",
    "NSEC3PARAM",
)
NSEC3 = int(dns.rdatatype.NSEC3)


class Served:
    """Zones in a store, and a worker that answers from them."""

    def __init__(self, zones: Iterable[str] = ZONES) -> None:
        self.zones = tuple(zones)
        self.store = Store(1 << 26)
        self.writer = ZoneWriter(Writer(self.store), SOURCE)
        self.writer.writer.set_source(SOURCE, synced=True)
        names = [wire_name(zone) for zone in self.zones]
        step = ZoneStep(source=SOURCE, zones=names, fall=[], not_loaded=0)
        table = ServerTable([(zone, number, None) for number, zone in enumerate(self.zones)], [[step]] * len(names))
        self.worker = Worker(table, self.store)

    def publish(self, rng: random.Random, draft: Draft) -> None:
        """Put a zone in the place of the one that has this name."""
        self.writer.replace(draft, rng.choice((None, None, rng.getrandbits(32))))
        while self.writer.settle():
            pass
        self.writer.writer.reclaim()


def corpus(rng: random.Random, size: int) -> list[tuple[int, bytes]]:
    """Types and their rdata, well-formed."""
    found = []
    for _ in range(size):
        kind = rng.choice((rng.choice(NATIVE), rng.choice(list(RDATA))))
        rdata = dns.rdata.from_text(dns.rdataclass.IN, kind, RDATA[kind](rng))
        found.append((int(rdata.rdtype), rdata.to_wire() or b""))
    return found


def owner(rng: random.Random, zone: bytes, names: list[bytes]) -> bytes:
    """A name of the zone, mostly; those that are used often meet."""
    if names and rng.random() < 0.4:
        return rng.choice(names)
    labels = [rng.choice((b"a", b"b", b"*", b"www", b"ns", *LABELS)) for _ in range(rng.choice((0, 1, 1, 2, 3)))]
    if rng.random() < 0.1:
        # The shelf of NSEC3 records.
        labels = [bytes(rng.choices(b"0123456789abcdefghijklmnopqrstuv", k=32)), b"\0\0\1\xab\xcd"]
    name = b"".join(bytes((len(label),)) + label for label in labels) + zone
    if rng.random() < 0.05:
        return mangled(rng, name)[:255]
    return name


def fill(rng: random.Random, draft: Draft, rrs: list[tuple[int, bytes]]) -> list[bytes]:
    """Add RRs to a draft, most of them in order. Returns the owners that are names."""
    zone = draft.zone
    kept: list[bytes] = [zone]
    if rng.random() < 0.9:
        draft.add(zone, 6, 60, b"\2ns" + zone + b"\0" + bytes(16) + rng.randbytes(4))
    if rng.random() < 0.3:
        draft.add(zone, 51, 0, b"\1\0\0\1\2\xab\xcd")
    for _ in range(rng.choice((0, 3, 20, 60))):
        rrtype, rdata = rng.choice(rrs)
        damage = rng.random()
        if damage < 0.1:
            rdata = mangled(rng, rdata)
        elif damage < 0.15:
            rdata = rng.randbytes(rng.choice((0, 1, 4, 16, 300)))
        elif damage < 0.16:
            rdata = rdata * (65536 // max(1, len(rdata)))
        name = owner(rng, zone, kept)
        if draft.add(name, rrtype, rng.choice((0, 60, 2**31, 2**32 - 1)), rdata[:65535]):
            kept.append(name)
    return kept


def fuzz_zones(count: int, seed: int) -> int:
    """Write count zones, and ask for their names; returns how many questions have an answer. Raises Finding."""
    rng = random.Random(seed)
    rrs = corpus(rng, 400)
    served = Served()
    memory = Memory(200)
    answered = 0
    for number in range(count):
        draft = Draft(wire_name(rng.choice(served.zones)))
        names = fill(rng, draft, rrs)
        if rng.random() < 0.02:
            served.writer.remove(draft.zone)
        else:
            served.publish(rng, draft)
        try:
            for _ in range(QUESTIONS):
                reply = ask(served.worker.serve, rng, names)
                answered += reply is not None and reply[7] + reply[6] > 0
        except Finding as finding:
            raise Finding(f"{finding}: zone {number} of seed {seed}") from None
        memory.look(number)
    return answered
