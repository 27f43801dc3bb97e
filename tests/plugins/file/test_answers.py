"""Answers from zone files: the same from CoreDNS, but for what the cases say."""

from __future__ import annotations

from collections.abc import Iterator

import dns.rcode
import dns.rdatatype
import pytest

from tests.plugins.beside import Both, Case, ask, ids
from tests.plugins.file.zones import EXAMPLE, KID, NEIGHBOUR

COREFILE = """\
example.org:DNS_PORT kid.example.org:DNS_PORT {
    bind 127.0.0.1
    file db.example.org example.org
    file db.kid kid.example.org
}
neighbour.test:DNS_PORT {
    bind 127.0.0.1
    file db.neighbour
}
"""
FILES = {"db.example.org": EXAMPLE, "db.kid": KID, "db.neighbour": NEIGHBOUR}
NS = ["example.org. 300 IN NS ns1.example.org.", "example.org. 300 IN NS ns2.elsewhere.test."]
SOA = ["example.org. 60 IN SOA ns1.example.org. host.example.org. 7 7200 1800 86400 60"]
CASES = [
    Case(
        "example.org.",
        "SOA",
        answer=["example.org. 60 IN SOA ns1.example.org. host.example.org. 7 7200 1800 86400 60"],
        authority=NS,
        flags="AA",
        why="the apex",
    ),
    Case(
        "example.org.",
        "NS",
        answer=["example.org. 300 IN NS ns1.example.org.", "example.org. 300 IN NS ns2.elsewhere.test."],
        additional=["ns1.example.org. 300 IN A 192.0.2.53", "ns1.example.org. 300 IN AAAA 2001:db8::53"],
        flags="AA",
        why="name servers bring their addresses",
    ),
    Case(
        "example.org.",
        "MX",
        answer=["example.org. 300 IN MX 10 mail.example.org."],
        authority=NS,
        additional=["mail.example.org. 300 IN A 192.0.2.25"],
        flags="AA",
        why="addresses of mail servers",
    ),
    Case(
        "www.example.org.",
        answer=["www.example.org. 60 IN A 192.0.2.1", "www.example.org. 60 IN A 192.0.2.2"],
        authority=NS,
        flags="AA",
        why="two records, and the zone's name servers",
    ),
    Case(
        "wWw.example.org.",
        "AAAA",
        answer=["wWw.example.org. 60 IN AAAA 2001:db8::1"],
        authority=NS,
        flags="AA",
        why="names compare without case, and the reply keeps the question's",
        coredns="its reply has the spelling of the zone file",
    ),
    Case("www.example.org.", "TXT", authority=SOA, flags="AA", why="no data: RFC 2308"),
    Case(
        "www.example.org.",
        "ANY",
        answer=[
            "www.example.org. 60 IN A 192.0.2.1",
            "www.example.org. 60 IN A 192.0.2.2",
            "www.example.org. 60 IN AAAA 2001:db8::1",
        ],
        authority=NS,
        flags="AA",
        why="all that the name has",
        coredns="it answers that there is no data",
    ),
    Case("nowhere.example.org.", authority=SOA, rcode="NXDOMAIN", flags="AA", why="no such name: RFC 2308"),
    Case(
        "below.www.example.org.",
        authority=SOA,
        rcode="NXDOMAIN",
        flags="AA",
        why="no such name below one with records",
    ),
    Case(
        "two.example.org.",
        "MX",
        answer=[
            "two.example.org. 300 IN MX 10 mail.example.org.",
            "two.example.org. 300 IN MX 20 mail.example.org.",
            "two.example.org. 300 IN MX 30 mx.elsewhere.test.",
        ],
        authority=NS,
        additional=["mail.example.org. 300 IN A 192.0.2.25"],
        flags="AA",
        why="a host that is named twice brings its address once",
    ),
    Case(
        "_sip._tcp.example.org.",
        "SRV",
        answer=["_sip._tcp.example.org. 300 IN SRV 1 2 5060 www.example.org."],
        authority=NS,
        additional=[
            "www.example.org. 60 IN A 192.0.2.1",
            "www.example.org. 60 IN A 192.0.2.2",
            "www.example.org. 60 IN AAAA 2001:db8::1",
        ],
        flags="AA",
        why="addresses of a service's host",
    ),
    Case(
        "svc.example.org.",
        "HTTPS",
        answer=['svc.example.org. 300 IN HTTPS 1 www.example.org. alpn="h2"'],
        authority=NS,
        additional=[
            "www.example.org. 60 IN A 192.0.2.1",
            "www.example.org. 60 IN A 192.0.2.2",
            "www.example.org. 60 IN AAAA 2001:db8::1",
        ],
        flags="AA",
        why="addresses of the target: RFC 9460 section 4.1",
    ),
    Case(
        "here.example.org.",
        "HTTPS",
        answer=['here.example.org. 300 IN HTTPS 1 . alpn="h2"'],
        authority=NS,
        flags="AA",
        why="a target that is the owner itself",
    ),
    Case(
        "alias.example.org.",
        answer=[
            "alias.example.org. 300 IN CNAME www.example.org.",
            "www.example.org. 60 IN A 192.0.2.1",
            "www.example.org. 60 IN A 192.0.2.2",
        ],
        authority=NS,
        flags="AA",
        why="an alias",
    ),
    Case(
        "alias.example.org.",
        "CNAME",
        answer=["alias.example.org. 300 IN CNAME www.example.org."],
        authority=NS,
        flags="AA",
        why="the alias itself is asked for",
    ),
    Case(
        "longer.example.org.",
        "AAAA",
        answer=[
            "alias.example.org. 300 IN CNAME www.example.org.",
            "longer.example.org. 300 IN CNAME alias.example.org.",
            "www.example.org. 60 IN AAAA 2001:db8::1",
        ],
        authority=NS,
        flags="AA",
        why="an alias of an alias",
    ),
    Case(
        "dangling.example.org.",
        answer=["dangling.example.org. 300 IN CNAME nowhere.example.org."],
        authority=SOA,
        rcode="NXDOMAIN",
        flags="AA",
        why="an alias of no name: RFC 6604 section 3",
    ),
    Case(
        "empty.example.org.",
        answer=["empty.example.org. 300 IN CNAME down.example.org."],
        authority=SOA,
        flags="AA",
        why="an alias of an empty non-terminal",
    ),
    Case(
        "apex.example.org.",
        "MX",
        answer=["apex.example.org. 300 IN CNAME example.org.", "example.org. 300 IN MX 10 mail.example.org."],
        authority=NS,
        additional=["mail.example.org. 300 IN A 192.0.2.25"],
        flags="AA",
        why="an alias of the apex",
    ),
    Case(
        "apex.example.org.",
        "NS",
        answer=[
            "apex.example.org. 300 IN CNAME example.org.",
            "example.org. 300 IN NS ns1.example.org.",
            "example.org. 300 IN NS ns2.elsewhere.test.",
        ],
        additional=["ns1.example.org. 300 IN A 192.0.2.53", "ns1.example.org. 300 IN AAAA 2001:db8::53"],
        flags="AA",
        why="name servers as the answer: not in the authority section as well",
        coredns="it repeats them, without addresses",
    ),
    Case(
        "loop1.example.org.",
        answer=[
            "loop1.example.org. 300 IN CNAME loop2.example.org.",
            "loop2.example.org. 300 IN CNAME loop1.example.org.",
        ],
        authority=NS,
        flags="AA",
        why="a loop: each record once",
        coredns="it shows each record five times",
    ),
    Case(
        "round.example.org.",
        answer=[
            "round.example.org. 300 IN CNAME round.neighbour.test.",
            "round.neighbour.test. 300 IN CNAME round.example.org.",
        ],
        authority=NS,
        rcode="SERVFAIL",
        flags="AA",
        why="a loop through another block: each record once",
        coredns="it shows the records again",
    ),
    Case(
        "nodata.neighbour.test.",
        "MX",
        answer=["nodata.neighbour.test. 300 IN CNAME www.example.org."],
        authority=SOA,
        flags="AA",
        why="an alias to another block, which has no data",
        coredns="it gives the SOA record of the alias's zone",
    ),
    Case(
        "back.neighbour.test.",
        "MX",
        answer=["alias.example.org. 300 IN CNAME www.example.org.",
                "back.neighbour.test. 300 IN CNAME alias.example.org."],
        authority=SOA,
        flags="AA",
        why="an alias to an alias in another block, which leads to no data (RFC 2308 section 2.2)",
        coredns="it gives NS records",
    ),
    Case(
        "self.example.org.",
        answer=["self.example.org. 300 IN CNAME self.example.org."],
        authority=NS,
        flags="AA",
        why="an alias of itself: once",
        coredns="it shows the record ten times",
    ),
    Case(
        "c0.example.org.",
        answer=[
            "c0.example.org. 300 IN CNAME c1.example.org.",
            "c1.example.org. 300 IN CNAME c2.example.org.",
            "c2.example.org. 300 IN CNAME c3.example.org.",
            "c3.example.org. 300 IN CNAME c4.example.org.",
            "c4.example.org. 300 IN CNAME c5.example.org.",
            "c5.example.org. 300 IN CNAME c6.example.org.",
            "c6.example.org. 300 IN CNAME c7.example.org.",
            "c7.example.org. 300 IN CNAME c8.example.org.",
            "c8.example.org. 300 IN CNAME www.example.org.",
            "www.example.org. 60 IN A 192.0.2.1",
            "www.example.org. 60 IN A 192.0.2.2",
        ],
        authority=NS,
        flags="AA",
        why="a chain of nine",
    ),
    Case(
        "out.example.org.",
        answer=["a.neighbour.test. 300 IN A 192.0.2.41", "out.example.org. 300 IN CNAME a.neighbour.test."],
        authority=NS,
        flags="AA",
        why="an alias of another zone of this server",
    ),
    Case(
        "out.example.org.",
        "TXT",
        answer=["out.example.org. 300 IN CNAME a.neighbour.test."],
        authority=["neighbour.test. 80 IN SOA ns.neighbour.test. host.neighbour.test. 4 7200 1800 86400 80"],
        flags="AA",
        why="no data in another zone: its SOA record, RFC 2308 section 2",
        coredns="it gives the SOA record of the first zone",
    ),
    Case(
        "outgone.example.org.",
        answer=["outgone.example.org. 300 IN CNAME gone.neighbour.test."],
        authority=["neighbour.test. 80 IN SOA ns.neighbour.test. host.neighbour.test. 4 7200 1800 86400 80"],
        rcode="NXDOMAIN",
        flags="AA",
        why="no such name in another zone",
        coredns="it gives the SOA record of the first zone",
    ),
    Case(
        "back.neighbour.test.",
        answer=[
            "alias.example.org. 300 IN CNAME www.example.org.",
            "back.neighbour.test. 300 IN CNAME alias.example.org.",
            "www.example.org. 60 IN A 192.0.2.1",
            "www.example.org. 60 IN A 192.0.2.2",
        ],
        authority=["neighbour.test. 300 IN NS ns.neighbour.test."],
        flags="AA",
        why="from one zone to the other",
    ),
    Case(
        "far.example.org.",
        answer=["far.example.org. 300 IN CNAME host.far.test."],
        authority=NS,
        flags="AA",
        why="an alias of a name that this server does not know",
    ),
    Case(
        "child.example.org.",
        answer=[
            "child.example.org. 300 IN CNAME www.kid.example.org.",
            "www.kid.example.org. 300 IN A 192.0.2.11",
        ],
        authority=NS,
        flags="AA",
        why="an alias of a name below a cut, which another zone of this server has: RFC 1034 section 4.3.2",
        coredns="it gives a referral",
    ),
    Case(
        "tocut.example.org.",
        answer=["tocut.example.org. 300 IN CNAME a.sub.example.org."],
        authority=[
            "sub.example.org. 300 IN NS ns.elsewhere.test.",
            "sub.example.org. 300 IN NS ns.sub.example.org.",
        ],
        additional=["ns.sub.example.org. 300 IN A 192.0.2.9"],
        flags="AA",
        why="an alias of a name below a cut: a referral behind it",
    ),
    Case(
        "x.wild.example.org.",
        "TXT",
        answer=['x.wild.example.org. 300 IN TXT "any"'],
        authority=NS,
        flags="AA",
        why="a wildcard",
    ),
    Case(
        "x.y.wild.example.org.",
        answer=["x.y.wild.example.org. 300 IN A 192.0.2.77"],
        authority=NS,
        flags="AA",
        why="a wildcard covers names of any depth",
    ),
    Case("x.wild.example.org.", "MX", authority=SOA, flags="AA", why="a wildcard without this type"),
    Case("wild.example.org.", authority=SOA, flags="AA", why="a wildcard does not cover the name above it"),
    Case(
        "x.b.wild.example.org.",
        authority=SOA,
        rcode="NXDOMAIN",
        flags="AA",
        why="the nearest empty non-terminal blocks a wildcard: RFC 4592 section 3.3.1",
    ),
    Case(
        "b.wild.example.org.",
        authority=SOA,
        flags="AA",
        why="an empty non-terminal is no wildcard's",
        coredns="it answers by the wildcard",
    ),
    Case(
        "*.wild.example.org.",
        answer=["*.wild.example.org. 300 IN A 192.0.2.77"],
        authority=NS,
        flags="AA",
        why="the wildcard itself",
    ),
    Case(
        "x.alias.example.org.",
        answer=[
            "www.example.org. 60 IN A 192.0.2.1",
            "www.example.org. 60 IN A 192.0.2.2",
            "x.alias.example.org. 300 IN CNAME www.example.org.",
        ],
        authority=NS,
        flags="AA",
        why="an alias that a wildcard has",
    ),
    Case(
        "x.mx.example.org.",
        "MX",
        answer=["x.mx.example.org. 300 IN MX 5 mail.example.org."],
        authority=NS,
        additional=["mail.example.org. 300 IN A 192.0.2.25"],
        flags="AA",
        why="addresses of what a wildcard names",
    ),
    Case(
        "x.ent.example.org.",
        authority=SOA,
        flags="AA",
        why="the wildcard is an empty non-terminal: no data, RFC 4592 section 2.2.2",
    ),
    Case("ent.example.org.", authority=SOA, flags="AA", why="an empty non-terminal above a wildcard"),
    Case("down.example.org.", authority=SOA, flags="AA", why="an empty non-terminal"),
    Case(
        "a.sub.example.org.",
        authority=[
            "sub.example.org. 300 IN NS ns.elsewhere.test.",
            "sub.example.org. 300 IN NS ns.sub.example.org.",
        ],
        additional=["ns.sub.example.org. 300 IN A 192.0.2.9"],
        flags="",
        why="a referral with glue",
    ),
    Case(
        "sub.example.org.",
        authority=[
            "sub.example.org. 300 IN NS ns.elsewhere.test.",
            "sub.example.org. 300 IN NS ns.sub.example.org.",
        ],
        additional=["ns.sub.example.org. 300 IN A 192.0.2.9"],
        flags="",
        why="a referral at the cut",
    ),
    Case(
        "sub.example.org.",
        "NS",
        authority=[
            "sub.example.org. 300 IN NS ns.elsewhere.test.",
            "sub.example.org. 300 IN NS ns.sub.example.org.",
        ],
        additional=["ns.sub.example.org. 300 IN A 192.0.2.9"],
        flags="",
        why="the name servers of a cut are the child's",
    ),
    Case(
        "sub.example.org.",
        "DS",
        answer=[
            "sub.example.org. 300 IN DS 12345 13 1 0000000000000000000000000000000000000001",
        ],
        authority=NS,
        flags="AA",
        why="DS records are the parent's: RFC 4035 section 3.1.4.1",
    ),
    Case(
        "a.sub.example.org.",
        "DS",
        authority=[
            "sub.example.org. 300 IN NS ns.elsewhere.test.",
            "sub.example.org. 300 IN NS ns.sub.example.org.",
        ],
        additional=["ns.sub.example.org. 300 IN A 192.0.2.9"],
        flags="",
        why="below the cut they are the child's",
    ),
    Case("insecure.example.org.", "DS", authority=SOA, flags="AA", why="a cut without DS records"),
    Case(
        "a.insecure.example.org.",
        authority=["insecure.example.org. 300 IN NS ns1.example.org."],
        additional=["ns1.example.org. 300 IN A 192.0.2.53", "ns1.example.org. 300 IN AAAA 2001:db8::53"],
        flags="",
        why="a referral to a name server of this zone",
        coredns="it leaves out the address",
    ),
    Case(
        "kid.example.org.",
        "DS",
        authority=SOA,
        flags="AA",
        why="DS records are the parent's, where this server has both",
        coredns="it answers from the child",
    ),
    Case(
        "kid.example.org.",
        "NS",
        answer=["kid.example.org. 300 IN NS ns.kid.example.org."],
        additional=["ns.kid.example.org. 300 IN A 192.0.2.10"],
        flags="AA",
        why="the child's apex",
    ),
    Case(
        "www.kid.example.org.",
        answer=["www.kid.example.org. 300 IN A 192.0.2.11"],
        authority=["kid.example.org. 300 IN NS ns.kid.example.org."],
        flags="AA",
        why="the longest zone",
    ),
    Case(
        "nope.kid.example.org.",
        authority=["kid.example.org. 90 IN SOA ns.kid.example.org. host.kid.example.org. 3 7200 1800 86400 90"],
        rcode="NXDOMAIN",
        flags="AA",
        why="the lower of the SOA record's TTL and its minimum: RFC 2308 section 3",
        coredns="it gives the TTL of the record",
    ),
    Case(
        "deep.moved.example.org.",
        answer=[
            "deep.down.example.org. 300 IN A 192.0.2.3",
            "deep.moved.example.org. 300 IN CNAME deep.down.example.org.",
            "moved.example.org. 300 IN DNAME down.example.org.",
        ],
        authority=NS,
        flags="AA",
        why="a DNAME record: RFC 6672",
    ),
    Case(
        "deep.moved.example.org.",
        "CNAME",
        answer=[
            "deep.moved.example.org. 300 IN CNAME deep.down.example.org.",
            "moved.example.org. 300 IN DNAME down.example.org.",
        ],
        authority=NS,
        flags="AA",
        why="the CNAME record that is made of it",
    ),
    Case(
        "moved.example.org.",
        "TXT",
        answer=['moved.example.org. 300 IN TXT "here"'],
        authority=NS,
        flags="AA",
        why="a name with a DNAME record has other records",
    ),
    Case(
        "moved.example.org.",
        "DNAME",
        answer=["moved.example.org. 300 IN DNAME down.example.org."],
        authority=NS,
        flags="AA",
        why="the DNAME record itself",
    ),
    Case("moved.example.org.", authority=SOA, flags="AA", why="a DNAME record is not about its owner"),
    Case(
        "gone.moved.example.org.",
        answer=[
            "gone.moved.example.org. 300 IN CNAME gone.down.example.org.",
            "moved.example.org. 300 IN DNAME down.example.org.",
        ],
        authority=SOA,
        rcode="NXDOMAIN",
        flags="AA",
        why="a DNAME record that leads to no name",
    ),
    Case(
        "deep.away.example.org.",
        answer=[
            "away.example.org. 300 IN DNAME neighbour.test.",
            "deep.away.example.org. 300 IN CNAME deep.neighbour.test.",
            "deep.neighbour.test. 300 IN A 192.0.2.42",
        ],
        authority=NS,
        flags="AA",
        why="a DNAME record that leads to another zone",
    ),
    Case(
        "x.selfd.example.org.",
        answer=[
            "selfd.example.org. 300 IN DNAME selfd.example.org.",
            "x.selfd.example.org. 300 IN CNAME x.selfd.example.org.",
        ],
        authority=NS,
        flags="AA",
        why="a DNAME record that changes nothing",
        coredns="it answers SERVFAIL",
    ),
    Case(
        "caa.example.org.",
        "CAA",
        answer=['caa.example.org. 300 IN CAA 0 issue "ca.test"'],
        authority=NS,
        flags="AA",
        why="CAA",
    ),
    Case(
        "odd.example.org.",
        "TYPE65280",
        answer=[r"odd.example.org. 300 IN TYPE65280 \# 4 0a000001"],
        authority=NS,
        flags="AA",
        why="a type without a name: RFC 3597",
    ),
    Case(
        "sshfp.example.org.",
        "SSHFP",
        answer=["sshfp.example.org. 300 IN SSHFP 1 1 0123456789abcdef0123456789abcdef01234567"],
        authority=NS,
        flags="AA",
        why="SSHFP",
    ),
    Case(
        "naptr.example.org.",
        "NAPTR",
        answer=['naptr.example.org. 300 IN NAPTR 100 10 "u" "E2U+sip" "!^.*$!sip:info@example.org!" .'],
        authority=NS,
        flags="AA",
        why="NAPTR",
    ),
    Case(
        "loc.example.org.",
        "LOC",
        answer=["loc.example.org. 300 IN LOC 52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000.00m 10.00m"],
        authority=NS,
        flags="AA",
        why="LOC",
    ),
    Case(
        "uPPer.example.org.",
        answer=["uPPer.example.org. 300 IN A 192.0.2.80"],
        authority=NS,
        flags="AA",
        why="an owner in upper case",
        coredns="its reply has the spelling of the zone file",
    ),
    Case(
        "esc\\.aped.example.org.",
        answer=[r"esc\.aped.example.org. 300 IN A 192.0.2.81"],
        authority=NS,
        flags="AA",
        why="an escaped dot in a label",
    ),
    Case("example.org.", "AXFR", rcode="REFUSED", flags="", tcp=True, why="transfers are another plugin's"),
    Case("example.org.", "IXFR", rcode="REFUSED", flags="", why="and so are changes"),
]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    with Both(tmp_path_factory.mktemp("file"), COREFILE, FILES) as both:
        yield both


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_answers(both: Both, case: Case) -> None:
    both.check(case)


def test_a_name_that_a_dname_record_makes_too_long(both: Both) -> None:
    """RFC 6672 section 2.2. CoreDNS sends a name of more than 255 bytes."""
    reply = ask(Case(f"{'a' * 60}.{'b' * 60}.long.example.org."), both.fastdns.port)
    assert reply is not None
    assert dns.rcode.to_text(reply.rcode()) == "YXDOMAIN"
    assert [int(rrset.rdtype) for rrset in reply.answer] == [dns.rdatatype.DNAME]
