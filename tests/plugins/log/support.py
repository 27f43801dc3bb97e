"""One query through the log step, and the lines that come out."""

from __future__ import annotations

import re
from typing import Any

import dns.message

from fastdns.plugins.log._lines import LineReader
from fastdns.plugins.log._ring import LogRing
from fastdns.plugins.log._step import LogStep, log_reply
from fastdns.plugins.log.format import COMMON, parse_format
from fastdns.plugins.whoami._step import WhoamiStep
from fastdns.serve._worker import Worker
from fastdns.serve._zones import ServerTable

RING_BYTES = 1 << 16
FAST = 1_000_000_000
ROOT = b"\0"
ALL = ("all",)
DURATION = re.compile(r"[0-9]+(\.[0-9]*[1-9])?s")


def query(name: str = "www.example.org.", kind: str = "A", **options: Any) -> bytes:
    """A message with ID 1."""
    return dns.message.make_query(name, kind, id=1, **options).to_wire()


def reader(text: str = COMMON) -> LineReader:
    """Of one block with one rule."""
    return LineReader({0: [parse_format(text)]})


def ring(size_bytes: int = RING_BYTES, lines_s: int = FAST) -> LogRing:
    return LogRing(size_bytes, lines_s)


def lines(text: str, message: bytes, **reply: Any) -> list[str]:
    """What is logged, by one rule for all, of a reply to a message."""
    one = ring()
    log_reply(LogStep(0, [(ROOT, ALL)]), one, message, **reply)
    return shown(reader(text).read(one))


def shown(raw: bytes) -> list[str]:
    """Lines without their prefix."""
    assert not raw or raw.endswith(b"\n")
    found = raw.decode().splitlines()
    assert all(line.startswith("[INFO] ") for line in found)
    return [line.removeprefix("[INFO] ") for line in found]


def timeless(found: list[str]) -> list[str]:
    """Lines with Ts for the duration."""
    return [DURATION.sub("Ts", line) for line in found]


class Serving:
    """A worker with log and whoami for every name."""

    def __init__(self, *rules: tuple[bytes, tuple[str, ...]], text: str = COMMON, address: str = "") -> None:
        self.ring = ring()
        self.reader = LineReader({0: [parse_format(text)] * max(1, len(rules))})
        table = ServerTable([(".", 0, None)], [[LogStep(0, list(rules) or [(ROOT, ALL)]), WhoamiStep()]])
        self.reader.add_listener(table, address)
        self.worker = Worker(table)
        self.ring.attach(self.worker)

    def lines(self, message: bytes, **how: Any) -> list[str]:
        """What is logged of a message."""
        self.worker.serve(message, **how)
        return timeless(shown(self.reader.read(self.ring)))
