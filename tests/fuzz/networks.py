"""Random rules of acl, as a Corefile has them, whole and damaged: what they do with clients, by the README."""

from __future__ import annotations

import random

from fastdns.corefile import load
from fastdns.errors import CorefileError
from fastdns.plugins.acl._step import AclStep
from fastdns.plugins.acl.config import Config
from tests.fuzz.findings import Finding
from tests.plugins.acl.test_table import reference

TYPES = ("A", "AAAA", "ANY", "*", "TXT", "a")
NETWORKS = (
    "0.0.0.0/0", "10.0.0.0/8", "10.1.2.3", "10.1.2.3/32", "::/0", "2001:db8::/32", "::ffff:10.0.0.0/104", "::1",
    "*", "255.255.255.255", "128.0.0.0/1", "ffff::/16", "::ffff:0:0/96", "10.1.2.3/7", "fe80::1/127",
)  # fmt: skip
BROKEN = (
    "10.0.0.0/33",
    "::/129",
    "/",
    "1.2.3",
    "10.0.0.0/-1",
    "net",
    "type",
    "x",
    "{",
    '"',
    "fe80::1%eth0",
    "1" * 300,
)
CLIENTS = [
    b"\x0a\1\2\3", b"\x0a\xff\xff\xff", b"\0" * 4, b"\xff" * 4, b"\x7f\0\0\1", b"\0" * 15 + b"\1", b"\xff" * 16,
    b"\x20\x01\x0d\xb8" + bytes(12), bytes(10) + b"\xff\xff\x0a\1\2\3",
]  # fmt: skip


def line(rng: random.Random) -> str:
    """A rule, rarely a broken one."""
    words = [rng.choice(("allow", "block", "filter", "drop"))]
    if rng.random() < 0.5:
        words += ["type", *rng.choices(TYPES, k=rng.randrange(1, 4))]
    if rng.random() < 0.8:
        own = f"{rng.randrange(256)}.{rng.randrange(256)}.0.0/{rng.randrange(33)}"
        words += ["net", *rng.choices((*NETWORKS, own), k=rng.choice((1, 3, 20)))]
    if rng.random() < 0.05:
        words.insert(rng.randrange(len(words) + 1), rng.choice(BROKEN))
    return " ".join(words)


def fuzz_networks(count: int, seed: int) -> int:
    """Read the rules of count blocks, and look clients up; returns how many blocks are taken. Raises Finding."""
    rng = random.Random(seed)
    taken = 0
    for number in range(count):
        rules = "\n".join(line(rng) for _ in range(rng.randrange(1, 8)))
        try:
            config: Config = load(f". {{\nacl {{\n{rules}\n}}\n}}", environ={}).blocks[0].plugins["acl"]
        except CorefileError:
            continue
        taken += 1
        step = AclStep(config.rules)
        (rule,) = config.rules
        edges = [packed for policy in rule.policies for packed, _ in policy.networks or ()]
        for client in (*CLIENTS, *rng.choices(edges or CLIENTS, k=4), rng.randbytes(rng.choice((4, 16)))):
            qtype = rng.choice((1, 28, 255, 16))
            if step.action(0, client, qtype) != reference(list(rule.policies), client, qtype):
                raise Finding(f"{client.hex()} and {qtype}: block {number} of seed {seed}: {rules}")
    return taken
