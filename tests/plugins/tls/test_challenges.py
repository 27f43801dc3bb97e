"""What is presented to an authority, without a socket: whole or not at all, and nothing else changes."""

from __future__ import annotations

import os
import time

import dns.message
import pytest

from fastdns.dns.names import wire_name
from fastdns.errors import FastdnsError
from fastdns.plugins.tls._challenges import MOST, Challenges, ChallengeStep
from fastdns.plugins.whoami._step import WhoamiStep
from fastdns.serve._worker import Worker
from fastdns.serve._zones import ServerTable
from tests.support import in_child

pytestmark = pytest.mark.native

NAME = "_acme-challenge.a.example."


def text(character: str) -> bytes:
    return character.encode() * 43


def worker_of(challenges: Challenges) -> Worker:
    return Worker(ServerTable([(".", 0, None)], [[ChallengeStep(challenges), WhoamiStep()]], any_class=True))


def ask(worker: Worker, qname: str = NAME, qtype: str = "TXT", qclass: str = "IN") -> list[str] | None:
    """The texts that it says; None where whoami answers."""
    raw = worker.serve(dns.message.make_query(qname, qtype, qclass).to_wire())
    assert raw is not None
    if raw[11]:
        return None
    reply = dns.message.from_wire(raw)
    [rrset] = reply.answer
    assert rrset.ttl == 0 and str(rrset.name) == qname and reply.flags & 0x0400
    return sorted(data.strings[0].decode() for data in rrset)


def test_what_is_presented_is_answered() -> None:
    challenges = Challenges()
    worker = worker_of(challenges)
    assert ask(worker) is None
    challenges.present([(wire_name(NAME), text("x")), (wire_name(NAME), text("y")), (wire_name("b."), text("z"))])
    assert len(challenges) == 3
    assert ask(worker) == ["x" * 43, "y" * 43]
    assert ask(worker, NAME.upper()) == ["x" * 43, "y" * 43]
    assert ask(worker, "b.") == ["z" * 43]
    for other in (("a.example.",), (NAME, "A"), (NAME, "ANY"), (NAME, "TXT", "CH"), (f"c.{NAME}",), (".",)):
        assert ask(worker, *other) is None, other
    challenges.present([])
    assert ask(worker) is None


def test_as_many_as_a_certificate_has_names() -> None:
    challenges = Challenges()
    worker = worker_of(challenges)
    challenges.present([(wire_name(f"{number}.example"), text(chr(28 + number))) for number in range(MOST)])
    assert ask(worker, "0.example.") == ["\x1c" * 43] and ask(worker, f"{MOST - 1}.example.") == [chr(127) * 43]
    with pytest.raises(FastdnsError, match="at most 100"):
        challenges.present([(wire_name(NAME), text("x"))] * (MOST + 1))
    for name, value in ((wire_name(NAME), b"x"), (b"x" * 257, text("x"))):
        with pytest.raises(FastdnsError, match="no challenge"):
            challenges.present([(name, value)])
    assert len(challenges) == MOST


def test_readers_see_all_or_nothing() -> None:
    """While another process writes; one that was killed while it wrote does no harm to the next."""
    challenges = Challenges()
    worker = worker_of(challenges)
    both = [[(wire_name(NAME), text(character))] * count for character, count in (("a", 3), ("b", 8), ("c", 1))]

    def write() -> None:
        while True:
            for records in both * 100:
                challenges.present(records)
            time.sleep(0.0001)

    pid = in_child(write)
    try:
        seen: set[tuple[str, ...]] = set()
        asked, ends = 0, time.monotonic() + 30
        while (len(seen) < 3 or asked < 5000) and time.monotonic() < ends:
            found = ask_raw(worker)
            asked += 1
            # Too many changes in turn: the next plugin answers.
            if found:
                assert len(set(found)) == 1, found
                seen.add((found[0][:1], str(len(found))))
        assert seen == {("a", "3"), ("b", "8"), ("c", "1")}
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
    challenges.present(both[2])
    assert ask(worker) == ["c" * 43]


QUERY = dns.message.make_query(NAME, "TXT", id=1).to_wire()


def ask_raw(worker: Worker) -> list[str]:
    """As ask, without a library; equal records count each."""
    raw = worker.serve(QUERY)
    assert raw is not None
    return [part[:43].decode() for part in raw.split(b"\0\0\0\0\0\x2c\x2b")[1:]]
