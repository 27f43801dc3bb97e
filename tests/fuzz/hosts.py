"""Hosts files, whole and damaged: read, compared with a plain reader, written to the store, and asked for."""

from __future__ import annotations

import random

from fastdns.dns.names import wire_name
from fastdns.memory._store import Store, Writer
from fastdns.plugins.hosts._parsing import HostsReader
from fastdns.plugins.hosts._step import HostsStep
from fastdns.rrsets._draft import Draft
from fastdns.rrsets._writer import ZoneWriter
from fastdns.serve._worker import Worker
from fastdns.serve._zones import ServerTable
from tests.fuzz.findings import Finding, Memory
from tests.fuzz.questions import ask
from tests.fuzz.zonefiles import damaged_text
from tests.plugins.hosts.reference import name_of, read

SOURCE = 4
QUESTIONS = 20
ADDRESSES = (
    "10.0.0.1", "0.0.0.0", "::1", "::ffff:1.2.3.4", "fe80::1%eth0", "2001:db8::1", "1:2:3:4:5:6:7::", "1.2.3", "%",
    "255.255.255.255", "010.0.0.1", "::1.2.3.4", "x" * 50,
)  # fmt: skip
NAMES = (
    "a", "a.example.org", "WWW.Example.org.", "*.example.org", "*", ".", "..", "a..b", "\\065.b", "\\999", "a\\",
    "b\\.c", "x" * 63, "x" * 64, ".".join(["y" * 61] * 4), "z." * 127, "z." * 126 + "zz", "é", "localhost",
)  # fmt: skip
PIECES = (*ADDRESSES, *NAMES, "#", "\n", " ", "\t", "\v", "\f", "\r\n", "\0", "\\", "\\255", ":", ".", "%")


def text_of(rng: random.Random) -> str:
    """A hosts file."""
    lines = []
    for _ in range(rng.randrange(20)):
        words = (rng.choice(ADDRESSES[:6] + ADDRESSES), *rng.choices(NAMES, k=rng.randrange(6)))
        lines.append(rng.choice((" ", "\t", "  ")).join(words))
    return "\n".join(lines)


def fuzz_hosts_files(count: int, seed: int) -> int:
    """Read count files; returns how many questions for their names have an answer. Raises Finding."""
    rng = random.Random(seed)
    store = Store(1 << 24)
    writer = ZoneWriter(Writer(store), SOURCE)
    writer.writer.set_source(SOURCE, synced=True)
    zones = [wire_name("."), wire_name("example.org.")]
    step = HostsStep(SOURCE, zones, zones[1:], ttl_s=5, reverse=True, fall_unsupported=False)
    worker = Worker(ServerTable([(".", 0, None)], [[step]]), store)
    memory = Memory(1000)
    answered = 0
    for number in range(count):
        text = damaged_text(rng, text_of(rng), PIECES)
        draft, reader = Draft(b"\0"), HostsReader()
        reader.read(draft, text)
        names, *counts = read(text)
        if counts != [reader.addresses, reader.pointers, reader.skipped] or draft.left_out:
            raise Finding(f"read as {counts}, {draft.left_out}: file {number} of seed {seed}: {text!r}")
        writer.replace(draft)
        known = [*names, b"\0", *filter(None, map(name_of, text.split()[:5]))]
        try:
            for _ in range(QUESTIONS):
                reply = ask(worker.serve, rng, known)
                answered += reply is not None and reply[7] > 0
        except Finding as finding:
            raise Finding(f"{finding}: file {number} of seed {seed}: {text!r}") from None
        writer.writer.reclaim()
        memory.look(number)
    return answered
