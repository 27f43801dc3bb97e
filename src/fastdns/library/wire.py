"""DNS messages: queries and replies, between bytes and Python. The server's own reader and writer do the work.

Reading assumes a hostile sender: whatever the bytes are, the result is a message or MessageError.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fastdns.dns.mnemonics import RCODES, TYPES
from fastdns.dns.names import text_name, wire_name_as_written
from fastdns.errors import FastdnsError
from fastdns.library import _messages

_TYPE_NUMBERS = {name: number for number, name in TYPES.items()}
_RCODE_NUMBERS = {name: number for number, name in RCODES.items()}
FLAG_AA, FLAG_TC, FLAG_RD, FLAG_RA, FLAG_AD, FLAG_CD = 0x0400, 0x0200, 0x0100, 0x0080, 0x0020, 0x0010
DO = 0x8000
OPT = 41
UDP_BYTES = 1232


class MessageError(FastdnsError, ValueError):
    """Bytes that are no message, or what no message can be made of. rcode: what a server says to such a query, such
    as "FORMERR"; None where it is silent, and of replies."""

    def __init__(self, message: str, rcode: str | None = None) -> None:
        self.rcode = rcode
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Record:
    """A resource record of class IN. name: fully qualified, in presentation form. type: a mnemonic, or TYPEnnn.
    rdata: in wire form, names in it without compression."""

    name: str
    type: str
    ttl_s: int
    rdata: bytes

    @classmethod
    def from_text(cls, name: str, type: str, text: str, ttl_s: int = 300) -> Record:
        """Of rdata as zone files have it, names fully qualified. Raises MessageError."""
        import dns.exception
        import dns.name
        import dns.rdata

        try:
            # Names are fully qualified, with a dot at their end or without.
            made = dns.rdata.from_text("IN", type, text, origin=dns.name.root, relativize=False)
        except (dns.exception.DNSException, ValueError, TypeError) as error:
            raise MessageError(f"{text!r} is no rdata of type {type}: {error}") from None
        return cls(text_name(name_wire(name)), type.upper(), ttl_s, made.to_wire() or b"")

    @property
    def text(self) -> str:
        """The rdata as zone files have it."""
        import dns.rdata

        return dns.rdata.from_wire("IN", self.type, self.rdata, 0, len(self.rdata)).to_text()


@dataclass(frozen=True, slots=True)
class Query:
    """A question. name: fully qualified, in the case of the sender. qclass: 1 is IN. udp_bytes: what the sender
    takes over UDP. flags: the second 16 bits of the header."""

    id: int
    name: str
    type: str
    qclass: int
    flags: int
    edns: bool
    dnssec_ok: bool
    udp_bytes: int

    @property
    def recursion_desired(self) -> bool:
        """RD."""
        return bool(self.flags & FLAG_RD)


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply: its question, and its records of the question's class, without OPT."""

    id: int
    rcode: str
    name: str
    type: str
    flags: int
    answer: tuple[Record, ...]
    authority: tuple[Record, ...]
    additional: tuple[Record, ...]

    @property
    def authoritative(self) -> bool:
        """AA."""
        return bool(self.flags & FLAG_AA)

    @property
    def truncated(self) -> bool:
        """TC."""
        return bool(self.flags & FLAG_TC)


def type_name(number: int) -> str:
    """``A``, or ``TYPE65280``."""
    return TYPES.get(number, f"TYPE{number}")


def type_number(name: str) -> int:
    """The number of a type, by its mnemonic or as TYPEnnn. Raises MessageError."""
    upper = name.upper()
    if upper in _TYPE_NUMBERS:
        return _TYPE_NUMBERS[upper]
    if upper.startswith("TYPE") and upper[4:].isdecimal() and int(upper[4:]) < 65536:
        return int(upper[4:])
    raise MessageError(f"{name!r} is no record type: a mnemonic or TYPEnnn expected")


def name_wire(text: str) -> bytes:
    """The wire form of a name, in its case. Raises MessageError."""
    try:
        return wire_name_as_written(text)
    except ValueError as error:
        raise MessageError(str(error)) from None


def read_query(message: bytes) -> Query:
    """What a server reads of a query (RFC 1035 section 4, RFC 6891). Raises MessageError."""
    try:
        number, flags, name, qtype, qclass, edns, dnssec_ok, udp_bytes = _messages.read_query(message)
    except ValueError as error:
        text, rcode = error.args
        raise MessageError(text, None if rcode is None else RCODES.get(rcode, str(rcode))) from None
    return Query(number, text_name(name), type_name(qtype), qclass, flags, edns, dnssec_ok, udp_bytes)


def read_reply(message: bytes) -> Reply:
    """A reply with one question. Raises MessageError."""
    try:
        number, flags, rcode, name, qtype, _, *sections = _messages.read_reply(message)
    except ValueError as error:
        raise MessageError(str(error)) from None
    answer, authority, additional = (
        tuple(Record(text_name(owner), type_name(kind), ttl_s, rdata) for owner, kind, ttl_s, rdata in section)
        for section in sections
    )
    said = RCODES.get(rcode, f"RCODE{rcode}")
    return Reply(number, said, text_name(name), type_name(qtype), flags, answer, authority, additional)


def write_query(
    name: str, type: str, *, id: int = 0, recursion_desired: bool = True, edns: bool = True, dnssec_ok: bool = False
) -> bytes:
    """A query of class IN. dnssec_ok: with EDNS and the DO bit. Raises MessageError."""
    if not 0 <= id < 65536:
        raise MessageError(f"an ID of 0 to 65535 expected, got {id}")
    edns = edns or dnssec_ok
    flags = FLAG_RD if recursion_desired else 0
    header = b"".join(number.to_bytes(2, "big") for number in (id, flags, 1, 0, 0, int(edns)))
    question = name_wire(name) + type_number(type).to_bytes(2, "big") + b"\0\1"
    if not edns:
        return header + question
    opt = b"\0" + b"".join(number.to_bytes(2, "big") for number in (OPT, UDP_BYTES, 0, DO if dnssec_ok else 0, 0))
    return header + question + opt


def write_reply(
    query: bytes,
    *,
    rcode: str = "NOERROR",
    answer: Iterable[Record] = (),
    authority: Iterable[Record] = (),
    additional: Iterable[Record] = (),
    authoritative: bool = False,
    recursion_available: bool = False,
    max_bytes: int | None = None,
) -> bytes:
    """The reply to a query, names compressed. What does not fit is left out, and TC is set.

    max_bytes: None for what the client takes over UDP; 65535 for a stream. Raises MessageError.
    """
    if rcode not in _RCODE_NUMBERS:
        raise MessageError(f"{rcode!r} is no response code: one of {', '.join(_RCODE_NUMBERS)} expected")
    answers, authorities, additionals = (tuple(map(_parts, each)) for each in (answer, authority, additional))
    number = _RCODE_NUMBERS[rcode]
    try:
        return _messages.make_reply(
            query, number, answers, authorities, additionals, authoritative, recursion_available, max_bytes
        )
    except (ValueError, OverflowError) as error:
        raise MessageError(str(error)) from None


def _parts(record: Record) -> tuple[bytes, int, int, bytes]:
    return name_wire(record.name), type_number(record.type), record.ttl_s, record.rdata
