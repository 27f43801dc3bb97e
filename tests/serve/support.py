"""Chains of test steps, and messages to and from them."""

from __future__ import annotations

from collections.abc import Sequence

from dnslib import EDNS0, RR, DNSHeader, DNSQuestion, DNSRecord, EDNSOption
from dnslib.dns import QTYPE

from fastdns.serve._worker import Worker
from fastdns.serve._zones import NativeStep, ServerTable
from tests.serve._service import WAITS, PlayedService, Trial

FLAG_AA, FLAG_TC, FLAG_RD, FLAG_RA, FLAG_AD = 0x400, 0x200, 0x100, 0x80, 0x20


def wire(name: str) -> bytes:
    """A name in uncompressed wire form, in the spelling that is given."""
    labels = [label.encode() for label in name.rstrip(".").split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def query(
    name: str, rrtype: str = "A", *, number: int = 4711, udp_bytes: int = 0, options: dict[int, bytes] | None = None
) -> bytes:
    """A query; with an OPT record where udp_bytes is given."""
    record = DNSRecord(DNSHeader(id=number, rd=1), q=DNSQuestion(name, getattr(QTYPE, rrtype)))
    if udp_bytes:
        opts = [EDNSOption(code, data) for code, data in (options or {}).items()]
        record.add_ar(EDNS0(udp_len=udp_bytes, opts=opts))
    return bytes(record.pack())


def reply_to(message: tuple[bytes, int] | bytes, *records: str, rcode: int = 0) -> bytes:
    """An upstream's reply: to a message, or to (wire name, type) as a service was asked. records: in zone form."""
    if isinstance(message, bytes):
        asked = DNSRecord.parse(message).q
    else:
        name, rrtype = message
        asked = DNSRecord.parse(b"\0\1\1\0\0\1" + bytes(6) + name + rrtype.to_bytes(2, "big") + b"\0\1").q
    reply = DNSRecord(DNSHeader(id=4711, qr=1, rd=1, ra=1, rcode=rcode), q=asked)
    for record in records:
        reply.add_answer(*RR.fromZone(record))
    return bytes(reply.pack())


def parse(reply: object) -> DNSRecord:
    """A reply that came at once."""
    assert reply is not WAITS
    assert isinstance(reply, bytes)
    return DNSRecord.parse(reply)


def shown(reply: DNSRecord) -> list[str]:
    """All records of a reply, a line each: section, owner, type, data."""
    sections = (("an", reply.rr), ("ns", reply.auth), ("ar", reply.ar))
    return [
        f"{name} {rr.rname} {QTYPE[rr.rtype]} {rr.rdata}"
        for name, section in sections
        for rr in section
        if rr.rtype != QTYPE.OPT
    ]


def options_of(reply: DNSRecord) -> list[tuple[int, bytes]]:
    """The EDNS options of a reply, in their order."""
    return [(option.code, bytes(option.data)) for rr in reply.ar if rr.rtype == QTYPE.OPT for option in rr.rdata]


def trial(
    *steps: NativeStep,
    services: tuple[PlayedService, ...] = (),
    zones: dict[str, int] | None = None,
    blocks: Sequence[Sequence[NativeStep]] = (),
) -> Trial:
    """A server of one block at the root; or of zones with the numbers of their blocks."""
    chains = [list(block) for block in blocks or [steps]]
    table = ServerTable([(zone, block, None) for zone, block in (zones or {".": 0}).items()], chains)
    return Trial(Worker(table), list(services))
