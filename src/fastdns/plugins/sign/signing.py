"""A zone's records with keys, signatures and the chain of NSEC records (RFC 4034, 4035), as lines of a zone file.

The records come in canonical order of their names (RFC 4034 section 6.1), so one pass is enough: the NSEC record of
a name is made when the next name is known. What is below a delegation, or below a DNAME record, is not the zone's
own: it is written as it is.
"""

from __future__ import annotations

import base64
import hashlib
import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
from dns.rdtypes.util import Bitmap

from fastdns.dns.rrsig import rrsig_head, signed_bytes
from fastdns.dns.signing_keys import Key
from fastdns.plugins.sign.times import rrsig_time
from fastdns.zonefiles.reading import ROW

A, NS, CNAME, SOA, PTR, MX, TXT, AAAA, SRV, NAPTR, DNAME = 1, 2, 5, 6, 12, 15, 16, 28, 33, 35, 39
DS, RRSIG, NSEC, DNSKEY, NSEC3, NSEC3PARAM, CDS, CDNSKEY, ZONEMD = 43, 46, 47, 48, 50, 51, 59, 60, 63
# What is made here; and what is true only of a zone that has it otherwise.
MADE = frozenset((RRSIG, NSEC, DNSKEY, NSEC3, NSEC3PARAM, CDS, CDNSKEY, ZONEMD))
SHA256 = 2
# RFC 4034 section 6.2, RFC 6840 section 5.1: from where on rdata is names, which are signed in lower case. The
# octets of lengths are below those of letters.
NAMES_AT = {
    NS: 0, 3: 0, 4: 0, CNAME: 0, 7: 0, 8: 0, 9: 0, PTR: 0, 14: 0, 17: 0, DNAME: 0,
    MX: 2, 18: 2, 21: 2, 26: 2, 36: 2, SRV: 6,
}  # fmt: skip
SOA_NUMBERS_BYTES = 20
NAPTR_STRINGS = 3
PLAIN_NAME = re.compile(rb"[-*.0-9A-Z_a-z]+")

# By type: TTL, and rdata in wire form.
RRsets = dict[int, tuple[int, list[bytes]]]


@dataclass(slots=True)
class Name:
    """A name in wire form, and its records."""

    owner: bytes
    rrsets: RRsets


def names(rows: Iterable[bytes]) -> Iterator[Name]:
    """The names of a zone without what signing makes. rows: as ZoneText has them."""
    name = Name(b"", {})
    for row in rows:
        at = 0
        while at < len(row):
            owner_len, rrtype, ttl_s, rdata_len = ROW.unpack_from(row, at)
            at += ROW.size
            end = at + owner_len + rdata_len
            if rrtype not in MADE:
                owner = row[at : at + owner_len]
                if owner != name.owner:
                    if name.rrsets:
                        yield name
                    name = Name(owner, {})
                add(name.rrsets, rrtype, ttl_s, row[at + owner_len : end])
            at = end
    yield name


def add(rrsets: RRsets, rrtype: int, ttl_s: int, rdata: bytes) -> None:
    """Add a record. RFC 2181 section 5.2: an RRset has one TTL; the lowest."""
    before_s, rdatas = rrsets.get(rrtype, (ttl_s, []))
    if rdata not in rdatas:
        rdatas.append(rdata)
    rrsets[rrtype] = min(before_s, ttl_s), rdatas


def canonical(rrtype: int, rdata: bytes) -> bytes:
    """Rdata in the form that is signed."""
    if rrtype == SOA:
        return rdata[:-SOA_NUMBERS_BYTES].lower() + rdata[-SOA_NUMBERS_BYTES:]
    at = NAMES_AT.get(rrtype, len(rdata))
    if rrtype == NAPTR:
        at = 4
        for _ in range(NAPTR_STRINGS):
            at += 1 + rdata[at]
    return rdata[:at] + rdata[at:].lower()


def is_below(name: bytes, other: bytes) -> bool:
    """Whether a name is below another one, or the same."""
    at = 0
    while len(name) - at > len(other):
        at += 1 + name[at]
    return name[at:] == other


@lru_cache(maxsize=16)
def name_text(wire: bytes) -> str:
    """A name as a zone file has it, also at the beginning of a line."""
    labels = []
    at = 0
    while wire[at]:
        labels.append(wire[at + 1 : at + 1 + wire[at]])
        at += 1 + wire[at]
    text = b".".join(labels) + b"."
    # dnspython knows what to escape, and is slower.
    if PLAIN_NAME.fullmatch(text) and text.count(b".") == len(labels):
        return text.decode()
    return dns.name.from_wire(wire, 0)[0].to_text()


def text_of(rrtype: int, rdata: bytes) -> str:
    """Rdata as a zone file has it."""
    if rrtype == A and len(rdata) == 4:
        return f"{rdata[0]}.{rdata[1]}.{rdata[2]}.{rdata[3]}"
    known = dns.rdatatype.RdataType.make(rrtype)
    return dns.rdata.from_wire(dns.rdataclass.IN, known, rdata, 0, len(rdata)).to_text()


@cache
def type_text(rrtype: int) -> str:
    """The mnemonic of a type."""
    return dns.rdatatype.to_text(dns.rdatatype.RdataType.make(rrtype))


@lru_cache(maxsize=1024)
def bitmap(types: tuple[int, ...]) -> tuple[bytes, str]:
    """RFC 4034 section 4.1.2: types, in order, as rdata and as text."""
    windows = Bitmap.from_rdtypes([dns.rdatatype.RdataType.make(one) for one in types]).windows
    wire = b"".join(bytes((window, len(octets))) + octets for window, octets in windows)
    return wire, " ".join(map(type_text, types))


class Signer:
    """Writes RRsets with their signatures. zone: its name in wire form."""

    def __init__(self, zone: bytes, keys: Sequence[Key], inception_s: int, expiration_s: int) -> None:
        self.zone = zone
        self.keys = keys
        self.inception_s = inception_s
        self.expiration_s = expiration_s
        self.times = f"{rrsig_time(expiration_s)} {rrsig_time(inception_s)}"
        self.zone_text = name_text(zone)
        self.rrs = 0

    def plain(self, owner: bytes, rrtype: int, ttl_s: int, texts: Iterable[str]) -> str:
        """An RRset as it is. texts: of its rdata."""
        head = f"{name_text(owner)}\t{ttl_s}\tIN\t{type_text(rrtype)}\t"
        lines = [f"{head}{text}\n" for text in texts]
        self.rrs += len(lines)
        return "".join(lines)

    def signatures(self, owner: bytes, rrtype: int, ttl_s: int, rdatas: Iterable[bytes]) -> str:
        """The signatures of an RRset, one of each key."""
        digestable = sorted({canonical(rrtype, rdata) for rdata in rdatas})
        texts = []
        for key in self.keys:
            head = rrsig_head(owner, rrtype, ttl_s, key, self.zone, self.inception_s, self.expiration_s)
            signature = key.private.sign(signed_bytes(head, owner, rrtype, ttl_s, digestable))
            # head: type, algorithm, labels, and the rest.
            texts.append(
                f"{type_text(rrtype)} {head[2]} {head[3]} {ttl_s} {self.times} {key.tag} {self.zone_text} "
                f"{base64.b64encode(signature).decode()}"
            )
        return self.plain(owner, RRSIG, ttl_s, texts)

    def own(self, name: Name, types: Sequence[int] | None = None) -> str:
        """The RRsets of a name. types: those that are signed; None: all."""
        texts = []
        for rrtype, (ttl_s, rdatas) in name.rrsets.items():
            texts.append(self.plain(name.owner, rrtype, ttl_s, [text_of(rrtype, rdata) for rdata in rdatas]))
            if types is None or rrtype in types:
                texts.append(self.signatures(name.owner, rrtype, ttl_s, rdatas))
        return "".join(texts)

    def nsec(self, owner: bytes, types: Iterable[int], following: bytes, ttl_s: int) -> str:
        """The NSEC record of a name, signed."""
        bits, text = bitmap(tuple(sorted((*types, RRSIG, NSEC))))
        return self.plain(owner, NSEC, ttl_s, [f"{name_text(following)} {text}"]) + self.signatures(
            owner, NSEC, ttl_s, [following + bits]
        )


@dataclass(slots=True)
class Held:
    """A name whose NSEC record waits for the next name. below: what is not the zone's own, and stands behind it."""

    owner: bytes
    types: set[int]
    below: list[str]


def lines_of(found: Iterator[Name], signer: Signer, serial: int) -> Iterator[str]:
    """The signed zone, as text. The first name is the zone's."""
    apex = next(found)
    soa_ttl_s, soas = apex.rrsets[SOA]
    soa = soas[-1][:-SOA_NUMBERS_BYTES] + struct.pack("!I", serial) + soas[-1][4 - SOA_NUMBERS_BYTES :]
    # RFC 9077.
    nsec_ttl_s = min(soa_ttl_s, int.from_bytes(soa[-4:], "big"))
    # Those who look whether the zone has to be signed again read its beginning only.
    del apex.rrsets[SOA]
    apex.rrsets = {SOA: (soa_ttl_s, [soa]), **apex.rrsets, **key_sets(signer, soa_ttl_s)}
    cut = b""
    held = Held(apex.owner, set(apex.rrsets), [])
    yield signer.own(apex)
    for name in found:
        if cut and is_below(name.owner, cut):
            held.below.append(signer.own(name, types=()))
            continue
        yield signer.nsec(held.owner, held.types, name.owner, nsec_ttl_s)
        yield from held.below
        is_cut = NS in name.rrsets
        cut = name.owner if is_cut or DNAME in name.rrsets else b""
        # RFC 4035 section 2.3: at a delegation nothing else is the zone's own.
        held = Held(name.owner, {rrtype for rrtype in name.rrsets if not is_cut or rrtype in (NS, DS)}, [])
        yield signer.own(name, (DS,) if is_cut else None)
    yield signer.nsec(held.owner, held.types, apex.owner, nsec_ttl_s)
    yield from held.below


def key_sets(signer: Signer, ttl_s: int) -> RRsets:
    """The keys, and what tells them to the parent (RFC 7344). RFC 8624 section 3.3: no digests with SHA-1."""
    found: RRsets = {}
    for key in signer.keys:
        dnskey = key.dnskey.to_wire() or b""
        digest = hashlib.sha256(signer.zone + dnskey).digest()
        add(found, DNSKEY, ttl_s, dnskey)
        add(found, CDS, ttl_s, struct.pack("!HBB", key.tag, int(key.dnskey.algorithm), SHA256) + digest)
        add(found, CDNSKEY, ttl_s, dnskey)
    return found
