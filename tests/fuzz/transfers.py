"""Zones that are transferred in and out.

In: a primary answers with any stream of messages, well-formed or damaged; the child of *secondary* takes a zone or says
what is wrong with it, and what it takes is served. Out: zones of any records, in any version, are read by a client that
stops anywhere; each message is one, and a whole transfer has the records of the zone.
"""

from __future__ import annotations

import contextlib
import io
import random
import socket
import struct
import threading
from collections.abc import Iterator

from fastdns.plugins.secondary.frames import Job

from fastdns.authoritative._transfer import ZoneTransfer
from fastdns.dns.names import wire_name
from fastdns.plugins.secondary import child
from fastdns.plugins.transfer._step import TransferStep
from fastdns.rrsets._draft import Draft
from fastdns.serve._worker import Worker
from fastdns.serve._zones import ServerTable
from fastdns.transports._slow import Messages, SlowPath
from tests.fuzz.findings import Finding, Memory
from tests.fuzz.packets import mangled
from tests.fuzz.questions import ask
from tests.fuzz.replies import Broken, walk
from tests.fuzz.zonefiles import frames, owners
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


def stream(rng: random.Random, zone: bytes, rrs: list[tuple[int, bytes]]) -> list[RR]:
    """The records of a transfer, in order: (owner, type, class, TTL, rdata)."""
    first = soa(zone, rng.choice(SERIALS))
    made = [first]
    names = [zone]
    for _ in range(rng.choice((0, 2, 10, 60))):
        rrtype, rdata = rng.choice(rrs)
        if rng.random() < 0.005:
            rdata = mangled(rng, rdata)[:65000]
        names.append(owner(rng, zone, names))
        made.append((names[-1], rrtype, rng.choice((1,) * 600 + (3, 254, 255)), rng.choice((0, 60, 2**32 - 1)), rdata))
    if zone == wire_name(ZONES[1]):
        # A catalog (RFC 9432).
        made.append((b"\7version" + zone, TXT, 1, 0, rng.choice((b"\0012", b"\0011", b"\1\xff"))))
        made.append((zone, 2, 1, 0, b"\7invalid\0"))
        for _ in range(rng.randrange(4)):
            label = rng.choice((b"\1a", b"\1b", b"\1\xff", b"\3coo\1a", b"\3coo\1b"))
            made.append((label + b"\5zones" + zone, PTR, 1, 0, rng.choice((b"\1x\4test\0", b"\1y\0", b"\0"))))
    made.append(rng.choice((first, first, first, soa(zone, 7))))
    for _ in range(rng.choice((0, 0, 0, 0, 1, 2))):
        at = rng.randrange(len(made) + 1)
        made[at : at + rng.randrange(2)] = rng.choice(([], [first], made[at : at + 1] * 3, [soa(zone, 9)]))
    return made


def packed(rng: random.Random, query: bytes, made: list[RR]) -> bytes:
    """The records as messages of a stream, which reply to a query; or nearly."""
    question = query[12:]
    out = bytearray()
    while made:
        count = min(len(made), rng.choice((1, 5, 100)))
        body = b"".join(
            (name or b"\0") + struct.pack(">HHIH", rrtype, rrclass, ttl_s, len(rdata)) + rdata
            for name, rrtype, rrclass, ttl_s, rdata in made[:count]
        )
        made = made[count:]
        asked = rng.choice((question, question, b""))
        flags = 0x8400 if rng.random() < 0.98 else rng.getrandbits(16)
        head = query[:2] + struct.pack(">HHHHH", flags, bool(asked), count, 0, 0)
        message = head + asked + body
        if rng.random() < 0.02:
            message = mangled(rng, message)
        message = message[:65535]
        out += struct.pack(">H", len(message)) + message
    return bytes(out)


def misframed(rng: random.Random, out: bytes) -> bytes:
    """A stream whose lengths are not those of its messages."""
    at = rng.randrange(len(out) + 1)
    return out[:at] + rng.choice((b"", b"\0\0", b"\xff", rng.randbytes(3))) + out[at + rng.choice((0, 1, 2)) :]


class Primary(threading.Thread):
    """Answers each query over TCP, on a port of the loopback, and closes the connection."""

    def __init__(self, rng: random.Random, zones: dict[bytes, list[tuple[int, bytes]]]) -> None:
        super().__init__(daemon=True)
        self.rng = rng
        self.zones = zones
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self.listener.getsockname()

    def run(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                connection.settimeout(5)
                self.answer(connection)

    def answer(self, connection: socket.socket) -> None:
        reader = connection.makefile("rb")
        while len(size := reader.read(2)) == 2:
            query = reader.read(int.from_bytes(size, "big"))
            zone = query[12:-4]
            wants_soa = query[-3] == SOA
            made = [soa(zone, self.rng.choice(SERIALS))] if wants_soa else stream(self.rng, zone, self.zones[zone])
            out = packed(self.rng, query, made)
            broken = self.rng.random() < 0.1
            connection.sendall(misframed(self.rng, out) if broken else out)
            if broken or not wants_soa:
                return

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.join()


@contextlib.contextmanager
def primary(rng: random.Random, zones: dict[bytes, list[tuple[int, bytes]]]) -> Iterator[Primary]:
    one = Primary(rng, zones)
    one.start()
    try:
        yield one
    finally:
        one.close()


def fuzz_transfers_in(count: int, seed: int) -> int:
    """Transfer count zones; returns how many were taken. Raises Finding."""
    rng = random.Random(seed)
    rrs = corpus(rng, 300)
    served = Served(ZONES)
    memory = Memory(500)
    taken = 0
    most_s, child.MESSAGE_S = child.MESSAGE_S, 1.0
    try:
        with primary(random.Random(seed), {wire_name(zone): rrs for zone in ZONES}) as one:
            for number in range(count):
                try:
                    taken += one_zone(rng, served, one.address)
                except Exception as error:
                    raise Finding(f"{error!r}: zone {number} of seed {seed}") from error
                memory.look(number)
    finally:
        child.MESSAGE_S = most_s
    return taken


def one_zone(rng: random.Random, served: Served, address: tuple[str, int]) -> bool:
    """Whether it is taken. Raises Finding."""
    zone = rng.choice(ZONES)
    job = Job(zone, [address] * rng.choice((1, 1, 2)), rng.choice((None, *SERIALS[:3])), zone == ZONES[1])
    written = io.BytesIO()
    done = child.transfer_from_any(job, written)
    if done.error or done.unchanged:
        if written.getvalue():
            raise Finding("records of a transfer that has failed")
        return False
    draft = Draft(wire_name(zone))
    names = [draft.zone]
    for rows in frames(written.getvalue()):
        names += owners(rows)
        draft.add_rows(rows)
    if draft.left_out:
        raise Finding(f"{draft.left_out} are left out, and nothing says so")
    served.publish(rng, draft)
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
        assert isinstance(message, bytes)
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
