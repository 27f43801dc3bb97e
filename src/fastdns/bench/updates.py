"""dnsperf's files of dynamic updates (``-u``): blocks of lines that become messages of RFC 2136.

A block begins with a zone's name. Lines of ``require``, ``prohibit``, ``add`` and ``delete`` follow, and ``send``
ends it. Names that do not end with a dot are relative to the zone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from fastdns.bench.errors import BenchError
from fastdns.bench.expected import WORD, read_rdata
from fastdns.bench.messages import type_number
from fastdns.bench.queryfile import lines
from fastdns.dns.names import wire_name_as_written

UPDATE_FLAGS = b"\x28\0"
SOA, TXT, SPF, ANY_TYPE = 6, 16, 99, 255
IN, NONE, ANY = 1, 254, 255
MAX_TTL_S = 0x7FFFFFFF


class Update(NamedTuple):
    """An update: its zone as it is written, and the whole message with an ID of 0."""

    zone: str
    message: bytes


class Block:
    """An update that is being read."""

    def __init__(self, zone: str) -> None:
        self._written = zone
        self._zone = zone.rstrip(".") + "."
        self._wire = wire_name_as_written(self._zone)
        self._prerequisites: list[bytes] = []
        self._changes: list[bytes] = []

    def line(self, words: list[str]) -> None:
        """A line of the block. Raises ValueError."""
        verb, rest = words[0], words[1:]
        if verb in ("require", "prohibit"):
            self._prerequisites.append(self._prerequisite(verb, rest))
        elif verb == "add":
            self._changes.append(self._addition(rest))
        elif verb == "delete":
            self._changes.append(self._deletion(rest))
        else:
            raise ValueError(f"require, prohibit, add, delete or send expected, got {verb!r}")

    def update(self, opt: bytes) -> Update:
        """The whole message. opt: an OPT record, or nothing."""
        counts = (1, len(self._prerequisites), len(self._changes), 1 if opt else 0)
        head = b"\0\0" + UPDATE_FLAGS + b"".join(count.to_bytes(2, "big") for count in counts)
        zone = self._wire + SOA.to_bytes(2, "big") + IN.to_bytes(2, "big")
        return Update(self._written, b"".join([head, zone, *self._prerequisites, *self._changes, opt]))

    def _prerequisite(self, verb: str, words: list[str]) -> bytes:
        """RFC 2136 section 2.4."""
        if not 1 <= len(words) <= (2 if verb == "prohibit" else 1 << 16):
            raise ValueError(f"{verb} NAME [TYPE{' [RDATA]' if verb == 'require' else ''}] expected")
        if len(words) > 2:
            return self._record(words[0], words[1], IN, 0, words[2:])
        kind = words[1] if len(words) > 1 else "ANY"
        return self._record(words[0], kind, ANY if verb == "require" else NONE, 0, [])

    def _addition(self, words: list[str]) -> bytes:
        """RFC 2136 section 2.5.1."""
        if len(words) < 4 or not words[1].isdecimal() or int(words[1]) > MAX_TTL_S:
            raise ValueError("add NAME TTL TYPE RDATA expected")
        return self._record(words[0], words[2], IN, int(words[1]), words[3:])

    def _deletion(self, words: list[str]) -> bytes:
        """RFC 2136 sections 2.5.2 to 2.5.4."""
        if not words:
            raise ValueError("delete NAME [TYPE [RDATA]] expected")
        if len(words) > 2:
            return self._record(words[0], words[1], NONE, 0, words[2:])
        return self._record(words[0], words[1] if len(words) > 1 else "ANY", ANY, 0, [])

    def _record(self, name: str, kind: str, rclass: int, ttl_s: int, words: list[str]) -> bytes:
        rtype = ANY_TYPE if kind.upper() == "ANY" else type_number(kind)
        data = self._data(rtype, words) if words else b""
        owner = wire_name_as_written(name if name.endswith(".") else f"{name}.{self._zone}")
        fixed = rtype.to_bytes(2, "big") + rclass.to_bytes(2, "big") + ttl_s.to_bytes(4, "big")
        return owner + fixed + len(data).to_bytes(2, "big") + data

    def _data(self, rtype: int, words: list[str]) -> bytes:
        found = read_rdata(TXT if rtype == SPF else rtype, words, self._zone)
        if rtype not in (TXT, SPF) and len(found) != 1:
            raise ValueError(f"the data of one record expected, got {' '.join(words)!r}")
        return b"".join(found)


def parse_updates(text: Iterable[str], file: str, opt: bytes = b"") -> list[Update]:
    """Every update, in order, with an OPT record or none. Raises BenchError with file and line."""
    found: list[Update] = []
    block: Block | None = None
    for where, line in lines(text, file):
        words = WORD.findall(line)
        try:
            if block is None:
                if len(words) != 1:
                    raise ValueError(f"the name of a zone expected, got {line!r}")
                block = Block(words[0])
            elif words == ["send"]:
                found.append(block.update(opt))
                block = None
            else:
                block.line(words)
        except ValueError as error:
            raise BenchError(f"{where} - {error}") from None
    if block is not None:
        raise BenchError(f"{file}: the last update has no send")
    if not found:
        raise BenchError(f"{file}: no updates: blocks of lines that begin with a zone and end with send expected")
    return found
