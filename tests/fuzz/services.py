"""Keys and values of etcd, whole and damaged, as records of the store; and records of any bytes: asked for."""

from __future__ import annotations

import json
import random
from typing import Any

from fastdns.dns.names import wire_name
from fastdns.plugins.etcd.keys import Keys
from fastdns.plugins.etcd.services import TYPE_SERVICE, record_of
from fastdns.rrsets._draft import Draft
from tests.fuzz.findings import Finding, Memory
from tests.fuzz.packets import mangled
from tests.fuzz.questions import LABELS, ask
from tests.fuzz.zonefiles import damaged_text
from tests.plugins.etcd.stepping import ZONE, Stepping

QUESTIONS = 20
ELEMENTS = ("a", "b", "*", "any", "dns", "apex", "ns", "A.b", "x" * 63, "x" * 64, "", "é", "\\", "10", "..")
HOSTS = (
    "192.0.2.1", "::1", "a.z.", "b.a.z", "other.test", "fe80::1%eth0", "", ".", "..", "x" * 64, "\\000.z.", "*.z.",
    ".".join(["y" * 61] * 4),
)  # fmt: skip
TEXTS = ("", "a", "\\065\\", '\\"', "x" * 300, "é\0", "x" * 60_000, "x" * 60_001)
NUMBERS = (0, 1, 10, 65535, 65536, -1, 2**31 - 1, 2**32, 2**70, 1.5, True, None, "1")
PIECES = (
    "{",
    "}",
    '"',
    ":",
    ",",
    "null",
    "true",
    "[",
    "]",
    "\\u0000",
    "\\ud800",
    "1e400",
    "-",
    "host",
    "text",
    "\0",
)


def value(rng: random.Random) -> bytes:
    """The value of a key."""
    fields: dict[str, Any] = {"host": rng.choice(HOSTS)}
    for name in rng.sample(("port", "priority", "weight", "ttl", "targetstrip"), rng.randrange(4)):
        fields[name] = rng.choice(NUMBERS[:4] if rng.random() < 0.7 else NUMBERS)
    fields |= rng.choice(
        ({}, {"text": rng.choice(TEXTS)}, {"group": rng.choice(("g1", "g2", "x" * 256))}, {"mail": True})
    )
    text = json.dumps(fields)
    return damaged_text(rng, text, PIECES) if rng.random() < 0.3 else text.encode()


def fuzz_services(count: int, seed: int) -> int:
    """Publish count sets of keys, and ask for them; returns how many questions have an answer. Raises Finding."""
    rng = random.Random(seed)
    keys = Keys.of([ZONE], "")
    stepping = Stepping()
    memory = Memory(500)
    answered = 0
    for number in range(count):
        draft = Draft(b"\0")
        names = [wire_name(ZONE)]
        for _ in range(rng.choice((0, 1, 5, 40))):
            key = "/".join(
                ("/z", *rng.choices(ELEMENTS[:8] if rng.random() < 0.8 else ELEMENTS, k=rng.randrange(5)))
            )
            try:
                name = keys.name_of(key.encode())
                record = record_of(key.encode(), name or b"\0", value(rng), rng.choice((0, 0, 1, 2**63)))
            except ValueError:
                continue
            if name is None:
                continue
            if rng.random() < 0.1:
                record = mangled(rng, record)
            draft.add(name, TYPE_SERVICE, 0, record[:65_000])
            names.append(name)
        stepping.publish_draft(draft)
        names += [bytes((len(label),)) + label + b"\1z\0" for label in (b"any", b"*", rng.choice(LABELS))]
        try:
            for _ in range(QUESTIONS):
                reply = ask(stepping.worker.serve, rng, names)
                answered += reply is not None and reply[7] > 0
        except Finding as finding:
            raise Finding(f"{finding}: keys {number} of seed {seed}") from None
        stepping.writer.reclaim()
        memory.look(number)
    return answered
