"""Templates in a server, beside CoreDNS: the examples of its README, shapes of the wild, and Python."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Iterator

import dns.message
import dns.name
import dns.query
import dns.rcode
import pytest

from tests.plugins.beside import Both, Case, ask, ids
from tests.support import free_port, wait_until

SOA = "60 IN SOA ns.invalid. hostmaster.invalid. 1 60 60 60 60"
IP = r"ip-10-(?P<b>[0-9]*)-(?P<c>[0-9]*)-(?P<d>[0-9]*)[.]"
COREFILE = r"""
invalid:DNS_PORT {
    template ANY ANY {
        rcode NXDOMAIN
        authority "invalid. 60 {{ .Class }} SOA ns.invalid. hostmaster.invalid. (1 60 60 60 60)"
        ederror 21 "Blocked according to RFC2606"
    }
}
dc1.example.com:DNS_PORT {
    template IN ANY example.com.dc1.example.com {
        rcode NXDOMAIN
        authority "{{ .Zone }} 60 IN SOA ns.example.com hostmaster.example.com (1 60 60 60 60)"
    }
    whoami
}
search.com:DNS_PORT {
    template IN ANY {
        match "search\.com\.(dc1\.search\.com\.)$"
        rcode NXDOMAIN
        authority "{{ index .Match 1 }} 60 IN SOA ns.{{ index .Match 1 }} h.{{ index .Match 1 }} (1 60 60 60 60)"
        fallthrough
    }
    whoami
}
example:DNS_PORT in-addr.arpa:DNS_PORT {
    prometheus 127.0.0.1:METRICS_PORT
    template IN A example {
        match (^|[.])ip-(?P<a>[0-9]*)-(?P<b>[0-9]*)-(?P<c>[0-9]*)-(?P<d>[0-9]*)[.]example[.]$
        answer "{{ .Name }} 60 IN A {{ .Group.a }}.{{ .Group.b }}.{{ .Group.c }}.{{ .Group.d }}"
        fallthrough
    }
    template IN PTR in-addr.arpa {
        match ^(?P<d>[0-9]*)[.](?P<c>[0-9]*)[.](?P<b>[0-9]*)[.](?P<a>[0-9]*)[.]in-addr[.]arpa[.]$
        answer "{{ .Name }} 60 IN PTR ip-{{ .Group.a }}-{{ .Group.b }}-{{ .Group.c }}-{{ .Group.d }}.example."
    }
    template IN A example {
        match "^ip0a(?P<b>[a-f0-9]{2})(?P<c>[a-f0-9]{2})(?P<d>[a-f0-9]{2})[.]example[.]$"
        answer "{{ .Name }} 60 IN A 10.{{ parseInt .Group.b 16 8 }}.{{ parseInt .Group.c 16 8 }}.{{
            parseInt .Group.d 16 8 }}"
        fallthrough
    }
    template IN A example {
        match "^ip-(?P<a>10)-(?P<b>[0-9]*)-(?P<c>[0-9]*)-(?P<d>[0-9]*)[.]dc[.]example[.]$"
        match "^(?P<a>[0-9]*)[.](?P<b>[0-9]*)[.](?P<c>[0-9]*)[.](?P<d>[0-9]*)[.]ext[.]example[.]$"
        answer "{{ .Name }} 60 IN A {{ .Group.a}}.{{ .Group.b }}.{{ .Group.c }}.{{ .Group.d }}"
        fallthrough
    }
    template IN MX example {
        match ^IPv4
        answer "{{ .Name }} 60 IN MX 10 {{ .Name }}"
        additional "{{ .Name }} 60 IN A 10.{{ .Group.b }}.{{ .Group.c }}.{{ .Group.d }}"
        authority  "example. 60 IN NS ns0.example."
        authority  "example. 60 IN NS ns1.example."
        additional "ns0.example. 60 IN A 203.0.113.8"
        additional "ns1.example. 60 IN A 198.51.100.8"
        fallthrough in-addr.arpa
    }
    whoami
}
foogle.com:DNS_PORT {
    template IN ANY foogle.com {
        match "^foogle\.com\.$"
        answer "foogle.com 60 IN CNAME www.ip-192-0-2-1.example"
    }
}
wild:DNS_PORT {
    errors
    template IN A fixed.wild {
        answer "{{ .Name }} 300 IN A {$TARGET}"
    }
    template IN AAAA fixed.wild {
        rcode NOERROR
    }
    template IN TXT {
        answer "{{ .Name }} 5 IN TXT \"{{ .Remote }}\" \"{{ .Type }} {{ .Class }}; {{ .Zone }}\""
    }
    template IN CAA {
        answer "{{ .Name }} 60 IN CAA 0 issue \"letsencrypt.org\""
    }
    template IN SRV {
        answer "{{ range .Match }}{{ . }}{{ end }} 60 IN SRV 0 0 {{ len .Name }} {{ .Name }}"
    }
    template IN SPF {
        answer "{{ .Name }} {{ .Foo }}"
    }
    template IN NS {
        answer "no record"
    }
    template IN HTTPS {
        answer "{{ .Name }} 60 IN HTTPS 1 . alpn=h2,h3 ipv4hint=192.0.2.1"
    }
    template IN LOC {
        answer "{{ .Name }} 60 IN LOC 51 30 12.748 N 0 7 39.611 W 0.00m 1m 10000m 10m"
    }
    template IN HINFO {
        rcode SERVFAIL
    }
    template IN MX {
        rcode REFUSED
    }
    template IN PTR {
        match x
    }
    template IN ANY any.wild {
        answer "{{ .Name }} 60 IN TXT {{ .Type }}" "{{ .Name }} 60 IN TXT b"
    }
}
loop-a:DNS_PORT {
    template IN A {
        answer "{{ .Name }} 60 IN CNAME x.loop-b."
    }
}
loop-b:DNS_PORT {
    template IN A {
        answer "{{ .Name }} 60 IN CNAME x.{{ urlquery `loop-c` }}."
    }
}
loop-c:DNS_PORT {
    template IN A {
        answer "{{ .Name }} 60 IN CNAME X.LOOP-B."
    }
}
python:DNS_PORT {
    metadata
    template IN TXT {
        match "^(?P<host>[a-z]+)[.](.*)$"
        answer "{{ .Name }} 60 IN TXT \"{{ .Message.RecursionDesired }}\" {{ printf `%q` .Group.host
            }} \"{{ .Question }}\" {{ .Meta `log/none` }}x"
        authority "{{ define `T` }}{{ . }} 60 IN NS ns.{{ . }}{{ end }}{{ template `T` .Zone }}"
        rcode NXDOMAIN
        fallthrough
    }
    template IN A {
        answer "{{ .Name }} 60 IN CNAME {{ urlquery `ip-192-0-2-2.example` }}"
    }
    template IN MX {
        answer "{{ html .Nope }}"
    }
    template IN LOC {
        answer "{{ .Name }} 60 IN LOC {{ len .Name }} 30 12.748 N 0 7 39.611 W 0.00m 1m 10000m 10m"
    }
    whoami
}
""".replace("^IPv4", f"^{IP}example[.]$")

# What is in CoreDNS's source, but not yet in the release that this is compared with.
EXPRESSIONS = r"""
expr:DNS_PORT {
    view inside {
        expr true
    }
    metadata
    template IN A {
        match ^(?P<ip>[0-9]{1,3}(-[0-9]{1,3}){3})[.](?P<id>[a-z2-7]{26})[.]expr[.]$
        var ip replace(group('ip'), '-', '.')
        expr "any(['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '169.254.0.0/16'], incidr(ip, #))"
        answer "{{ .Name }} 60 IN A {{ .Var.ip }}"
        fallthrough
    }
    template IN A {
        match ^n(?P<n>[0-9]+)[.]
        var n int(group('n'))
        var label 'x' + string(n * 2)
        expr n > 1
        expr let half = n / 2; half < 100
        answer "{{ .Var.label }}.{{ .Name }} {{ .Var.n }} IN A 10.0.0.{{ .Var.n }}"
        authority "{{ .Zone }} 60 IN NS {{ .Var.label }}.expr."
        fallthrough
    }
    template IN TXT {
        match ^q[.]
        var local incidr(client_ip(), '127.0.0.0/8')
        var nothing do() ? nil : group('nope')
        answer "{{ .Name }} 60 IN TXT \"{{ if .Var.local }}local{{ end }}\" \"{{ .Var.what }}\" \"<{{
            .Var.nothing }}>\""
        answer "{{ .Name }} 60 IN TXT \"{{ .Meta `view/name` }}\" \"{{ .Var.view }}\""
        var what type() + ' ' + class() + ' ' + name() + ' ' + proto()
        var view metadata('view/name') + metadata('no/value')
        fallthrough
    }
    template IN TXT {
        match ^fails[.]
        var n int(group(0))
        fallthrough
    }
    template IN TXT {
        match ^(number|none)[.]
        expr group(1) == 'number' ? 1 : false
        fallthrough
    }
    template IN AAAA {
        match ^late[.]
        expr let x = 'other'; x == 'other'
        var v '2001:db8::1'
        answer "{{ .Name }} 60 IN AAAA {{ .Var.v }}"
    }
    whoami
}
more:DNS_PORT {
    view inside {
        expr true
    }
    metadata
    template IN TXT {
        match ^(?P<a>[a-z]+)-(?P<n>[0-9]+)[.]
        var n int(group('n'))
        var half n / 2
        var parts split(name(), '.')
        var head parts[0]
        var either n > 5 ? 'big' : n
        var nothing nil
        var pairs {n: n, a: [group('a'), 'b']}
        var view metadata('view/name')
        expr n < 10
        answer "{{ .Name }} 60 IN TXT \"{{ .Var.half }} {{ .Var.parts }} {{ index .Var.parts 0 }} {{ .Var.head }}\""
        answer "{{ .Name }} 60 IN TXT \"{{ .Var.either }} {{ .Var.nothing }} {{ .Var.pairs }} {{
            .Var.pairs.n }} {{ len .Var }}\""
        answer "{{ .Name }} 60 IN TXT \"{{ .Var.view }} {{ .Meta `view/name` }} {{ .Var.none }}\""
        fallthrough
    }
    template IN TXT {
        match ^fails[.]
        var n int(group(0))
        fallthrough
    }
    whoami
}
"""
UNRELEASED = "CoreDNS 1.14.7 was released without var and expr"
ID = "abcdefghijklmnopqrstuvwxyz"
NS = ["example. 60 IN NS ns0.example.", "example. 60 IN NS ns1.example."]
GLUE = ["ns0.example. 60 IN A 203.0.113.8", "ns1.example. 60 IN A 198.51.100.8"]

CASES = [
    Case("a.invalid.", authority=[f"invalid. {SOA}"], rcode="NXDOMAIN", flags="AA", ede=[21], why="a dead zone"),
    Case(
        "invalid.",
        "MX",
        authority=[f"invalid. {SOA}"],
        rcode="NXDOMAIN",
        dnssec=True,
        ede=[21],
        why="with a reason",
    ),
    Case(
        "a.example.com.dc1.example.com.",
        authority=["example.com.dc1.example.com. 60 IN SOA ns.example.com. hostmaster.example.com. 1 60 60 60 60"],
        rcode="NXDOMAIN",
        why="zone alone",
    ),
    Case("a.dc1.example.com.", additional=None, why="another zone: the next plugin's"),
    Case(
        "a.search.com.dc1.search.com.",
        authority=["dc1.search.com. 60 IN SOA ns.dc1.search.com. h.dc1.search.com. 1 60 60 60 60"],
        rcode="NXDOMAIN",
        why="a group",
    ),
    Case("www.search.com.", additional=None, why="no match falls through"),
    Case(
        "ip-10-95-12-8.example.",
        answer=["ip-10-95-12-8.example. 60 IN A 10.95.12.8"],
        flags="AA",
        why="named groups",
    ),
    Case("x.ip-10-95-12-8.example.", answer=["x.ip-10-95-12-8.example. 60 IN A 10.95.12.8"], why="inside a name"),
    Case("ip-10-95-12-300.example.", rcode="SERVFAIL", why="no address"),
    Case("ip-10-95-12-08.example.", rcode="SERVFAIL", why="a zero in front is no address"),
    Case(
        "8.12.95.10.in-addr.arpa.",
        "PTR",
        answer=["8.12.95.10.in-addr.arpa. 60 IN PTR ip-10-95-12-8.example."],
        why="reverse",
    ),
    Case("x.in-addr.arpa.", "PTR", rcode="SERVFAIL", why="no match, no fallthrough"),
    Case("ip0a5f0c09.example.", answer=["ip0a5f0c09.example. 60 IN A 10.95.12.9"], why="parseInt"),
    Case("ip-10-1-2-3.dc.example.", answer=["ip-10-1-2-3.dc.example. 60 IN A 10.1.2.3"], why="the first pattern"),
    Case("1.2.3.4.ext.example.", answer=["1.2.3.4.ext.example. 60 IN A 1.2.3.4"], why="the second pattern"),
    Case(
        "ip-10-1-2-3.example.",
        "MX",
        answer=["ip-10-1-2-3.example. 60 IN MX 10 ip-10-1-2-3.example."],
        authority=NS,
        additional=["ip-10-1-2-3.example. 60 IN A 10.1.2.3", *GLUE],
        why="all sections",
    ),
    Case("a.example.", "MX", rcode="SERVFAIL", why="falls through in other zones only"),
    Case("a.example.", "TXT", additional=None, why="no template has this type"),
    Case(
        "foogle.com.",
        answer=["foogle.com. 60 IN CNAME www.ip-192-0-2-1.example.", "www.ip-192-0-2-1.example. 60 IN A 192.0.2.1"],
        flags="AA",
        why="an alias is followed",
    ),
    Case(
        "foogle.com.",
        "AAAA",
        answer=["foogle.com. 60 IN CNAME www.ip-192-0-2-1.example."],
        why="that leads to nothing",
    ),
    Case(
        "foogle.com.",
        "TXT",
        answer=["foogle.com. 60 IN CNAME www.ip-192-0-2-1.example."],
        why="only addresses are followed",
    ),
    Case("x.foogle.com.", rcode="SERVFAIL", why="another name"),
    Case("fixed.wild.", answer=["fixed.wild. 300 IN A 192.0.2.99"], why="an environment variable"),
    Case("x.fixed.wild.", "AAAA", flags="AA", why="no data"),
    Case(
        "a.wild.", "TXT", answer=['a.wild. 5 IN TXT "127.0.0.1" "TXT IN; wild."'], why="the client, and a semicolon"
    ),
    Case("a.wild.", "TXT", answer=['a.wild. 5 IN TXT "::1" "TXT IN; wild."'], client="::1", why="IPv6"),
    Case("a.wild.", "TXT", answer=['a.wild. 5 IN TXT "127.0.0.1" "TXT IN; wild."'], tcp=True, why="TCP"),
    Case("a.wild.", "CAA", answer=['a.wild. 60 IN CAA 0 issue "letsencrypt.org"'], why="quotes"),
    Case("a.wild.", "SRV", answer=["a.wild. 60 IN SRV 0 0 7 a.wild."], why="range and len"),
    Case("a.wild.", "SPF", rcode="SERVFAIL", why="a field that is none"),
    Case("a.wild.", "NS", rcode="SERVFAIL", why="a text that is no record"),
    Case(
        "a.wild.",
        "HTTPS",
        answer=['a.wild. 60 IN HTTPS 1 . alpn="h2,h3" ipv4hint="192.0.2.1"'],
        why="a service binding",
    ),
    Case(
        "a.wild.",
        "LOC",
        answer=["a.wild. 60 IN LOC 51 30 12.748 N 0 7 39.611 W 0.00m"],
        why="a rare type that is constant",
    ),
    Case("a.wild.", "HINFO", rcode="SERVFAIL", flags="", why="SERVFAIL is bare"),
    Case("a.wild.", "MX", rcode="REFUSED", flags="AA", why="REFUSED is the template's"),
    Case("a.wild.", "PTR", rcode="SERVFAIL", flags="", why="no match"),
    Case("a\\.b.wild.", "CAA", answer=['a\\.b.wild. 60 IN CAA 0 issue "letsencrypt.org"'], why="an escape"),
    Case(
        "a\\000\\200.wild.", "CAA", answer=['a\\000\\200.wild. 60 IN CAA 0 issue "letsencrypt.org"'], why="any byte"
    ),
    Case(
        "any.wild.",
        "NULL",
        answer=['any.wild. 60 IN TXT "NULL"', 'any.wild. 60 IN TXT "b"'],
        why="two records of a line",
    ),
    Case(
        "www.python.",
        "TXT",
        answer=['www.python. 60 IN TXT "true" "www" ";www.python.\\009IN\\009 TXT" "x"'],
        authority=["python. 60 IN NS ns.python."],
        rcode="NXDOMAIN",
        flags="AA",
        why="in Python",
    ),
    Case("1.python.", "TXT", additional=None, why="in Python: falls through"),
    Case(
        "a.python.",
        answer=["a.python. 60 IN CNAME ip-192-0-2-2.example.", "ip-192-0-2-2.example. 60 IN A 192.0.2.2"],
        flags="AA",
        why="in Python: an alias is followed",
    ),
    Case("a.python.", "MX", rcode="SERVFAIL", flags="", why="in Python: it fails"),
    Case(
        "a.python.",
        "LOC",
        answer=["a.python. 60 IN LOC 9 30 12.748 N 0 7 39.611 W 0.00m"],
        why="in Python: a rare type",
    ),
]

EXPRESSION_CASES = [
    Case(
        f"10-1-2-3.{ID}.expr.",
        answer=[f"10-1-2-3.{ID}.expr. 60 IN A 10.1.2.3"],
        coredns=UNRELEASED,
        why="an address of a network",
    ),
    Case(f"8-8-8-8.{ID}.expr.", additional=None, coredns=UNRELEASED, why="an address of none"),
    Case(
        f"300-1-2-3.{ID}.expr.",
        rcode="SERVFAIL",
        flags="",
        coredns=UNRELEASED,
        why="no address: the expression fails",
    ),
    Case(
        "n7.expr.",
        answer=["x14.n7.expr. 7 IN A 10.0.0.7"],
        authority=["expr. 60 IN NS x14.expr."],
        flags="AA",
        coredns=UNRELEASED,
        why="variables in all places",
    ),
    Case("n1.expr.", additional=None, coredns=UNRELEASED, why="the first condition is not true"),
    Case("n200.expr.", additional=None, coredns=UNRELEASED, why="the second condition is not true"),
    Case("n99999999999999999999.expr.", rcode="SERVFAIL", flags="", coredns=UNRELEASED, why="no number"),
    Case(
        "q.expr.",
        "TXT",
        answer=['q.expr. 60 IN TXT "local" "TXT IN q.expr. udp" "<>"', 'q.expr. 60 IN TXT "inside" "inside"'],
        coredns=UNRELEASED,
        why="what the query is, and a value of a plugin",
    ),
    Case(
        "Q.Expr.",
        "TXT",
        answer=[
            'Q.Expr. 60 IN TXT "local" "TXT IN q.expr. tcp" "<<no value>>"',
            'Q.Expr. 60 IN TXT "inside" "inside"',
        ],
        dnssec=True,
        tcp=True,
        coredns=UNRELEASED,
        why="over TCP, and nil",
    ),
    Case(
        "fails.expr.", "TXT", rcode="SERVFAIL", flags="", coredns=UNRELEASED, why="a failure does not fall through"
    ),
    Case("number.expr.", "TXT", additional=None, coredns=UNRELEASED, why="a condition that is no bool"),
    Case("none.expr.", "TXT", additional=None, coredns=UNRELEASED, why="a condition that is false"),
    Case(
        "late.expr.",
        "AAAA",
        answer=["late.expr. 60 IN AAAA 2001:db8::1"],
        coredns=UNRELEASED,
        why="a condition before a variable",
    ),
    Case(
        "ab-7.more.",
        "TXT",
        answer=[
            'ab-7.more. 60 IN TXT "3.5 [ab-7 more ] ab-7 ab-7"',
            'ab-7.more. 60 IN TXT "big <no value> map[a:[ab b] n:7] 7 8"',
            'ab-7.more. 60 IN TXT "inside inside <no value>"',
        ],
        flags="AA",
        coredns=UNRELEASED,
        why="in Python: other types",
    ),
    Case(
        "ab-3.more.",
        "TXT",
        answer=[
            'ab-3.more. 60 IN TXT "1.5 [ab-3 more ] ab-3 ab-3"',
            'ab-3.more. 60 IN TXT "3 <no value> map[a:[ab b] n:3] 3 8"',
            'ab-3.more. 60 IN TXT "inside inside <no value>"',
        ],
        tcp=True,
        coredns=UNRELEASED,
        why="in Python: one of two types",
    ),
    Case("ab-12.more.", "TXT", additional=None, coredns=UNRELEASED, why="in Python: a condition that is not true"),
    Case(
        "fails.more.",
        "TXT",
        rcode="SERVFAIL",
        flags="",
        coredns=UNRELEASED,
        why="in Python: a failure does not fall through",
    ),
]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    # Each has a port of its own for metrics.
    theirs, ours = (text.replace("METRICS_PORT", str(free_port())) for text in (COREFILE, COREFILE + EXPRESSIONS))
    patched = pytest.MonkeyPatch()
    patched.setenv("TARGET", "192.0.2.99")
    with Both(tmp_path_factory.mktemp("template"), ours, coredns=theirs, environ={"TARGET": "192.0.2.99"}) as both:
        yield both
    patched.undo()


@pytest.mark.parametrize("case", [*CASES, *EXPRESSION_CASES], ids=ids)
def test_answers(both: Both, case: Case) -> None:
    both.check(case)


def metrics(both: Both) -> str:
    match = re.search(r"prometheus (127.0.0.1:[0-9]+)", both.fastdns.corefile.read_text())
    assert match is not None
    with urllib.request.urlopen(f"http://{match[1]}/metrics", timeout=5) as answer:
        return str(answer.read().decode())


def test_metrics(both: Both) -> None:
    ask(Case("ip-10-1-2-3.example."), both.fastdns.port)
    ask(Case("ip-10-1-2-999.example."), both.fastdns.port)
    labels = f'server="dns://:{both.fastdns.port}",type="A",view="",zone="example."'
    wanted = [
        f'coredns_template_matches_total{{class="IN",{labels}}} ',
        'coredns_template_rr_failures_total{class="IN",section="answer",'
        f'server="dns://:{both.fastdns.port}",template="{{{{.Name}}}} 60 IN A {{{{.Group.a}}}}.{{{{.Group.b}}}}.'
        '{{.Group.c}}.{{.Group.d}}",type="A",view="",zone="example."} ',
    ]
    wait_until(lambda: all(line in metrics(both) for line in wanted), 10, "the metrics")


def test_the_log_says_what_runs_in_python(both: Both) -> None:
    assert "runs in Python, slower" in both.fastdns.log


def test_the_log_says_which_template_failed(both: Both) -> None:
    ask(Case("a.wild.", "SPF"), both.fastdns.port)
    ask(Case("a.wild.", "NS"), both.fastdns.port)
    wanted = (
        "[ERROR] plugin/errors: 2 a.wild. SPF: plugin/template: a template failed: answer {{.Name}} {{.Foo}}",
        "[ERROR] plugin/errors: 2 a.wild. NS: plugin/template: a template made no resource record: answer no rec",
    )
    wait_until(lambda: all(line in both.fastdns.log for line in wanted), 10, "the log")


def test_a_name_that_is_not_utf8_is_answered_in_python(both: Both) -> None:
    """It got SERVFAIL: dnslib cannot read it."""
    query = dns.message.make_query(dns.name.Name((b"a\xff", b"python", b"")), "A")
    reply = dns.query.udp(query, "127.0.0.1", 5, both.fastdns.port)
    assert [rrset.to_text() for rrset in reply.answer] == [
        "a\\255.python. 60 IN CNAME ip-192-0-2-2.example.", "ip-192-0-2-2.example. 60 IN A 192.0.2.2",
    ]  # fmt: skip
    query = dns.message.make_query(dns.name.Name((b"a\xff", b"python", b"")), "MX")
    assert dns.query.udp(query, "127.0.0.1", 5, both.fastdns.port).rcode() == dns.rcode.SERVFAIL


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
def test_a_loop_of_aliases_across_blocks_shows_each_record_once(both: Both, tcp: bool) -> None:
    """It showed them again until questions stood eight deep in each other. CoreDNS sends no reply."""
    a, b, c = (f"x.loop-{one}. 60 IN CNAME x.loop-{to}." for one, to in ("ab", "bc", "cb"))
    for name, records in (("x.loop-a.", [a, b, c]), ("x.loop-b.", [b, c]), ("x.loop-c.", [b, c])):
        reply = ask(Case(name, tcp=tcp), both.fastdns.port)
        assert reply is not None and reply.rcode() == dns.rcode.NOERROR
        assert sorted(rrset.to_text().lower() for rrset in reply.answer) == [record.lower() for record in records]
