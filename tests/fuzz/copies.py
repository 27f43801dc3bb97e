"""Damaged replies of upstreams, as a forwarder copies them for its clients: what comes out is checked."""

from __future__ import annotations

import random

import dns.exception
import dns.flags

from tests.dns._messages import copy_reply
from tests.fuzz.findings import Finding, Memory
from tests.fuzz.replies import Broken, exchanges, expected, view, walk

COMPARED_SHARE = 0.05


def fuzz_replies(count: int, seed: int) -> int:
    """Copy count replies of upstreams for their clients; returns how many were accepted. Raises Finding.

    A well-formed reply is accepted. What is accepted gives a whole message, with the client's ID and question, that
    fits; and means what dnspython reads in the upstream's, where it does.
    """
    rng = random.Random(seed)
    accepted = 0
    memory = Memory(2_000)
    for number, (query, reply, well_formed) in enumerate(exchanges(seed, count)):
        ttl_s = rng.choice((None, None, 30))
        max_bytes = rng.choice((512, 1232, 65535, 65535))
        try:
            copied = copy_reply(query, reply, ttl_s=ttl_s, max_bytes=max_bytes)
            if copied is not None:
                accepted += 1
                check_copy(query, copied, max_bytes)
                if rng.random() < COMPARED_SHARE:
                    compare(query, reply, copied, ttl_s)
            elif well_formed and ttl_s is None:
                raise Finding("a well-formed reply is refused")
        except Finding as finding:
            raise Finding(
                f"{finding}: reply {number} of seed {seed}, ttl_s {ttl_s}, max_bytes {max_bytes}: "
                f"query {query.hex()} reply {reply.hex()}"
            ) from None
        memory.look(number)
    return accepted


def check_copy(query: bytes, copied: bytes, max_bytes: int) -> None:
    """What must hold for every reply that a client gets. Raises Finding."""
    question_end = len(query) - (11 if query[11] else 0)
    if len(copied) > max_bytes:
        raise Finding(f"{len(copied)} bytes")
    if copied[:2] != query[:2] or not copied[2] & 0x80:
        raise Finding("no reply to this query")
    if query[11] == 0 and copied[12:question_end] != query[12:question_end]:
        raise Finding("another question than the client's")
    try:
        walk(copied)
    except Broken as broken:
        raise Finding(f"the client's reply is no message: {broken}") from None


def compare(query: bytes, reply: bytes, copied: bytes, ttl_s: int | None) -> None:
    """A whole copy means what dnspython reads in the upstream's reply. Raises Finding."""
    try:
        wanted = expected(query, view(reply), ttl_s)
        seen = view(copied)
    except dns.exception.DNSException:
        return
    if seen != wanted and not seen.flags & dns.flags.TC:
        raise Finding(f"{seen} is not {wanted}")
