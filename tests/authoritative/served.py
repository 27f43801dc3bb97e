"""Zones in a store, and a step that answers from them: questions without a socket."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import dns.flags
import dns.message
import dns.name
import dns.node
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.zone

from fastdns.authoritative._step import ZoneStep
from fastdns.memory._store import Store, Writer
from fastdns.rrsets._draft import Draft
from fastdns.rrsets._writer import ZoneWriter
from fastdns.serve._worker import Worker
from fastdns.serve._zones import ServerTable

SOURCE = 3


def draft_of(zone: dns.zone.Zone) -> Draft:
    """A zone of dnspython's, as zonefiles/reading.py hands it on: NSEC3 records stand on their shelf."""
    assert zone.origin is not None
    origin = zone.origin.to_wire()
    draft = Draft(origin)
    for name, ttl_s, rdata in zone.iterate_rdatas():
        owner = name.derelativize(zone.origin).to_wire()
        nsec3 = rdata
        if rdata.rdtype == dns.rdatatype.RRSIG and rdata.type_covered == dns.rdatatype.NSEC3:
            nsec3 = next(iter(zone.find_rdataset(name, "NSEC3")))
        if nsec3.rdtype == dns.rdatatype.NSEC3:
            label = b"\0" + nsec3.iterations.to_bytes(2, "big") + nsec3.salt[:40]
            owner = owner[: owner[0] + 1] + bytes((len(label),)) + label + origin
        assert draft.add(owner, int(rdata.rdtype), ttl_s, rdata.to_wire(origin=zone.origin))
    return draft


class Served:
    """Zones, and what is answered from them. fall: zones whose unknown names go on, to nobody."""

    def __init__(self, zones: Iterable[dns.zone.Zone], fall: Iterable[str] = ()) -> None:
        self.store = Store()
        self.writer = ZoneWriter(Writer(self.store), SOURCE)
        names: list[bytes] = []
        origins: list[dns.name.Name] = []
        for zone in zones:
            assert zone.origin is not None
            self.writer.replace(draft_of(zone))
            names.append(zone.origin.to_wire().lower())
            origins.append(zone.origin)
        self.writer.writer.set_source(SOURCE, synced=True)
        step = ZoneStep(
            source=SOURCE, zones=names, fall=[dns.name.from_text(name).to_wire() for name in fall], not_loaded=0
        )
        table = ServerTable(
            [(zone.to_text(), number, None) for number, zone in enumerate(origins)],
            [[step] for _ in names],
        )
        self.worker = Worker(table, self.store)

    def ask(
        self, name: dns.name.Name | str, kind: str | int, *, dnssec: bool = False, tcp: bool = True
    ) -> dns.message.Message:
        """The reply to a question."""
        query = dns.message.make_query(name, kind, use_edns=0 if dnssec else None, want_dnssec=dnssec)
        raw = self.worker.serve(query.to_wire(), tcp=tcp)
        assert raw is not None
        return dns.message.from_wire(raw)


def zone_of(text: str, origin: str) -> dns.zone.Zone:
    """A zone from its text."""
    return dns.zone.from_text(text, origin, relativize=False, check_origin=False)


def texts(section: Iterable[dns.rrset.RRset], without: Iterable[str] = ()) -> list[str]:
    """The records of a section in presentation form, names lowercased, sorted; but for some types."""
    left_out = set(without)
    return sorted(
        f"{rrset.name.to_text().lower()} {rrset.ttl} {kind} {rdata.to_text().lower()}"
        for rrset in section
        if (kind := dns.rdatatype.to_text(rrset.rdtype)) not in left_out
        for rdata in rrset
    )


def summary(reply: dns.message.Message) -> Mapping[str, object]:
    """What a reply says."""
    return {
        "rcode": dns.rcode.to_text(reply.rcode()),
        "aa": bool(reply.flags & dns.flags.AA),
        "answer": texts(reply.answer),
        "authority": texts(reply.authority),
        "additional": texts(reply.additional),
    }
