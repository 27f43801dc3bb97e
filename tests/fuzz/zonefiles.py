"""Zone files of any types, whole and damaged: read as the child reads them, written to the store, and asked for.

What is no zone file is an error. Lines that are read natively come to what dnspython makes of them.
"""

from __future__ import annotations

import io
import random
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path

import dns.name
import dns.rdataclass
import dns.zonefile

from fastdns.dns.names import wire_name
from fastdns.rrsets._draft import Draft
from fastdns.zonefiles import reading
from fastdns.zonefiles.child import read
from fastdns.zonefiles.frames import FRAME, ROWS, Job
from tests.fuzz.findings import Finding, Memory
from tests.fuzz.questions import ask
from tests.fuzz.replies import RDATA
from tests.fuzz.zones import Served
from tests.plugins.file.zones import EXAMPLE, KID, NEIGHBOUR

ZONE = "example.org."
SEEDS = [EXAMPLE, KID, NEIGHBOUR, "$ORIGIN .\n$TTL 5\nexample.org SOA a b 1 2 3 4 5\n\tNS a\n"]
QUESTIONS = 20
COMPARED_SHARE = 0.5
MAX_RRS = 1000
OWNERS = ("", "@", "www", "*", "a.b", "WWW", "x.example.org.", "other.", ".", "\\000.a", "\\255", "é", "ns")
PIECES = (
    "(", ")", '"', ";", "\\", "$", "\n", "\r\n", "\t", " ", "@", ".", "..", "*", "\0", "\xff", "é", "\\256", "\\03",
    "IN", "CH", "TYPE65535", "\\# 4 01020304", "\\# 99999 00", "1w2d", "4294967296", "-1", "SOA", "CNAME", "x" * 64,
    "x" * 300, "$ORIGIN sub\n", "$ORIGIN .\n", "$TTL 1\n", "$TTL x\n", "$GENERATE 1-9 h$ A 192.0.2.$\n",
    "$INCLUDE missing\n", "$GENERATE 1-40/3 ${0,3,x} CNAME a$\n", "$INCLUDE /dev/null\n", "$INCLUDE db\n",
    "$BOGUS\n", "\n\n", "( \n ) ",
)  # fmt: skip


def text_of(rng: random.Random) -> str:
    """A zone file, mostly with an SOA record."""
    lines = (
        rng.choice(SEEDS).splitlines() if rng.random() < 0.3 else ["$TTL 60", "@ SOA ns host 7 2 3 4 5", "@ NS ns"]
    )
    for _ in range(rng.randrange(25)):
        kind = rng.choice((rng.choice(("A", "AAAA", "NS", "CNAME", "MX", "SRV", "TXT", "PTR")), *RDATA))
        words = [rng.choice(OWNERS), rng.choice(("", "60", "0", "1h", "4294967295")), rng.choice(("", "IN", "in"))]
        lines.insert(rng.randrange(2, len(lines) + 1), " ".join((*words, kind, RDATA[kind](rng))))
    return rng.choice(("\n", "\n", "\r\n")).join(lines) + rng.choice(("", "\n"))


def damaged_text(rng: random.Random, text: str, pieces: tuple[str, ...] = PIECES) -> bytes:
    """The text, or the text with some of it gone, doubled, or with a piece in its place."""
    for _ in range(rng.choice((0, 0, 0, 1, 3))):
        at = rng.randrange(len(text) + 1)
        end = min(len(text), at + rng.choice((0, 1, 4, 60)))
        text = text[:at] + rng.choice((rng.choice(pieces), rng.choice(pieces), "", text[at:end] * 2)) + text[end:]
    data = bytearray(text.encode("utf-8", "surrogateescape"))
    for _ in range(rng.choice((0, 0, 0, 1)) if data else 0):
        data[rng.randrange(len(data))] = rng.choice((0, 10, 32, 34, 40, 59, 92, 255, rng.randrange(256)))
    return bytes(data)


def plain_and_not(text: bytes) -> list[tuple[str, bytes, list[str]]]:
    """(error, RRs in order, what is left out) of a text, with plain lines read natively, and without."""
    found = []
    for plain in (True, False):
        collector = reading.Collector(dns.name.from_text(ZONE), None)
        tokens = reading.EntryTokenizer(text, "db", collector)
        if not plain:
            tokens.take_lines = lambda: None  # type: ignore[method-assign]
        reader = dns.zonefile.Reader(tokens, dns.rdataclass.IN, collector, allow_include=False)  # type: ignore[arg-type]
        reader.current_origin = reader.last_name = collector.origin
        tokens.reader = reader
        collector.where = lambda tokens=tokens: (tokens.filename, tokens.entry_line)  # type: ignore[misc]
        error = ""
        try:
            reader.read()
        except Exception as raised:
            error = f"{type(raised).__name__}: {raised}"
        collector.flush()
        rows = b"".join(reading.batches(collector.draft, bytearray(len(collector.draft))))
        found.append((error, rows, collector.said))
    return found


def frames(written: bytes) -> Iterator[bytes]:
    """The rows in what a child has written."""
    at = 0
    while at < len(written):
        size, letter = FRAME.unpack_from(written, at)
        if letter == ROWS:
            yield written[at + FRAME.size : at + FRAME.size + size - 1]
        at += FRAME.size + size - 1


def owners(rows: bytes) -> list[bytes]:
    """The owners of RRs."""
    found = []
    at = 0
    while at < len(rows):
        size, _, _, rdata_size = struct.unpack_from("=BHIH", rows, at)
        found.append(rows[at + 9 : at + 9 + size])
        at += 9 + size + rdata_size
    return found


def fuzz_zone_files(count: int, seed: int) -> int:
    """Read count files; returns how many are zones. Raises Finding."""
    rng = random.Random(seed)
    served = Served((ZONE, "kid.example.org."))
    memory = Memory(500)
    taken = 0
    most, reading.MAX_RRS = reading.MAX_RRS, MAX_RRS
    try:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "db"
            for number in range(count):
                text = damaged_text(rng, text_of(rng))
                try:
                    taken += one_file(rng, served, file, text)
                except Finding as finding:
                    raise Finding(f"{finding}: file {number} of seed {seed}: {text!r}") from None
                memory.look(number)
    finally:
        reading.MAX_RRS = most
    return taken


def one_file(rng: random.Random, served: Served, file: Path, text: bytes) -> bool:
    """Whether it is a zone. Raises Finding."""
    if rng.random() < COMPARED_SHARE:
        plain, other = plain_and_not(text)
        if plain != other:
            raise Finding(f"{plain} is not {other}")
    file.write_bytes(text)
    written = io.BytesIO()
    said = read(Job(str(file), ZONE), written, rows=True)
    if said.error:
        if not said.error.startswith((str(file), "db:", "missing:", f'file "{file}"', "/dev/null")):
            raise Finding(f"an error without its place: {said.error}")
        return False
    draft = Draft(wire_name(ZONE))
    names: list[bytes] = []
    for rows in frames(written.getvalue()):
        names += owners(rows)
        draft.add_rows(rows)
    if len(draft) != said.rrs or draft.left_out:
        raise Finding(f"{len(draft)} of {said.rrs} RRs, {draft.left_out}")
    served.publish(rng, draft)
    for _ in range(QUESTIONS):
        ask(served.worker.serve, rng, names)
    return True
