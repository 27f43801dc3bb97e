"""Replies of upstreams, by seed: well-formed ones of every type that dnspython writes, and damaged ones."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.NSEC
import dns.rdtypes.ANY.RP
import dns.rdtypes.nsbase
import dns.rrset

from tests.fuzz.packets import mangled

# Names in rdata that a receiver expands (RFC 3597 section 4), and dnspython takes for bytes. An NXT that is not
# laid out as NSEC is no message to it then, and not compared.
for kind, base in (
    *((kind, dns.rdtypes.nsbase.NSBase) for kind in ("MD", "MF", "MB", "MG", "MR")),
    ("MINFO", dns.rdtypes.ANY.RP.RP),
    ("NXT", dns.rdtypes.ANY.NSEC.NSEC),
):
    implementation = SimpleNamespace(**{kind: type(kind, (base,), {})})
    dns.rdata.register_type(implementation, dns.rdatatype.from_text(kind), kind)

NAMES = [
    "www.example.org.",
    "WWW.Example.ORG.",
    "example.org.",
    "a.b.c.d.e.f.g.example.org.",
    "org.",
    ".",
    "_443._tcp.www.example.org.",
    "*.example.org.",
    "x" * 63 + ".example.org.",
    ".".join(["y" * 61] * 4) + ".",
    "a." * 127,
    r"\000\255\.dot.example.org.",
    "other.net.",
]
BASE64 = "AwEAAag3V1nSfTE1YnYzTWlFZVpXdzZXcFJ2TDFiRkJhRVE="


def name(rng: random.Random) -> str:
    return rng.choice(NAMES)


def number(rng: random.Random, bits: int) -> int:
    return rng.choice((0, 1, rng.getrandbits(bits), (1 << bits) - 1))


def string(rng: random.Random) -> str:
    """A character string of any bytes."""
    data = rng.randbytes(rng.choice((0, 1, 5, 63, 64, 255)))
    return '"' + "".join(f"\\{byte:03}" for byte in data) + '"'


def u8(rng: random.Random) -> int:
    return number(rng, 8)


def u16(rng: random.Random) -> int:
    return number(rng, 16)


def u32(rng: random.Random) -> int:
    return number(rng, 32)


def hexadecimal(rng: random.Random, *sizes: int) -> str:
    return rng.randbytes(rng.choice(sizes)).hex()


def address(rng: random.Random) -> str:
    return ".".join(str(byte) for byte in rng.randbytes(4))


def address6(rng: random.Random) -> str:
    return ":".join(rng.randbytes(2).hex() for _ in range(8))


def soa(rng: random.Random) -> str:
    return f"{name(rng)} {name(rng)} {u32(rng)} {' '.join(str(number(rng, 31)) for _ in range(4))}"


def types(rng: random.Random) -> str:
    return " ".join(rng.sample(["A", "NS", "SOA", "MX", "TXT", "AAAA", "RRSIG", "NSEC", "CAA", "TYPE65300"], 4))


def service(rng: random.Random) -> str:
    if rng.random() < 0.3:
        return f"0 {name(rng)}"
    parameters = [
        'alpn="h2,h3"', "port=8443", f"ipv4hint={address(rng)}", f"ipv6hint={address6(rng)}", "no-default-alpn",
        'key65000="x"',
    ]  # fmt: skip
    # No alpn, no no-default-alpn: the format asks for it.
    chosen = ['alpn="h2,h3"', *rng.sample(parameters[1:], rng.randrange(5))]
    return f"{rng.randrange(1, 65536)} {name(rng)} {' '.join(chosen)}"


def signature(rng: random.Random) -> str:
    kind = rng.choice(("A", "SOA", "CNAME"))
    return f"{kind} 13 {rng.randrange(9)} {u32(rng)} 20380101000000 20200101000000 {u16(rng)} {name(rng)} {BASE64}"


RDATA: dict[str, Callable[[random.Random], str]] = {
    "A": address,
    "AAAA": address6,
    "NS": name,
    "CNAME": name,
    "PTR": name,
    "DNAME": name,
    "SOA": soa,
    "MD": name,
    "MF": name,
    "MB": name,
    "MG": name,
    "MR": name,
    "MINFO": lambda rng: f"{name(rng)} {name(rng)}",
    "MX": lambda rng: f"{u16(rng)} {name(rng)}",
    "TXT": lambda rng: " ".join(string(rng) for _ in range(rng.randrange(1, 4))),
    "SPF": string,
    "SRV": lambda rng: f"{u16(rng)} {u16(rng)} {u16(rng)} {name(rng)}",
    "RP": lambda rng: f"{name(rng)} {name(rng)}",
    "AFSDB": lambda rng: f"{u16(rng)} {name(rng)}",
    "RT": lambda rng: f"{u16(rng)} {name(rng)}",
    "KX": lambda rng: f"{u16(rng)} {name(rng)}",
    "PX": lambda rng: f"{u16(rng)} {name(rng)} {name(rng)}",
    "NAPTR": lambda rng: f"{u16(rng)} {u16(rng)} {string(rng)} {string(rng)} {string(rng)} {name(rng)}",
    "HINFO": lambda rng: f"{string(rng)} {string(rng)}",
    "CAA": lambda rng: f"{u8(rng)} issue {string(rng)}",
    "URI": lambda rng: f'{u16(rng)} {u16(rng)} "https://example.org/"',
    "HTTPS": service,
    "SVCB": service,
    "DS": lambda rng: f"{u16(rng)} 13 2 {hexadecimal(rng, 32)}",
    "CDS": lambda rng: f"{u16(rng)} 13 2 {hexadecimal(rng, 32)}",
    "DNSKEY": lambda rng: f"257 3 13 {BASE64}",
    "CDNSKEY": lambda rng: f"257 3 13 {BASE64}",
    "RRSIG": signature,
    "NSEC": lambda rng: f"{name(rng)} {types(rng)}",
    "NSEC3": lambda rng: f"1 0 {u16(rng)} ab {'0' * 32} {types(rng)}",
    "NSEC3PARAM": lambda rng: f"1 0 {u16(rng)} abcd",
    "TLSA": lambda rng: f"3 1 1 {hexadecimal(rng, 32)}",
    "SMIMEA": lambda rng: f"3 1 1 {hexadecimal(rng, 32)}",
    "SSHFP": lambda rng: f"4 2 {hexadecimal(rng, 32)}",
    "OPENPGPKEY": lambda rng: BASE64,
    "CERT": lambda rng: f"1 {u16(rng)} 13 {BASE64}",
    "EUI48": lambda rng: "-".join(rng.randbytes(1).hex() for _ in range(6)),
    "EUI64": lambda rng: "-".join(rng.randbytes(1).hex() for _ in range(8)),
    "L32": lambda rng: f"{u16(rng)} {address(rng)}",
    "LP": lambda rng: f"{u16(rng)} {name(rng)}",
    "NID": lambda rng: f"{u16(rng)} 0014:4fff:ff20:ee64",
    "X25": lambda rng: '"311061700956"',
    "ISDN": lambda rng: string(rng),
    "TYPE65300": lambda rng: f"\\# {len(data := rng.randbytes(rng.randrange(40)))} {data.hex()}",
}


@dataclass(frozen=True)
class Exchange:
    """A query and a reply to it. question_end: where the reply's question ends."""

    query: bytes
    reply: bytes
    question_end: int


def exchange(rng: random.Random) -> Exchange:
    """A well-formed reply, of sections of any records, to the question in any case."""
    asked = name(rng)
    query = dns.message.make_query(asked, rng.choice(list(RDATA)), id=rng.getrandbits(16))
    query.flags = rng.choice((0, dns.flags.RD, dns.flags.RD | dns.flags.CD, dns.flags.RD | dns.flags.AD))
    if rng.random() < 0.5:
        options = [dns.edns.ECSOption("192.0.2.0", 24)] if rng.random() < 0.3 else []
        query.use_edns(0, rng.choice((0, dns.flags.DO)), 1232, options=options)
    reply = dns.message.Message(rng.getrandbits(16))
    reply.flags = dns.flags.QR | (rng.getrandbits(16) & 0x07B0)
    spelled = dns.name.from_text(rng.choice((asked, asked.swapcase())))
    reply.question = [dns.rrset.RRset(spelled, dns.rdataclass.IN, query.question[0].rdtype)]
    for section in (reply.answer, reply.authority, reply.additional):
        for _ in range(rng.choice((0, 0, 1, 2, 5))):
            section.append(record(rng, asked))
    reply.set_rcode(rng.choice((0, 0, 2, 3, 5)))
    if rng.random() < 0.5:
        generic = dns.edns.GenericOption(rng.choice((3, 12, 65001)), rng.randbytes(rng.randrange(24)))
        rcode = rng.choice((reply.rcode(), 23)) if query.edns >= 0 else reply.rcode()
        reply.use_edns(0, 0, 4096, options=rng.choice(([], [generic])))
        reply.set_rcode(rcode)
    end = 12 + len(spelled.to_wire()) + 4
    return Exchange(query.to_wire(), reply.to_wire(max_size=65535), end)


def record(rng: random.Random, asked: str) -> dns.rrset.RRset:
    """One record, often of the question's name."""
    kind = rng.choice(list(RDATA))
    owner = rng.choice((asked, asked.upper(), name(rng)))
    ttl_s = rng.choice((0, 1, 300, 604800, 2**31 - 1))
    return dns.rrset.from_text(owner, ttl_s, "IN", kind, RDATA[kind](rng))


def damaged(rng: random.Random, one: Exchange) -> bytes:
    """The reply with something wrong behind its question, in its flags or its counts."""
    head, tail = bytearray(one.reply[: one.question_end]), one.reply[one.question_end :]
    kind = rng.randrange(6)
    if kind == 0:
        # Names that are put together from pointers to pointers, each backwards; or that lead into each other.
        place = one.question_end
        chain = bytearray()
        for _ in range(rng.randrange(1, 200)):
            back = rng.choice(
                (12, place + len(chain) - 2, place + len(chain), rng.randrange(place + len(chain) + 40))
            )
            chain += struct.pack(">H", 0xC000 | (back & 0x3FFF))
        tail = bytes(chain) + tail
    elif kind == 1:
        # A name longer than names may be, of labels that point into each other.
        label = b"\x3f" + b"z" * 63
        tail = label * rng.randrange(1, 6) + struct.pack(">H", 0xC000 | one.question_end) + tail
    elif kind == 2:
        struct.pack_into(">HHH", head, 6, *(rng.choice((0, 1, 2, 40, 4160, 4161, 65535)) for _ in range(3)))
        # As many records as counts may promise: the shortest there are.
        tail += b"\0\0\1\0\1\0\0\0\0\0\0" * rng.choice((0, 1, 100, 5000))
    elif kind == 3:
        struct.pack_into(">H", head, 2, 0x8000 | (rng.getrandbits(16) & 0x07FF))
    if kind > 1 or rng.random() < 0.5:
        tail = mangled(rng, tail) if tail else rng.randbytes(rng.randrange(40))
    return (bytes(head) + tail)[:65535]


def exchanges(seed: int, count: int, corpus_size: int = 1000) -> Iterator[tuple[bytes, bytes, bool]]:
    """count queries, replies, and whether the reply is well-formed; the same for the same seed."""
    rng = random.Random(seed)
    corpus = [exchange(rng) for _ in range(min(corpus_size, count))]
    for _ in range(count):
        one = rng.choice(corpus)
        if rng.random() < 0.1:
            yield one.query, one.reply, True
        else:
            yield one.query, damaged(rng, one), False


# --------------------------------------------------------------------------------------- what is in a message


class Broken(Exception):
    """Bytes that are no message."""


def walk(wire: bytes) -> int:
    """Go from record to record, whatever is in them, to the very end. Returns how many. Raises Broken."""
    if len(wire) < 12:
        raise Broken("no header")
    questions, *counts = struct.unpack_from(">4H", wire, 4)
    at = 12
    for _ in range(questions):
        at = after_name(wire, at) + 4
    for _ in range(sum(counts)):
        at = after_name(wire, at)
        if at + 10 > len(wire):
            raise Broken("a record is cut")
        kind, _, _, size = struct.unpack_from(">HHIH", wire, at)
        at += 10 + size
        if at > len(wire):
            raise Broken("rdata is cut")
        if kind == dns.rdatatype.OPT:
            walk_options(wire[at - size : at])
    if at != len(wire):
        raise Broken("bytes behind the message")
    return sum(counts)


def walk_options(data: bytes) -> None:
    at = 0
    while at < len(data):
        if at + 4 > len(data):
            raise Broken("an option is cut")
        at += 4 + int.from_bytes(data[at + 2 : at + 4], "big")
    if at != len(data):
        raise Broken("an option's data is cut")


def after_name(wire: bytes, at: int) -> int:
    """Where a name ends, which has to have an end."""
    end = 0
    total = 0
    limit = at
    while True:
        if at >= len(wire):
            raise Broken("a name is cut")
        length = wire[at]
        if length >= 0xC0:
            target = int.from_bytes(wire[at : at + 2], "big") & 0x3FFF
            if target >= limit or target < 12:
                raise Broken("a pointer that does not lead back")
            end = end or at + 2
            at = limit = target
            continue
        total += length + 1
        if length > 63 or total > 255:
            raise Broken("a name that is too long, or of unknown labels")
        at += length + 1
        if length == 0:
            return end or at


Record = tuple[bytes, int, int, bytes]


@dataclass(frozen=True)
class View:
    """A message as dnspython reads it: flags, rcode, EDNS options, and records in order, names uncompressed."""

    id: int
    flags: int
    rcode: int
    question: bytes
    options: tuple[tuple[int, bytes], ...] | None
    sections: tuple[tuple[Record, ...], ...]


def view(wire: bytes, *, strictly: bool = False) -> View:
    """Raises dns.exception.DNSException where it is no message. strictly: nor with bytes behind it."""
    message = dns.message.from_wire(wire, ignore_trailing=not strictly, one_rr_per_rrset=True)
    return View(
        message.id,
        message.flags & 0xFFF0,
        int(message.rcode()),
        b"".join(one.name.to_wire() + struct.pack(">HH", one.rdtype, one.rdclass) for one in message.question),
        None if message.edns < 0 else tuple((int(one.otype), one.to_wire()) for one in message.options),
        tuple(tuple(records_of(section)) for section in message.sections[1:]),
    )


def records_of(section: list[dns.rrset.RRset]) -> Iterator[Record]:
    for rrset in section:
        if rrset.rdclass != dns.rdataclass.IN:
            continue
        for data in rrset:
            yield rrset.name.to_wire(), int(rrset.rdtype), rrset.ttl, data.to_wire() or b""


FLAGS = dns.flags.AA | dns.flags.TC | dns.flags.RA | dns.flags.AD


def expected(query: bytes, reply: View, ttl_s: int | None) -> View:
    """What the client has to see of an upstream's reply. With ttl_s it comes from a cache, which keeps RA, AD."""
    asked = view(query)
    kept = FLAGS if ttl_s is None else dns.flags.RA | dns.flags.AD
    flags = dns.flags.QR | (reply.flags & kept) | (asked.flags & (dns.flags.RD | dns.flags.CD))
    name = asked.question[:-4]
    sections = tuple(
        tuple(
            (name if owner.lower() == name.lower() else owner, kind, ttl if ttl_s is None else ttl_s, data)
            for owner, kind, ttl, data in section
        )
        for section in reply.sections
    )
    options = None
    if asked.options is not None:
        # Of ours, a query here has none that would be repeated in place of the upstream's.
        options = reply.options if ttl_s is None and reply.options is not None else ()
    rcode = reply.rcode if ttl_s is None and asked.options is not None else reply.rcode & 0xF
    return View(asked.id, flags, rcode, asked.question, options, sections)
