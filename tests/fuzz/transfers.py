"""Zones that are transferred in and out.

In: a primary sends any messages, well-formed or damaged, of a whole zone or of differences. *secondary* takes them
or says what is wrong, and what it takes is served. Out: a client asks for zones of any records, in any
version, and stops anywhere. Each message that it gets is one.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import struct

from fastdns.authoritative._transfer import ZoneTransfer
from fastdns.dns.names import wire_name
from fastdns.errors import SourceError
from fastdns.plugins.secondary import catalog
from fastdns.plugins.secondary._incoming import Incoming, newer, serial_in
from fastdns.plugins.secondary.asking import question
from fastdns.plugins.secondary.differences import draft_of_changes
from fastdns.plugins.transfer._step import TransferStep
from fastdns.rrsets._draft import Draft
from fastdns.rrsets._writer import Replacement
from fastdns.serve._worker import Worker
from fastdns.serve._zones import ServerTable
from fastdns.transports._slow import Messages, SlowPath
from tests.fuzz.findings import Finding, Memory
from tests.fuzz.packets import mangled
from tests.fuzz.questions import ask
from tests.fuzz.replies import Broken, walk
from tests.fuzz.zones import SOURCE, Served, corpus, fill, owner

ZONES = ("example.org.", "catalog.test.")
QUESTIONS = 10
CLIENT = b"\x7f\0\0\1"
SOA, PTR, TXT, AXFR, IXFR = 6, 12, 16, 252, 251
SERIALS = (0, 1, 2, 2**31 - 1, 2**31, 2**32 - 1)

RR = tuple[bytes, int, int, int, bytes]

# ------------------------------------------------------------------------------------------------------------- in


def soa(zone: bytes, serial: int) -> RR:
    rdata = b"\2ns" + zone + b"\0" + struct.pack(">5I", serial, 1, 1, 1, 1)
    return zone, SOA, 1, 60, rdata


def record(rng: random.Random, zone: bytes, names: list[bytes], rrs: list[tuple[int, bytes]]) -> RR:
    """Any record, mostly of the zone."""
    rrtype, rdata = rng.choice(rrs)
    if rng.random() < 0.005:
        rdata = mangled(rng, rdata)[:65000]
    return owner(rng, zone, names), rrtype, rng.choice((1,) * 600 + (3, 255)), rng.choice((0, 60, 2**32 - 1)), rdata


def stream(rng: random.Random, zone: bytes, rrs: list[tuple[int, bytes]]) -> list[RR]:
    """The records of a whole zone, in order."""
    first = soa(zone, rng.choice(SERIALS))
    made = [first]
    names = [zone]
    for _ in range(rng.choice((0, 2, 10, 60))):
        made.append(record(rng, zone, names, rrs))
        names.append(made[-1][0])
    if zone == wire_name(ZONES[1]):
        # A catalog (RFC 9432).
        made.append((b"\7version" + zone, TXT, 1, 0, rng.choice((b"\0012", b"\0012", b"\0011", b"\1\xff"))))
        made.append((zone, 2, 1, 0, b"\7invalid\0"))
        for _ in range(rng.randrange(4)):
            label = rng.choice((b"\1a", b"\1b", b"\1\xff", b"\3coo\1a", b"\3coo\1b"))
            made.append((label + b"\5zones" + zone, PTR, 1, 0, rng.choice((b"\1x\4test\0", b"\1y\0", b"\0"))))
    return spoiled(rng, zone, [*made, rng.choice((first, first, first, soa(zone, 7)))])


def spoiled(rng: random.Random, zone: bytes, made: list[RR]) -> list[RR]:
    """The records, or what is nearly a transfer: some are missing, repeated, or SOA records."""
    for _ in range(rng.choice((0, 0, 0, 0, 1, 2))):
        at = rng.randrange(len(made) + 1)
        made[at : at + rng.randrange(2)] = rng.choice(([], made[:1], made[at : at + 1] * 3, [soa(zone, 9)]))
    return made or [soa(zone, 9)]


def differences(
    rng: random.Random, zone: bytes, known: int, held: list[RR], rrs: list[tuple[int, bytes]]
) -> list[RR]:
    """The records of an IXFR that leads from a serial on. held: records that are there, to be removed."""
    last = (known + rng.choice((1, 2, 3))) & 0xFFFFFFFF
    made = [soa(zone, last)]
    at = known
    while at != last:
        removed = rng.sample(held, min(len(held), rng.randrange(4)))
        added = [record(rng, zone, [one[0] for one in held] or [zone], rrs) for _ in range(rng.randrange(4))]
        made += [soa(zone, at), *removed, soa(zone, at + 1 & 0xFFFFFFFF), *added]
        held = [one for one in held if one not in removed] + added
        at = at + 1 & 0xFFFFFFFF
    return spoiled(rng, zone, [*made, soa(zone, last)])


def packed(rng: random.Random, query: bytes, made: list[RR]) -> list[bytes]:
    """The records as messages that reply to a query; or nearly."""
    asked = query[12 : query.index(b"\0", 12) + 5]
    found = []
    while made:
        count = min(len(made), rng.choice((1, 5, 100)))
        body = b"".join(
            (name or b"\0") + struct.pack(">HHIH", rrtype, rrclass, ttl_s, len(rdata)) + rdata
            for name, rrtype, rrclass, ttl_s, rdata in made[:count]
        )
        made = made[count:]
        repeated = rng.choice((asked, asked, b""))
        flags = 0x8400 if rng.random() < 0.98 else rng.getrandbits(16)
        message = query[:2] + struct.pack(">5H", flags, bool(repeated), count, 0, 0) + repeated + body
        found.append((mangled(rng, message) if rng.random() < 0.02 else message)[:65535])
    return found


def fuzz_transfers_in(count: int, seed: int) -> int:
    """Transfer count zones, or what has changed in them; returns how many are served. Raises Finding."""
    rng = random.Random(seed)
    rrs = corpus(rng, 300)
    served = Served(ZONES)
    memory = Memory(500)
    # By zone: the serial and some of the records that are served.
    versions: dict[bytes, tuple[int, list[RR]]] = {}
    taken = 0
    for number in range(count):
        try:
            taken += one_zone(rng, served, versions, rrs)
        except Exception as error:
            raise Finding(f"{error!r}: zone {number} of seed {seed}") from error
        memory.look(number)
    return taken


def one_zone(
    rng: random.Random, served: Served, versions: dict[bytes, tuple[int, list[RR]]], rrs: list[tuple[int, bytes]]
) -> bool:
    """Whether a new version is served. Raises Finding."""
    zone = wire_name(rng.choice(ZONES))
    number = rng.getrandbits(16)
    known, held = versions.get(zone, (0, []))
    by_differences = zone in versions and rng.random() < 0.6
    kind = IXFR if by_differences else AXFR
    query = question(zone, kind, number, known if by_differences else None)
    made = (
        differences(rng, zone, known, held, rrs)
        if by_differences and rng.random() < 0.9
        else stream(rng, zone, rrs)
    )
    incoming = Incoming(
        zone, kind, number, serial=known if by_differences else None, wanted=catalog.TYPES, max_rrs=100,
        max_bytes=1 << 18, max_changes=20,
    )  # fmt: skip
    with contextlib.suppress(SourceError):
        serial_in(packed(rng, question(zone, SOA, number), made)[0], zone, number)
    try:
        if not any(incoming.take(message) for message in packed(rng, query, made)):
            return False
        if incoming.whole:
            incoming.finish()
            draft = incoming.draft
            with contextlib.suppress(SourceError):
                catalog.members_of(zone, incoming.kept)
        elif not newer(incoming.serial, known):
            return False
        else:
            draft = asyncio.run(draft_of_changes(served.writer, zone, incoming))
    except SourceError as error:
        if not str(error):
            raise Finding("nothing is said of what is wrong") from None
        return False
    replacement = Replacement(served.writer, draft, None, incoming.whole)
    while not replacement.step(1_000_000_000):
        pass
    served.writer.settle()
    served.writer.writer.reclaim()
    versions[zone] = incoming.serial, [one for one in made if one[1] != SOA and one[2] == 1]
    names = [zone, *(one[0] for one in made if 0 < len(one[0]) <= 255)]
    for _ in range(QUESTIONS):
        ask(served.worker.serve, rng, names)
    return True


# ------------------------------------------------------------------------------------------------------------ out


def request(rng: random.Random, zone: bytes) -> bytes:
    """A query for a transfer."""
    kind = rng.choice((AXFR, IXFR, IXFR))
    serial = soa(zone, rng.choice((*SERIALS, rng.randrange(8))))[4] if kind == IXFR else b""
    authority = zone + struct.pack(">HHIH", SOA, 1, 0, len(serial)) + serial if serial else b""
    head = rng.randbytes(2) + struct.pack(">HHHHH", 0, 1, 0, bool(serial), 0)
    spelled = bytes(byte ^ 0x20 if 97 <= byte <= 122 else byte for byte in zone)
    wire = head + spelled + struct.pack(">HH", kind, 1) + authority
    if rng.random() < 0.3:
        wire = wire[:11] + b"\1" + wire[12:] + b"\0\0\x29\x10\0\0\0\0\0\0\0"
    return wire if rng.random() < 0.8 else mangled(rng, wire)


def fuzz_transfers_out(count: int, seed: int) -> int:
    """Publish count zones, and transfer them; returns how many transfers were whole. Raises Finding."""
    rng = random.Random(seed)
    rrs = corpus(rng, 400)
    served = Served()
    step = TransferStep([([b"\0"], False, [CLIENT])], [ZoneTransfer(SOURCE)])
    slow = SlowPath([Worker(ServerTable([(".", 0, None)], [[step]]), served.store, 1)])
    memory = Memory(200)
    whole = 0
    for number in range(count):
        draft = Draft(wire_name(rng.choice(served.zones)))
        fill(rng, draft, rrs)
        served.publish(rng, draft)
        for _ in range(rng.choice((1, 2, 5))):
            query = request(rng, draft.zone)
            try:
                whole += one_transfer(rng, slow, query, served, rrs)
            except (Finding, Broken) as what:
                raise Finding(f"{what}: zone {number} of seed {seed}, query {query.hex()}") from None
        memory.look(number)
    return whole


def one_transfer(
    rng: random.Random, slow: SlowPath, query: bytes, served: Served, rrs: list[tuple[int, bytes]]
) -> bool:
    """Whether it came to its end. Raises Finding."""
    reply = slow.serve(0, query, CLIENT, 53, lambda _: None, transport=rng.choice((1, 1, 1, 0)))
    if not isinstance(reply, Messages):
        if reply is not None:
            assert isinstance(reply, bytes)
            walk(reply)
        return False
    answers = 0
    limit = rng.choice((1, 1000, 1000))
    for _ in range(limit):
        message = reply.next()
        if message is None:
            return False
        if not message:
            if not answers:
                raise Finding("a transfer of no records")
            return True
        walk(message)
        if message[:2] != query[:2] or not message[2] & 0x80:
            raise Finding("no reply to this query")
        answers += int.from_bytes(message[6:8], "big")
        if rng.random() < 0.05:
            # It changes meanwhile.
            draft = Draft(wire_name(rng.choice(served.zones)))
            fill(rng, draft, rrs)
            served.publish(rng, draft)
    reply.close()
    return False
