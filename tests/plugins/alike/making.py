"""Templates and rewriting: what makes records, and what changes questions and replies."""

from __future__ import annotations

from tests.plugins.alike.file import NS_FOR_SOA
from tests.plugins.alike.questions import Table, asked

COREFILE = r"""
make.test:DNS_PORT {
    template IN A make.test {
        match ^ip-(?P<a>[0-9]+)-(?P<b>[0-9]+)-(?P<c>[0-9]+)-(?P<d>[0-9]+)[.]make[.]test[.]$
        answer "{{ .Name }} 60 IN A {{ .Group.a }}.{{ .Group.b }}.{{ .Group.c }}.{{ .Group.d }}"
        fallthrough
    }
    template IN AAAA make.test {
        match ^six[.]
        answer "{{ .Name }} 60 IN AAAA 2001:db8::6"
        fallthrough
    }
    template IN MX make.test {
        match ^mx[.]
        answer "{{ .Name }} 60 IN MX 10 mail.{{ .Zone }}"
        additional "mail.{{ .Zone }} 60 IN A 192.0.2.25"
        authority "{{ .Zone }} 60 IN NS ns.{{ .Zone }}"
        fallthrough
    }
    template IN TXT make.test {
        match ^(?P<word>[a-z]+)[.]txt[.]
        answer "{{ .Name }} 30 IN TXT \"{{ .Group.word }} {{ .Type }} {{ .Class }}\""
        fallthrough
    }
    template IN CNAME make.test {
        match ^alias[.]
        answer "{{ .Name }} 60 IN CNAME ip-192-0-2-1.make.test."
        fallthrough
    }
    template IN A make.test {
        match ^alias[.]
        answer "{{ .Name }} 60 IN CNAME ip-192-0-2-1.make.test."
        fallthrough
    }
    template IN SRV make.test {
        match ^_s[.]_tcp[.]
        answer "{{ .Name }} 60 IN SRV 1 2 80 ip-192-0-2-1.make.test."
        fallthrough
    }
    template ANY ANY make.test {
        match ^none[.]
        rcode NXDOMAIN
        authority "make.test. 60 IN SOA ns.make.test. host.make.test. 1 2 3 4 60"
        fallthrough
    }
    template ANY ANY make.test {
        match ^empty[.]
        rcode NOERROR
        authority "make.test. 60 IN SOA ns.make.test. host.make.test. 1 2 3 4 60"
        fallthrough
    }
    template ANY ANY make.test {
        match ^fails[.]
        rcode SERVFAIL
    }
}
rule.test:DNS_PORT {
    rewrite stop {
        name regex (.*)\.from\.rule\.test {1}.to.rule.test
        answer name (.*)\.to\.rule\.test {1}.from.rule.test
    }
    rewrite stop name suffix .short.rule.test .to.rule.test answer auto
    rewrite name exact exact.rule.test www.to.rule.test
    rewrite name prefix pre- www. answer auto
    rewrite name substring -mid- .to. answer auto
    rewrite type TXT A
    rewrite ttl exact mail.to.rule.test 17
    rewrite ttl regex ^two\. 100-200
    rewrite rcode exact nope.to.rule.test NXDOMAIN NOERROR
    file db.rule rule.test
}
"""
RULE = """\
@       300 IN SOA ns host 7 7200 1800 86400 300
@       300 IN NS  ns
ns      300 IN A   192.0.2.53
www.to  300 IN A   192.0.2.1
www.to  300 IN AAAA 2001:db8::1
mail.to 300 IN A   192.0.2.25
mail.to 300 IN MX  10 www.to
alias.to 300 IN CNAME www.to
two.to  300 IN A   192.0.2.2
two.to  60  IN AAAA 2001:db8::2
_s._tcp.to 300 IN SRV 1 2 80 www.to
"""

TABLE = Table(
    corefile=COREFILE,
    files={"db.rule": RULE},
    cases=[
        *asked(["ip-192-0-2-1", "six", "mx", "word.txt", "alias", "_s._tcp", "none", "empty", "fails", "x"],
               "A AAAA MX TXT CNAME SRV SOA ANY", "", "make.test."),
        *asked(["ip-192-0-2-1", "alias", "none", "fails"], "A", "edns, do, tcp, tcp do, no rd, class ANY, CH",
               "make.test."),
        *asked(["IP-192-0-2-1", "Six", "MX", "None"], "A AAAA MX", "", "Make.TEST."),
        *asked(["www.from", "mail.from", "alias.from", "nope.from", "two.from", "_s._tcp.from"],
               "A AAAA MX TXT SRV", "", "rule.test."),
        *asked(["www.short", "mail.short", "alias.short", "nope.short"], "A AAAA MX TXT", ", tcp", "rule.test."),
        *asked(["exact", "www.to", "mail.to", "two.to", "nope.to", "pre-to", "www-mid-rule.test"], "A AAAA TXT MX",
               "", "rule.test."),
        *asked(["WWW.From", "Exact", "NOPE.to", "Mail.SHORT"], "A AAAA MX", "", "rule.test."),
    ],
    unlike={
        r"^none\.make\.test\. A CH": "records have the class of their text, not that of the question",
        r"^alias\.(from|short)\.rule\.test\. (MX|TXT|SRV)": NS_FOR_SOA,
    },
)  # fmt: skip
