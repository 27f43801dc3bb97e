"""The minimal step without a server: replies of any sections beside an obvious reference."""

from __future__ import annotations

import random

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from fastdns.plugins.minimal._step import MinimalStep
from tests.serve._service import WAITS, PlayedService, Wait
from tests.serve.support import trial

pytestmark = pytest.mark.native

NAME = "a.example."
SIGNED = "8 1 60 20360101000000 20260101000000 1 example. AAAA"
RECORDS = [
    f"{NAME} 60 IN A 192.0.2.1",
    f"{NAME} 60 IN CNAME b.example.",
    f"{NAME} 60 IN NS ns.example.",
    "example. 60 IN SOA ns.example. root.example. 1 2 3 4 5",
    f"{NAME} 60 IN NSEC c.example. A",
    f"{NAME} 60 IN RRSIG NSEC {SIGNED}",
    f"{NAME} 60 IN RRSIG NSEC3 {SIGNED}",
    f"{NAME} 60 IN RRSIG A {SIGNED}",
]
PROOFS = set(RECORDS[4:7])


def reference(rcode: int, sections: list[list[str]], wants_proofs: bool) -> list[list[str]]:
    """What of a reply is sent."""
    answer, authority, _ = sections
    types = {record.split()[3] for record in authority}
    if rcode != dns.rcode.NOERROR or "SOA" in types or ("NS" in types and not answer):
        return sections
    return [answer, [record for record in authority if wants_proofs and record in PROOFS], []]


def texts(section: list[dns.rrset.RRset]) -> list[str]:
    return sorted(f"{one.name} {one.ttl} IN {one.to_text().split()[3]} {data}" for one in section for data in one)


def test_replies_of_any_sections() -> None:
    draw = random.Random(15)
    for number in range(300):
        sections = [draw.sample(RECORDS, draw.choice([0, 1, 2, 4])) for _ in range(3)]
        rcode = draw.choice([dns.rcode.NOERROR] * 4 + [dns.rcode.NXDOMAIN, dns.rcode.SERVFAIL])
        wants_proofs = draw.random() < 0.5
        query = dns.message.make_query(NAME, "A", want_dnssec=wants_proofs)
        reply = dns.message.make_response(query)
        reply.set_rcode(rcode)
        for section, records in zip((reply.answer, reply.authority, reply.additional), sections, strict=True):
            for record in records:
                owner, ttl, rdclass, rrtype, rdata = record.split(None, 4)
                section.append(dns.rrset.from_text(owner, int(ttl), rdclass, rrtype, rdata))
        service = PlayedService("upstream")
        served = trial(MinimalStep(), Wait("upstream"), services=(service,))
        assert served.ask(query.to_wire(), tcp=True) is WAITS
        raw = served.say(service, reply.to_wire())
        assert isinstance(raw, bytes)
        got = dns.message.from_wire(raw, one_rr_per_rrset=True)
        expected = [sorted(records) for records in reference(rcode, sections, wants_proofs)]
        assert [texts(got.answer), texts(got.authority), texts(got.additional)] == expected, number
