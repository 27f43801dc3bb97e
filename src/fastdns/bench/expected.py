"""``--check``: lines of NAME TYPE RCODE [RDATA...], and the answers that they describe.

    web.shop.svc.cluster.local            A    NOERROR   10.96.0.20
    web.shop.svc.cluster.local            AAAA NOERROR
    _http._tcp.web.shop.svc.cluster.local SRV  NOERROR   0 100 80 web.shop.svc.cluster.local
    20.0.96.10.in-addr.arpa               PTR  NOERROR   web.shop.svc.cluster.local
    nothing.shop.svc.cluster.local        A    NXDOMAIN
    dns-version.cluster.local             TXT  NOERROR   "1.1.0"
    db.shop.svc.cluster.local             A    NOERROR   *

The data of one record follows that of another: four words each for SRV, two for MX, seven for SOA, one for A,
AAAA, NS, CNAME, PTR, DNAME and TXT; ``\\# LENGTH HEX`` (RFC 3597 section 5) for any other. Names are fully
qualified. No data: no record of that type. ``*``: at least one, of any value. The order of records does not count.
TTLs, owner names and records of other types (the CNAMEs of a chain) are not compared.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fastdns.bench.errors import BenchError
from fastdns.bench.messages import RCODES, Query, message, type_number
from fastdns.bench.queryfile import lines, read_query
from fastdns.dns.names import wire_name_as_written

SOME = ("*",)
GENERIC = "\\#"
WORD = re.compile(r'"(?:[^"\\]|\\.)*"|\S+')
MAX_TEXT_BYTES = 255


@dataclass(frozen=True, slots=True)
class Expected:
    """The answer that a query must get. rdata: the data of each record in wire form; None: any, at least one."""

    query: Query
    rcode: int
    rdata: tuple[bytes, ...] | None
    where: str
    text: str


def parse_expected(text: Iterable[str], file: str) -> list[Expected]:
    """Every line, in order. Raises BenchError with file and line."""
    found: dict[Query, Expected] = {}
    order = []
    for where, line in lines(text, file):
        one = read_expected(WORD.findall(line), where)
        key = key_of(one.query)
        first = found.setdefault(key, one)
        if (first.rcode, first.rdata) != (one.rcode, one.rdata):
            raise BenchError(f"{where} - {one.query.name} {one.query.type} is expected to differ at {first.where}")
        order.append(one)
    if not order:
        raise BenchError(f"{file}: nothing expected: lines of NAME TYPE RCODE [RDATA...] expected")
    return order


def read_expected(words: list[str], where: str) -> Expected:
    """One line. Raises BenchError."""
    query = read_query(words, where)
    if len(words) < 3 or words[2].upper() not in RCODES:
        got = repr(words[2]) if len(words) > 2 else "nothing"
        raise BenchError(f"{where} - NAME TYPE RCODE expected, with an RCODE as NOERROR or NXDOMAIN, got {got}")
    text = " ".join(words[2:])
    rcode = RCODES.index(words[2].upper())
    if tuple(words[3:]) == SOME:
        return Expected(query, rcode, None, where, text)
    try:
        rdata = tuple(sorted(read_rdata(type_number(query.type), words[3:])))
    except ValueError as error:
        raise BenchError(f"{where} - {query.type}: {error}") from None
    return Expected(query, rcode, rdata, where, text)


def read_expected_file(path: Path) -> list[Expected]:
    """The lines of a file. Raises BenchError."""
    try:
        with path.open(encoding="utf-8") as text:
            return parse_expected(text, str(path))
    except OSError as error:
        raise BenchError(f"{path}: {error.strerror}") from None


def key_of(query: Query) -> Query:
    """A query in the form in which it is compared with others: lower case, without the last dot."""
    return Query(query.name.rstrip(".").lower() or ".", query.type)


# ------------------------------------------------------------------------------------------ data of records


def number(text: str, bits: int) -> bytes:
    """An unsigned number. Raises ValueError."""
    if not text.isdecimal() or int(text) >= 1 << bits:
        raise ValueError(f"a number of 0 to {(1 << bits) - 1} expected, got {text!r}")
    return int(text).to_bytes(bits // 8, "big")


def name(text: str) -> bytes:
    return wire_name_as_written(text)


def address(text: str) -> bytes:
    return ipaddress.IPv4Address(text).packed


def address6(text: str) -> bytes:
    return ipaddress.IPv6Address(text).packed


def string(text: str) -> bytes:
    """A character-string, quoted or not. Raises ValueError."""
    if text.startswith('"'):
        text = text[1:-1]
    data = re.sub(rb"\\(\d{3}|.)", unescape, text.encode())
    if len(data) > MAX_TEXT_BYTES:
        raise ValueError(f"a string of at most {MAX_TEXT_BYTES} bytes expected, got {len(data)}")
    return bytes((len(data),)) + data


def unescape(match: re.Match[bytes]) -> bytes:
    """``\\DDD`` and ``\\X`` (RFC 1035 section 5.1). Raises ValueError."""
    return bytes((int(match[1]),)) if len(match[1]) == 3 else match[1]


def bits16(text: str) -> bytes:
    return number(text, 16)


def bits32(text: str) -> bytes:
    return number(text, 32)


# By type: how each of its words is read.
FIELDS = {
    1: (address,),
    2: (name,),
    5: (name,),
    6: (name, name, bits32, bits32, bits32, bits32, bits32),
    12: (name,),
    15: (bits16, name),
    16: (string,),
    28: (address6,),
    33: (bits16, bits16, bits16, name),
    39: (name,),
}


def read_rdata(qtype: int, words: Sequence[str], origin: str = "") -> list[bytes]:
    """The data of each record. origin: the zone of names that have no last dot. Raises ValueError."""
    found = []
    at = 0
    while at < len(words):
        if words[at] == GENERIC:
            if len(words) < at + 3 or not words[at + 1].isdecimal():
                raise ValueError(f"{GENERIC} LENGTH HEX expected")
            data = bytes.fromhex(words[at + 2])
            if len(data) != int(words[at + 1]):
                raise ValueError(f"{words[at + 1]} bytes expected, got {len(data)}")
            found.append(data)
            at += 3
            continue
        fields = FIELDS.get(qtype)
        if fields is None:
            raise ValueError(f"only the form {GENERIC} LENGTH HEX is known, got {words[at]!r}")
        if len(words) - at < len(fields):
            raise ValueError(f"{len(fields)} words for each record expected, got {' '.join(words[at:])!r}")
        found.append(
            b"".join(
                read(f"{word}.{origin}" if read is name and origin and not word.endswith(".") else word)
                for read, word in zip(fields, words[at:], strict=False)
            )
        )
        at += len(fields)
    return found


def as_answer(one: Expected) -> bytes | None:
    """A message with the expected answer; None if any record is right."""
    if one.rdata is None:
        return None
    asked = message(one.query)
    qtype = type_number(one.query.type).to_bytes(2, "big")
    # The owner is the root; it does not count.
    records = b"".join(
        b"\0" + qtype + b"\0\1" + b"\0\0\0\0" + len(data).to_bytes(2, "big") + data for data in one.rdata
    )
    return asked[:6] + len(one.rdata).to_bytes(2, "big") + asked[8:] + records
