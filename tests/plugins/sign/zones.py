"""Zones to be signed, and what of a signed one is good."""

from __future__ import annotations

from pathlib import Path
from random import Random

import dns.dnssec
import dns.name
import dns.node
import dns.rdatatype
import dns.rrset
import dns.zone
import dns.zonefile

ZONE = r"""
$TTL 300
@ SOA NS host 1 7200 1800 86400 60
@ NS ns
@ NS ns.elsewhere.example.
@ MX 10 MAIL
ns A 192.0.2.53
mail A 192.0.2.25
mail AAAA 2001:db8::25
many A 192.0.2.3
many 200 A 192.0.2.1
many A 192.0.2.2
many A 192.0.2.1
txt TXT "one" "two;\010 \"x"
srv SRV 1 2 53 NS
naptr NAPTR 1 2 "S" "SIP+D2U" "" SRV
caa CAA 0 issue "ca.example"
alias CNAME MAIL
empty.below TXT "x"
*.wild TXT "any"
sub NS NS.sub
sub NS ns.elsewhere.example.
ns.sub A 192.0.2.54
a.b.ns.sub A 192.0.2.55
safe NS ns.sub
safe DS 1 13 2 0000000000000000000000000000000000000000000000000000000000000000
unk TYPE65400 \# 3 010203
svc SVCB 1 NS alpn=h2,h3 port=443
rp RP A.b TXT
"""
# Not signed as CoreDNS does it: an address at a delegation, what is below a DNAME record, and what only dnspython
# and we read.
MORE = r"""
sub A 192.0.2.1
dname DNAME example.NET.
a.dname A 192.0.2.1
\$x\032y\;\@\(z\.\000 A 192.0.2.1
_under_.b MX 1 A
@ DNSKEY 257 3 13 aaaa
@ CDS 0 0 0 00
@ NSEC a NS
a NSEC @ NS
@ NSEC3PARAM 1 0 0 -
@ ZONEMD 1 1 1 000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000
@ RRSIG SOA 13 2 60 20300101000000 20200101000000 1 example.org. aaaa
elsewhere.example. A 192.0.2.1
"""
LABELS = ("a", "b", "*", "-", "zz", "B", "\\000", "\\255", "x\\.y", "_tcp", "0")


def random_zone(random: Random, names: int) -> str:
    """A zone of any names, with delegations and what is below them."""
    lines = ["$TTL 300", "@ SOA ns host 1 2 3 4 400", "@ NS ns", "ns A 192.0.2.1"]
    for number in range(names):
        name = ".".join(random.choice(LABELS) for _ in range(random.randrange(1, 5)))
        kind = random.choice(("A 192.0.2.1", "TXT x", "NS ns", "MX 1 Mail", "AAAA 2001:db8::1", "SRV 1 1 1 B"))
        if not (name.startswith("*") and kind.startswith("NS")):
            lines.append(f"{name} {kind}")
        if number % 20 == 0:
            lines.append(f"d{number} DNAME A.b")
    return "\n".join(lines) + "\n"


def read(file: Path, zone: str = "example.org.") -> dns.zone.Zone:
    """A zone file, as dnspython reads it, with absolute names."""
    return dns.zone.from_file(str(file), dns.name.from_text(zone), relativize=False, check_origin=False)


def cuts(zone: dns.zone.Zone) -> set[dns.name.Name]:
    """The names that end the zone's own: RFC 4035 section 2.2, RFC 6672."""
    own: set[dns.name.Name] = set()
    for name in sorted(zone.nodes):
        node = zone.nodes[name]
        types = {rdataset.rdtype for rdataset in node}
        if name != zone.origin and types & {dns.rdatatype.NS, dns.rdatatype.DNAME}:
            own.add(name)
    return own


def validate(zone: dns.zone.Zone, tags: set[int]) -> None:
    """Each RRset of the zone's own has a good signature of each key; the NSEC records are a ring of its names."""
    origin = zone.origin
    assert origin is not None
    ends = cuts(zone)
    dnskeys = zone.find_rrset(origin, "DNSKEY")
    assert {dns.dnssec.key_id(key) for key in dnskeys} == tags
    chain = []
    for name in sorted(zone.nodes):
        node = zone.nodes[name]
        types = {rdataset.rdtype for rdataset in node if rdataset.rdtype != dns.rdatatype.RRSIG}
        if any(name != end and name.is_subdomain(end) for end in ends):
            assert not types & {dns.rdatatype.NSEC}
            assert not any(rdataset.rdtype == dns.rdatatype.RRSIG for rdataset in node), name
            continue
        is_cut = name != origin and dns.rdatatype.NS in types
        chain.append(name)
        nsec = zone.find_rdataset(name, "NSEC")
        assert nsec.ttl == min(zone.find_rdataset(origin, "SOA").ttl, zone.find_rdataset(origin, "SOA")[0].minimum)
        wanted = {"NSEC", "RRSIG", *map(dns.rdatatype.to_text, types)}
        if is_cut:
            wanted &= {"NS", "DS", "NSEC", "RRSIG"}
        assert set(nsec[0].to_text().split()[1:]) == wanted, name
        for rdtype in types:
            rdataset = zone.find_rdataset(name, rdtype)
            signatures = zone.get_rdataset(name, "RRSIG", rdtype)
            if is_cut and rdtype not in (dns.rdatatype.DS, dns.rdatatype.NSEC):
                assert signatures is None, (name, rdtype)
                continue
            assert signatures is not None and {one.key_tag for one in signatures} == tags, (name, rdtype)
            assert signatures.ttl == rdataset.ttl == signatures[0].original_ttl
            rrset = zone.find_rrset(name, rdtype)
            for signature in signatures:
                dns.dnssec.validate_rrsig(rrset, signature, {origin: dnskeys})
    nexts = [zone.find_rdataset(name, "NSEC")[0].next for name in chain]
    assert nexts == [*chain[1:], chain[0]]


def outline(zone: dns.zone.Zone) -> set[tuple[str, str]]:
    """The names and types, with what is signed."""
    return {
        (name.canonicalize().to_text(),
         dns.rdatatype.to_text(rdataset.rdtype) + " " * bool(rdataset.covers)
         + (dns.rdatatype.to_text(rdataset.covers) if rdataset.covers else ""))
        for name, node in zone.nodes.items()
        for rdataset in node
    }  # fmt: skip
