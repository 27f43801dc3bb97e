"""Record sets, as providers list them, to the RRs of a zone. Runs in a child process (child.py) only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype

from fastdns.errors import SourceError
from fastdns.zonefiles.frames import Read
from fastdns.zonefiles.reading import MAX_SAID, Collector, Place, batches

# Of a hosted zone: all that its record sets say, as text. Providers allow some 10,000 record sets.
MAX_TEXT_BYTES = 128 << 20
# Of one record set, beside its text.
SET_BYTES = 64
# What TXT records are made of (RFC 1035 section 3.3).
MAX_STRING_BYTES = 255
MAX_TTL_S = 2**32 - 1


class RecordSet(NamedTuple):
    """The RRs of one name and type, in presentation form (RFC 1035 section 5.1); names are fully qualified, with a
    dot at the end or without. why: it is left out."""

    owner: str
    rrtype: str
    ttl_s: int
    rdata: Sequence[str]
    why: str = ""


class Records(Collector):
    """The RRs of one hosted zone. What is left out is known by its name."""

    def leave_out(self, where: Place, owner: str, rrtype: int, why: str) -> None:
        self.pass_over(owner, dns.rdatatype.to_text(dns.rdatatype.RdataType.make(rrtype)), why)

    def pass_over(self, owner: str, rrtype: str, why: str) -> None:
        """Say what is not served."""
        self.left_out += 1
        if len(self.said) < MAX_SAID:
            self.said.append(f"{owner} {rrtype}: {why}")

    def take(self, one: RecordSet) -> None:
        """The RRs of a record set. What is no RR is left out."""
        if one.why:
            self.pass_over(one.owner, one.rrtype, one.why)
            return
        for text in one.rdata:
            try:
                if not 0 <= one.ttl_s <= MAX_TTL_S:
                    raise ValueError(f"the TTL is {one.ttl_s}")
                owner = dns.name.from_text(one.owner)
                rrtype = dns.rdatatype.from_text(one.rrtype)
                rdata = dns.rdata.from_text(dns.rdataclass.IN, rrtype, text, origin=dns.name.root, relativize=False)
            except (dns.exception.DNSException, ValueError) as error:
                self.pass_over(one.owner, one.rrtype, f"{error or type(error).__name__}: {text:.100}")
            else:
                self.add(owner, one.ttl_s, rdata)


def collect(zone: str, record_sets: Iterable[RecordSet]) -> tuple[Read, Iterator[bytes]]:
    """What became of a hosted zone, and its rows (see Draft.add_rows). Raises SourceError, and what the listing
    raises."""
    records = Records(dns.name.from_text(zone), None)
    size = 0
    for one in record_sets:
        size += SET_BYTES + len(one.owner) + sum(SET_BYTES + len(text) for text in one.rdata)
        if size > MAX_TEXT_BYTES:
            raise SourceError(f"it has over {MAX_TEXT_BYTES >> 20} MiB of records")
        records.take(one)
    if records.serial is None:
        # Which may be what was left out.
        raise SourceError("; ".join((f"it has no SOA record for {zone}", *records.said[:1])))
    without = records.finish()
    draft = records.draft
    read = Read(serial=records.serial, rrs=len(draft) - sum(without), left_out=records.left_out, said=records.said)
    return read, batches(draft, without)


def quoted(data: bytes) -> str:
    """A string of a TXT record in presentation form: in parts that have the size of a string at most."""
    parts = [data[at : at + MAX_STRING_BYTES] for at in range(0, len(data), MAX_STRING_BYTES)] or [b""]
    return " ".join(f'"{"".join(map(character, part))}"' for part in parts)


def character(byte: int) -> str:
    """One byte of such a string."""
    return f"\\{byte:03d}" if byte in b'"\\' or not 32 <= byte <= 126 else chr(byte)
