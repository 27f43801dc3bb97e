"""Zones of the reference, signed, and what a validator makes of a reply.

NSEC and NSEC3 chains are as RFC 4035 and RFC 5155 make them. Signatures say only what they cover. Replies are
judged by RFC 4035 section 5.4 and RFC 5155 section 8.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Container, Iterable
from dataclasses import dataclass

import dns.message
import dns.name
import dns.rdata
import dns.rdatatype
import dns.rdtypes.ANY.NSEC
import dns.rdtypes.ANY.NSEC3
import dns.rrset
import dns.zone

from tests.authoritative.reference import Labels, Zone

B32 = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", b"0123456789ABCDEFGHIJKLMNOPQRSTUV")


@dataclass(frozen=True)
class Parameters:
    """Of NSEC3. opt_out: cuts without DS records are not in the chain."""

    iterations: int = 0
    salt: bytes = b""
    opt_out: bool = False


def hash_of(name: dns.name.Name, parameters: Parameters) -> str:
    """RFC 5155 section 5."""
    digest = name.canonicalize().to_wire() or b""
    for _ in range(parameters.iterations + 1):
        digest = hashlib.sha1(digest + parameters.salt).digest()
    return base64.b32encode(digest).translate(B32).decode().lower()


def order(name: Labels) -> tuple[bytes, ...]:
    return tuple(label.lower().encode() for label in reversed(name))


def cut_above(zone: Zone, name: Labels) -> Labels | None:
    """The highest cut or DNAME above a name, not at it."""
    for at in range(len(name) - 1, 0, -1):
        if "NS" in zone.get(name[at:], {}) or "DNAME" in zone.get(name[at:], {}):
            return name[at:]
    return () if name and "DNAME" in zone.get((), {}) else None


def visible(zone: Zone) -> list[Labels]:
    """The names with records of the zone's own, in order."""
    return sorted((name for name in zone if cut_above(zone, name) is None), key=order)


def bitmap(kinds: Iterable[str], extra: Iterable[str] = ()) -> str:
    return " ".join(sorted({*kinds, *extra}))


def types_at(zone: Zone, name: Labels) -> list[str]:
    """What an NSEC or NSEC3 record of a name lists: of a cut only what is the parent's."""
    kinds = zone.get(name, {})
    if name and "NS" in kinds:
        return [kind for kind in kinds if kind in ("NS", "DS")]
    return list(kinds)


def signature(kind: str, owner: Labels, origin: Labels) -> str:
    """An RRSIG record that covers a type. labels: without a wildcard (RFC 4034 section 3.1.3)."""
    whole = owner + origin
    count = len(whole) - (whole[:1] == ("*",))
    return f"{kind} 13 {count} 60 20300101000000 20200101000000 1 {'.'.join(origin)}. AAAA"


def signed(lines: list[tuple[Labels, str, str]], origin: Labels, zone: Zone) -> str:
    """The text of a zone, with a signature for each RRset that is the zone's own."""
    covered = dict.fromkeys((owner, kind) for owner, kind, _ in lines)
    out = [f"{'.'.join(owner + origin)}. 60 IN {kind} {rdata}" for owner, kind, rdata in lines]
    for owner, kind in covered:
        at_cut = bool(owner) and "NS" in zone.get(owner, {})
        own = cut_above(zone, owner) is None and not (at_cut and kind not in ("DS", "NSEC"))
        if own or kind == "NSEC3":
            out.append(f"{'.'.join(owner + origin)}. 60 IN RRSIG {signature(kind, owner, origin)}")
    return "\n".join(out) + "\n"


def with_nsec(zone: Zone, origin: Labels, lines: list[tuple[Labels, str, str]]) -> str:
    """RFC 4035 section 2.3."""
    names = visible(zone)
    for number, name in enumerate(names):
        after = ".".join(names[(number + 1) % len(names)] + origin)
        lines.append((name, "NSEC", f"{after}. {bitmap(types_at(zone, name), ('RRSIG', 'NSEC'))}"))
    return signed(lines, origin, zone)


def with_nsec3(zone: Zone, origin: Labels, lines: list[tuple[Labels, str, str]], parameters: Parameters) -> str:
    """RFC 5155 section 7.1: also the empty non-terminals have records."""
    salt = parameters.salt.hex() or "-"
    zone = {**zone, (): {**zone.get((), {}), "NSEC3PARAM": []}}
    names: set[Labels] = set()
    for name in visible(zone):
        insecure = bool(name) and "NS" in zone[name] and "DS" not in zone[name]
        if not (parameters.opt_out and insecure):
            names |= {name[at:] for at in range(len(name) + 1)}
    hashes = sorted(
        (hash_of(dns.name.from_text(".".join(name + origin) + "."), parameters), name) for name in names
    )
    lines.append(((), "NSEC3PARAM", f"1 0 {parameters.iterations} {salt}"))
    for number, (hashed, name) in enumerate(hashes):
        kinds = types_at(zone, name)
        own = [kind for kind in kinds if not (name and "NS" in zone.get(name, {}) and kind == "NS")]
        types = bitmap(kinds, ("RRSIG",) if own else ())
        after = hashes[(number + 1) % len(hashes)][0]
        rdata = f"1 {int(parameters.opt_out)} {parameters.iterations} {salt} {after} {types}"
        lines.append(((hashed,), "NSEC3", rdata))
    return signed(lines, origin, zone)


# ------------------------------------------------------------------------------------------------ validation


class Proofs:
    """The NSEC and NSEC3 records of a reply's authority section."""

    def __init__(self, reply: dns.message.Message, zone: dns.name.Name, parameters: Parameters | None) -> None:
        self.zone = zone
        self.parameters = parameters
        self.nsec: dict[dns.name.Name, dns.rdtypes.ANY.NSEC.NSEC] = {}
        self.nsec3: dict[str, dns.rdtypes.ANY.NSEC3.NSEC3] = {}
        for rrset in reply.authority:
            for rdata in rrset:
                if rdata.rdtype == dns.rdatatype.NSEC:
                    assert rrset.name not in self.nsec
                    self.nsec[rrset.name] = rdata
                elif rdata.rdtype == dns.rdatatype.NSEC3:
                    assert rrset.name.parent() == zone
                    self.nsec3[rrset.name.labels[0].decode().lower()] = rdata

    def has_type(self, rdata: dns.rdata.Rdata, kind: str) -> bool:
        number = int(dns.rdatatype.from_text(kind))
        block, at = divmod(number, 256)
        return any(
            window == block and len(bits) > at // 8 and bits[at // 8] & 0x80 >> at % 8
            for window, bits in rdata.windows
        )

    # NSEC

    def covers(self, owner: dns.name.Name, rdata: dns.rdtypes.ANY.NSEC.NSEC, name: dns.name.Name) -> bool:
        """Whether a name lies between. A cut's or a DNAME's record says nothing of names below (RFC 4035 5.4)."""
        if name != owner and name.is_subdomain(owner) and (
            self.has_type(rdata, "DNAME") or (self.has_type(rdata, "NS") and not self.has_type(rdata, "SOA"))
        ):
            return False
        if owner < rdata.next:
            return owner < name < rdata.next
        return name > owner or name < rdata.next

    def covering(self, name: dns.name.Name) -> tuple[dns.name.Name, dns.rdtypes.ANY.NSEC.NSEC] | None:
        return next((pair for pair in self.nsec.items() if self.covers(*pair, name)), None)

    def encloser_by_nsec(self, name: dns.name.Name) -> dns.name.Name:
        """Of a name that a record covers: the longest end that it shares with what stands around it."""
        found = self.covering(name)
        assert found is not None, f"no NSEC record covers {name}"
        owner, rdata = found
        shared = [other.fullcompare(name)[2] for other in (owner, rdata.next)]
        return name.split(max(shared))[1]

    # NSEC3

    def matching3(self, name: dns.name.Name) -> dns.rdtypes.ANY.NSEC3.NSEC3 | None:
        assert self.parameters is not None
        return self.nsec3.get(hash_of(name, self.parameters))

    def covering3(self, name: dns.name.Name) -> dns.rdtypes.ANY.NSEC3.NSEC3 | None:
        assert self.parameters is not None
        hashed = hash_of(name, self.parameters)
        for owner, rdata in self.nsec3.items():
            after = base64.b32encode(rdata.next).translate(B32).decode().lower()
            if owner < hashed < after or (owner >= after and (hashed > owner or hashed < after)):
                return rdata
        return None

    def encloser_by_nsec3(self, name: dns.name.Name) -> dns.name.Name:
        """RFC 5155 section 8.3."""
        for labels in range(len(name) - 1, len(self.zone) - 1, -1):
            encloser = name.split(labels)[1]
            if self.matching3(encloser) is not None:
                assert self.covering3(name.split(labels + 1)[1]) is not None, f"closer than {encloser}"
                return encloser
        raise AssertionError(f"no NSEC3 record matches an encloser of {name}")

    # what they prove

    def assert_no_name(self, name: dns.name.Name, existing: Container[dns.name.Name] = ()) -> None:
        """RFC 4035 section 5.4, RFC 5155 section 8.4. existing: the names of the zone, empty ones included."""
        if self.parameters is None:
            encloser = self.encloser_by_nsec(name)
            wildcard = dns.name.Name((b"*", *encloser.labels))
            assert self.covering(wildcard) is not None, f"no NSEC record covers {wildcard}"
            return
        encloser = self.encloser_by_nsec3(name)
        wildcard = dns.name.Name((b"*", *encloser.labels))
        if self.parameters.opt_out and wildcard in existing:
            # The closest encloser is below this one, and has no record, as all names below it are unsigned cuts
            # (RFC 5155 section 7.1). Nobody can prove that the wildcard does not stand for the name.
            return
        assert self.covering3(wildcard) is not None, f"no wildcard at {encloser}"

    def assert_no_type(self, name: dns.name.Name, kind: str) -> None:
        """RFC 4035 section 5.4, RFC 5155 sections 8.5 to 8.7."""
        if self.parameters is None:
            rdata = self.nsec.get(name)
            if rdata is None:
                found = self.covering(name)
                assert found is not None, f"nothing about {name}"
                if found[1].next.is_subdomain(name):
                    # An empty non-terminal.
                    return
                wildcard = dns.name.Name((b"*", *self.encloser_by_nsec(name).labels))
                rdata = self.nsec.get(wildcard)
                if rdata is None:
                    around = self.covering(wildcard)
                    assert around is not None and around[1].next.is_subdomain(wildcard), f"nothing about {wildcard}"
                    return
        else:
            rdata = self.matching3(name)
            if rdata is None:
                encloser = self.encloser_by_nsec3(name)
                rdata = self.matching3(dns.name.Name((b"*", *encloser.labels)))
                if rdata is None or self.has_type(rdata, kind) or self.has_type(rdata, "CNAME"):
                    # The wildcard's record may be here for the range that it covers: the name is an unsigned cut,
                    # or above one (RFC 5155 section 7.2.4, and its erratum 3441).
                    closer = self.covering3(name.split(len(encloser) + 1)[1])
                    assert closer is not None and closer.flags & 1, f"nothing about {name}"
                    return
        assert not self.has_type(rdata, kind) and not self.has_type(rdata, "CNAME")

    def assert_no_closer(self, name: dns.name.Name, encloser: dns.name.Name) -> None:
        """RFC 4035 section 5.3.4, RFC 5155 section 8.8: a wildcard answers."""
        if self.parameters is None:
            assert self.covering(name) is not None, f"no NSEC record covers {name}"
        else:
            assert self.covering3(name.split(len(encloser) + 1)[1]) is not None, f"closer than {encloser}"

    def assert_no_ds(self, cut: dns.name.Name) -> None:
        """RFC 4035 section 5.2, RFC 5155 section 8.9."""
        rdata = self.nsec.get(cut) if self.parameters is None else self.matching3(cut)
        if rdata is None:
            assert self.parameters is not None, f"no NSEC record of {cut}"
            encloser = self.encloser_by_nsec3(cut)
            closer = self.covering3(cut.split(len(encloser) + 1)[1])
            assert closer is not None and closer.flags & 1
            return
        assert self.has_type(rdata, "NS") and not self.has_type(rdata, "DS")


def unsigned(section: Iterable[dns.rrset.RRset]) -> list[tuple[dns.name.Name, str]]:
    """The RRsets of a section that have no signatures in it; signatures of nothing count, too."""
    section = list(section)
    sets = {(rrset.name, rrset.rdtype) for rrset in section if rrset.rdtype != dns.rdatatype.RRSIG}
    covered = {
        (rrset.name, rdata.type_covered)
        for rrset in section
        if rrset.rdtype == dns.rdatatype.RRSIG
        for rdata in rrset
    }
    return [(name, dns.rdatatype.to_text(kind)) for name, kind in sets ^ covered]
