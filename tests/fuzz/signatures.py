"""Signed requests (TSIG), whole and damaged: what is taken for signed is what was signed."""

from __future__ import annotations

import random

import dns.exception
import dns.message
import dns.name
import dns.tsig

from fastdns.dns._signatures import KeyRing
from tests.fuzz.findings import Finding, Memory
from tests.fuzz.packets import NAMES, TYPES, mangled
from tests.fuzz.replies import Broken, walk

KEYS = {"key.example.": bytes(range(32)), "k.": b"x", "a.key.example.": bytes(200)}
ALGORITHMS = [
    dns.tsig.HMAC_SHA1, dns.tsig.HMAC_SHA224, dns.tsig.HMAC_SHA256, dns.tsig.HMAC_SHA256_128, dns.tsig.HMAC_SHA384,
    dns.tsig.HMAC_SHA512, dns.tsig.HMAC_MD5,
]  # fmt: skip


def signed(rng: random.Random) -> tuple[bytes, dns.tsig.Key]:
    """A request, and the key with which it is signed."""
    name = rng.choice(list(KEYS))
    key = dns.tsig.Key(name, KEYS[name] if rng.random() < 0.9 else b"another", rng.choice(ALGORITHMS[:-1]))
    message = dns.message.make_query(rng.choice(NAMES), rng.choice(TYPES), use_edns=rng.choice((None, 0)))
    message.use_tsig(key, key.name)
    return message.to_wire(), key


def fuzz_signatures(count: int, seed: int) -> int:
    """Verify count requests, and sign replies; returns how many signatures are right. Raises Finding."""
    rng = random.Random(seed)
    ring = KeyRing({dns.name.from_text(name).to_wire(): secret for name, secret in KEYS.items()})
    corpus = [signed(rng) for _ in range(200)]
    memory = Memory(5000)
    right = 0
    for number in range(count):
        request, key = rng.choice(corpus)
        whole = rng.random() < 0.2
        wire = request if whole else mangled(rng, request)
        if not whole and rng.random() < 0.5:
            # In the TSIG record.
            at = max(12, len(request) - 120)
            wire = request[:at] + mangled(rng, request[at:])
        try:
            signer = ring.verify(wire)
            reply = b"" if signer is None else signer.sign(reply_to(wire))
            if signer is not None and signer.error == 0:
                right += 1
                look_at(wire, reply, key)
            elif whole and key.secret in KEYS.values():
                raise Finding("a right signature is refused")
            if reply:
                walk(reply)
        except ValueError:
            pass
        except (Finding, Broken, dns.exception.DNSException) as what:
            raise Finding(f"{what!r}: request {number} of seed {seed}: {wire.hex()}") from None
        memory.look(number)
    return right


def reply_to(request: bytes) -> bytes:
    """An empty reply without a question. Raises ValueError where there is no header."""
    if len(request) < 12:
        raise ValueError
    return request[:2] + b"\x84\0" + bytes(8)


def look_at(request: bytes, reply: bytes, key: dns.tsig.Key) -> None:
    """The request is signed by what dnspython sees, too, and so is the reply. Raises Finding, DNSException."""
    ring = {dns.name.from_text(name): secret for name, secret in KEYS.items()}
    message = dns.message.from_wire(request, keyring=ring, ignore_trailing=True)
    if not message.had_tsig:
        raise Finding("a message without a signature is taken for signed")
    answer = dns.message.from_wire(reply, keyring=ring, request_mac=message.mac)
    if not answer.had_tsig:
        raise Finding("the reply is not signed")
