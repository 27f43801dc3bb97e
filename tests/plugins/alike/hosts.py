"""Hosts files: names with addresses of both families, reverse names, wildcards, and what falls through."""

from __future__ import annotations

from tests.plugins.alike.questions import Table, asked

COREFILE = """
hosts.test:DNS_PORT 2.0.192.in-addr.arpa:DNS_PORT 8.b.d.0.1.0.0.2.ip6.arpa:DNS_PORT {
    hosts hosts.txt hosts.test 2.0.192.in-addr.arpa 8.b.d.0.1.0.0.2.ip6.arpa {
        192.0.2.30 inline.hosts.test more.hosts.test
        2001:db8::30 inline.hosts.test
        ttl 120
    }
}
falls.test:DNS_PORT {
    hosts {
        192.0.2.40 here.falls.test
        fallthrough
    }
    template IN TXT {
        answer "{{ .Name }} 60 IN TXT fell"
    }
    template IN A {
        answer "{{ .Name }} 60 IN A 192.0.2.99"
    }
    template ANY ANY {
        rcode NXDOMAIN
    }
}
"""
HOSTS = """\
192.0.2.10 a.hosts.test b.hosts.test
192.0.2.11 a.hosts.test
2001:db8::10 a.hosts.test six.hosts.test
192.0.2.12 Upper.Hosts.Test
192.0.2.13 *.wild.hosts.test
198.51.100.1 elsewhere.example
"""
TYPES = "A AAAA PTR MX TXT SRV NS SOA CNAME HTTPS ANY"

TABLE = Table(
    corefile=COREFILE,
    files={"hosts.txt": HOSTS},
    cases=[
        *asked(["a", "b", "six", "inline", "more", "upper", "x.wild", "nope", "@"], TYPES, "", "hosts.test."),
        *asked(["a", "six", "nope"], "A AAAA", "edns, do, tcp, tcp do, no rd, class ANY, CH", "hosts.test."),
        *asked(["A", "UPPER", "Inline", "x.b", "wild", "x.y.wild"], "A AAAA", "", "Hosts.TEST."),
        *asked(["10", "11", "30", "99", "@", "10.10"], "PTR A TXT", "", "2.0.192.in-addr.arpa."),
        *asked(["0.1." + "0." * 21 + "0", "0.3." + "0." * 21 + "0", "1"], "PTR A", "", "8.b.d.0.1.0.0.2.ip6.arpa."),
        *asked(["here", "gone", "x.here", "@", "HERE"], "A AAAA TXT MX PTR", ", do", "falls.test."),
    ],
    unlike={
        r"^(a|six)\.hosts\.test\. \w+ CH$": "it answers with records of class IN, which clients call malformed",
    },
)  # fmt: skip
