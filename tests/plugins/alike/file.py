"""Zone files: what there is, what there is not, and what lies between."""

from __future__ import annotations

from tests.plugins.alike.questions import Table, asked

ZONE = "file.test."
COREFILE = """
file.test:DNS_PORT kid.file.test:DNS_PORT {
    file db.file file.test
    file db.kid kid.file.test
}
other.test:DNS_PORT {
    file db.other
}
"""
TEXT = """\
$ORIGIN file.test.
$TTL 300
@       60 IN SOA ns1 host 7 7200 1800 86400 60
@       IN NS  ns1
@       IN NS  ns2.elsewhere.example.
@       IN MX  10 mail
@       IN TXT "v=spf1 -all" "second"
@       IN CAA 0 issue "ca.example"
@       IN A   192.0.2.7
ns1     IN A   192.0.2.53
        IN AAAA 2001:db8::53
www     60 IN A 192.0.2.1
        60 IN A 192.0.2.2
        IN AAAA 2001:db8::1
mail    IN A   192.0.2.25
two     IN MX  10 mail
two     IN MX  20 mail
two     IN MX  30 mx.elsewhere.example.
_sip._tcp IN SRV 1 2 5060 www
_sip._tcp IN SRV 1 2 5061 gone
svc     IN HTTPS 1 www alpn=h2
svcb    IN SVCB 1 www port=853
alias   IN CNAME www
longer  IN CNAME alias
dangling IN CNAME nowhere
out     IN CNAME www.other.test.
outside IN CNAME www.elsewhere.example.
*.wild  IN TXT "any"
*.wild  IN A   192.0.2.77
*.cwild IN CNAME www
*.mwild IN MX 5 mail
a.b.deep IN A 192.0.2.3
sub     IN NS  ns.sub
sub     IN NS  ns.elsewhere.example.
ns.sub  IN A   192.0.2.9
kid     IN NS  ns.kid
ns.kid  IN A   192.0.2.10
moved   IN DNAME www
ptr     IN PTR www
sshfp   IN SSHFP 1 1 0123456789abcdef0123456789abcdef01234567
naptr   IN NAPTR 100 10 "u" "E2U+sip" "!^.*$!sip:info@file.test!" .
tlsa    IN TLSA 3 1 1 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
loc     IN LOC 52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m
hinfo   IN HINFO "pc" "os"
odd     IN TYPE65280 \\# 4 0a000001
big     IN TXT "BIG"
""".replace('big     IN TXT "BIG"', "\n".join(f'big 300 IN TXT "{number:03} {"x" * 120}"' for number in range(40)))
KID = """\
$ORIGIN kid.file.test.
$TTL 300
@ 90 IN SOA ns host 3 7200 1800 86400 90
@ IN NS ns
ns IN A 192.0.2.10
www IN A 192.0.2.11
"""
OTHER = """\
$ORIGIN other.test.
$TTL 300
@ 80 IN SOA ns host 4 7200 1800 86400 80
@ IN NS ns
ns IN A 192.0.2.40
www IN A 192.0.2.41
back IN CNAME alias.file.test.
"""

NS_FOR_SOA = "a denial behind an alias has its NS records in place of the SOA record (RFC 2308 section 2.2)"
TABLE = Table(
    corefile=COREFILE,
    files={"db.file": TEXT, "db.kid": KID, "db.other": OTHER},
    cases=[
        *asked(["@"], "A AAAA NS SOA MX TXT CAA SRV CNAME PTR DNSKEY NSEC HTTPS", ", do", ZONE),
        *asked(["www"], "A AAAA MX NS SOA TXT CNAME PTR SRV HTTPS CAA DS TYPE65280", ", do", ZONE),
        *asked(["www", "alias", "nope", "x.wild", "sub"], "A TXT", "edns, tcp, tcp do, no rd, class ANY, CH", ZONE),
        *asked(["WwW", "ALIAS", "NOPE", "X.Wild", "A.b.DEEP"], "A AAAA TXT", "", "FILE.Test."),
        *asked(["alias", "longer", "out", "outside", "dangling"], "A AAAA CNAME MX TXT", ", do", ZONE),
        *asked(["nope", "a.nope", "x.www", "_x._tcp", "nope.sub2", "*"], "A AAAA MX SOA", ", do", ZONE),
        *asked(["b.deep", "deep", "_tcp", "wild", "mwild"], "A AAAA TXT NS SOA", "", ZONE),
        *asked(["x.wild", "a.b.wild", "x.cwild", "x.mwild", "*.wild"], "A AAAA TXT MX CNAME", ", do", ZONE),
        *asked(["sub", "x.sub", "ns.sub"], "A AAAA NS DS SOA MX", ", do", ZONE),
        *asked(["mail", "two", "_sip._tcp", "svc", "svcb", "ptr"], "MX SRV HTTPS SVCB PTR A", "", ZONE),
        *asked(["sshfp", "naptr", "tlsa", "loc", "hinfo", "odd"], "SSHFP NAPTR TLSA LOC HINFO TYPE65280", "", ZONE),
        *asked(["moved", "x.moved", "a.b.moved"], "A DNAME CNAME TXT", "", ZONE),
        *asked(["big"], "TXT A", ", edns, do, tcp", ZONE),
        *asked(["@", "www", "nope", "x.sub"], "A NS SOA DS AXFR", "", "kid.file.test."),
        *asked(["@", "www", "back", "nope"], "A NS SOA MX AXFR IXFR", "", "other.test."),
    ],
    unlike={
        r" CH$": "it answers with records of class IN, which clients call malformed",
        r"(?i)^(alias|longer|x\.cwild)\.file\.test\. (MX|TXT)": NS_FOR_SOA,
        r"^out\.file\.test\. (AAAA|MX|TXT)": "the SOA record is of the alias's zone, which does not deny the name",
        r"^kid\.file\.test\. DS": "DS records are the parent's (RFC 4035 section 3.1.4.1)",
        r"^back\.other\.test\. (NS|MX|SOA)": NS_FOR_SOA,
    },
)  # fmt: skip
