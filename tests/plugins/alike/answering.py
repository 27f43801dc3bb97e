"""Plugins that answer by themselves, or judge and trim what others answer."""

from __future__ import annotations

from tests.plugins.alike.file import NS_FOR_SOA
from tests.plugins.alike.questions import Table, asked

COREFILE = """
bind:DNS_PORT server:DNS_PORT localhost:DNS_PORT in-addr.arpa:DNS_PORT ip6.arpa:DNS_PORT who.test:DNS_PORT {
    chaos v1 me
    local
    whoami
}
any.test:DNS_PORT {
    any
    file db.small any.test
}
acl.test:DNS_PORT {
    acl refused.acl.test {
        block type A
        block type MX net 127.0.0.0/8
        allow net 127.0.0.0/8
    }
    acl filtered.acl.test {
        filter
    }
    acl denied.acl.test {
        block
    }
    acl other.acl.test {
        block net 10.0.0.0/8 192.168.0.0/16
        filter type AAAA net *
    }
    template ANY A {
        answer "{{ .Name }} 60 IN A 192.0.2.1"
    }
    template ANY ANY {
        rcode NOERROR
    }
}
minimal.test:DNS_PORT {
    minimal
    file db.small minimal.test
}
header.test:DNS_PORT {
    header {
        response set ra
        response clear aa
    }
    file db.small header.test
}
spread.test:DNS_PORT {
    loadbalance
    file db.small spread.test
}
small.test:DNS_PORT {
    bufsize 600
    file db.small small.test
}
dns64.test:DNS_PORT {
    dns64
    file db.small dns64.test
}
all64.test:DNS_PORT {
    dns64 {
        prefix 2001:db8:64::/96
        translate_all
        allow_ipv4
    }
    file db.small all64.test
}
erratic.test:DNS_PORT {
    erratic {
        drop 0
    }
}
path.test:DNS_PORT b.example.org:DNS_PORT a.example.org:DNS_PORT example.org:DNS_PORT {
    autopath @erratic
    file db.b b.example.org
    file db.a a.example.org
    erratic {
        drop 0
    }
}
"""
SMALL = """\
@       300 IN SOA ns host 7 7200 1800 86400 300
@       300 IN NS  ns
@       300 IN MX  10 mail
ns      300 IN A   192.0.2.53
mail    300 IN A   192.0.2.25
www     300 IN A   192.0.2.1
www     300 IN A   192.0.2.2
www     300 IN A   192.0.2.3
www     300 IN TXT "text"
six     300 IN AAAA 2001:db8::6
both    300 IN A   192.0.2.4
both    300 IN AAAA 2001:db8::4
alias   300 IN CNAME www
_s._tcp 300 IN SRV 1 1 80 www
*.wild  300 IN A   192.0.2.9
sub     300 IN NS  ns.sub
ns.sub  300 IN A   192.0.2.10
""" + "\n".join(f"many 300 IN A 192.0.3.{number}" for number in range(1, 60)) + "\n"
PATH = """\
@   300 IN SOA ns host 7 7200 1800 86400 300
@   300 IN NS  ns
ns  300 IN A   192.0.2.53
NAME 300 IN A  192.0.2.60
"""
ITS_OPT = "it adds an OPT record with the DO bit to each reply"
TYPES = "A AAAA MX NS SOA TXT SRV CNAME"
NAMES = ["@", "www", "alias", "nope", "x.wild", "x.sub"]

TABLE = Table(
    corefile=COREFILE,
    files={"db.small": SMALL, "db.a": PATH.replace("NAME", "first"), "db.b": PATH.replace("NAME", "second")},
    cases=[
        *asked(["version.bind.", "version.server.", "authors.bind.", "VERSION.BIND."], "TXT", "CH, "),
        *asked(["authors.bind.", "version.bind."], "TXT", "CH, tcp, edns"),
        *asked(["localhost.", "a.localhost.", "1.0.0.127.in-addr.arpa.", "127.in-addr.arpa.", "0.in-addr.arpa.",
                "255.in-addr.arpa.", "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa."],
               "A AAAA PTR NS SOA MX TXT"),
        *asked(["localhost.", "LocalHost."], "A AAAA", "edns, do, tcp, no rd"),
        *asked(["version.bind.", "authors.bind."], "A ANY"),
        *asked(["who.test.", "x.who.test."], "A AAAA MX TXT NS SOA ANY HTTPS", ", edns, no rd"),
        *asked(["@", "www", "nope", "sub"], "ANY A TXT", ", do, tcp, no rd", "any.test."),
        *asked(
            ["refused", "x.refused", "filtered", "denied", "x.denied", "other", "none"], "A AAAA MX TXT", ", edns",
            "acl.test.",
        ),
        *asked(NAMES, TYPES, "", "minimal.test."),
        *asked(NAMES, "A MX NS TXT SOA", ", no rd", "header.test."),
        *asked(["www", "many", "alias"], "A TXT AAAA", ", edns, tcp", "spread.test."),
        *asked(["many", "www", "nope"], "A TXT", ", edns, do, tcp, tcp do", "small.test."),
        *asked(["www", "six", "both", "alias", "nope", "mail", "x.wild"], "A AAAA TXT", ", do", "dns64.test."),
        *asked(["www", "six", "both", "alias", "nope", "mail", "x.wild"], "A AAAA MX", ", tcp", "all64.test."),
        *asked(["x.erratic.test.", "erratic.test.", "X.Erratic.Test."], "A AAAA MX SOA NS TXT ANY", ", edns, tcp"),
        *asked(["second", "first", "none", "SECOND", "a.second"], "A AAAA TXT", ", tcp", "a.example.org."),
        *asked(["second", "first", "none"], "A AAAA", "", "b.example.org."),
        *asked(["x.example.org.", "x.path.test."], "A AAAA MX"),
    ],
    unlike={
        r"(refused|filtered|denied)\.acl\.test\. (A|MX) ": ITS_OPT,
        r"(filtered|denied)\.acl\.test\. ": ITS_OPT,
        r"^other\.acl\.test\. AAAA ": ITS_OPT,
        r"^alias\.minimal\.test\. (AAAA|MX|NS|SOA|SRV)": "it leaves out the SOA record of a denial behind an alias",
        r"^alias\.(header|spread|dns64|all64)\.test\. (AAAA|MX|SOA) ?((no rd|edns|tcp|do)?)$": NS_FOR_SOA,
        r"^(www|six|both|mail|x\.wild)\.all64\.test\. AAAA": "it clears the flag AA",
        r"(?i)^second\.a\.example\.org\. (AAAA|TXT)": "no CNAME record where there is no data",
        r"^(none|a\.second)\.a\.example\.org\. TXT": "an error of a plugin does not end the search",
    },
)  # fmt: skip
