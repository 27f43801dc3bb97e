"""One Corefile with a block for each set of rules, beside CoreDNS, with one upstream for both."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.plugins.beside import Both, Case, ids
from tests.plugins.forward.engine.support import Upstream
from tests.plugins.rewrite.support import SOA, Table

A = "10.0.0.1"


def a(name: str, ttl_s: int = 300) -> str:
    """The one address that names have here."""
    return f"{name} {ttl_s} IN A {A}"


# By zone: the rules of its block.
BLOCKS = {
    "exact.test": "rewrite name from.exact.test to.exact.test",
    "exactly.test": "rewrite stop name exact from.exactly.test. to.exactly.test",
    "prefix.test": "rewrite name prefix from. to.",
    "prefixauto.test": "rewrite name prefix from to answer auto",
    "suffix.test": "rewrite name suffix .suffix.test. .other.test.",
    "suffixauto.test": "rewrite name suffix suffixauto.test other.test answer auto",
    "glued.test": "rewrite name suffix .in.glued.test x.other.test answer auto",
    "substring.test": "rewrite name substring b.substring.test c.substring.test",
    "substrings.test": "rewrite name substring ab. c. answer auto",
    "regex.test": r"rewrite name regex (.*)-(us-west-1)\.regex\.test {1}.service.{2}.other.test",
    "answername.test": r"""rewrite stop {
        name regex (.*)-(us-west-1)\.answername\.test {1}.service.{2}.other.test
        answer name (.*)\.service\.(us-west-1)\.other\.test {1}-{2}.answername.test
    }""",
    "regexauto.test": r"rewrite name regex (.*)\.regexauto\.test {1}.other.test answer auto",
    "gardener.test": r"""rewrite stop {
        name regex (^(?:[^\.]+\.)+)svc\.gardener\.test {1}svc.cluster.test
        answer name (^(?:[^\.]+\.)+)svc\.cluster\.test {1}svc.gardener.test
        answer value (^(?:[^\.]+\.)+)svc\.cluster\.test {1}svc.gardener.test
    }""",
    "modeless.test": r"""rewrite {
        name regex (.*)\.modeless\.test {1}.other.test
        answer name (.*)\.other\.test {1}.modeless.test
    }""",
    "value.test": r"""rewrite stop {
        name regex (.*)\.value\.test {1}.cluster.test
        answer name (.*)\.cluster\.test {1}.value.test
        answer value (.*)\.cluster\.test {1}.value.test
    }""",
    "valueauto.test": r"""rewrite stop {
        name suffix .valueauto.test .cluster.test answer auto
        answer value (.*)\.mail\.test {1}.post.test
    }""",
    "chained.test": r"""rewrite continue name suffix .chained.test .middle.test answer auto
        rewrite stop name suffix .middle.test .cluster.test answer auto""",
    "reverse.test": r"""rewrite continue {
            name regex (.*)\.reverse\.test {1}.one.test
            answer name (.*)\.one\.test {1}.two.test
        }
        rewrite stop name regex (.*)\.one\.test {1}.other.test answer name (.*)\.other\.test {1}.one.test""",
    "10.in-addr.arpa": r"""rewrite stop {
        name suffix .arpa .arpa
        answer name auto
        answer value (.*)\.service\.consul\. {1}.coredns.rocks.
    }""",
    "ttl.test": """rewrite ttl range.ttl.test. 30-300
        rewrite ttl exact ceil.ttl.test -30
        rewrite ttl prefix floor 30-
        rewrite ttl suffix .to.ttl.test 15
        rewrite ttl substring inside. 16
        rewrite ttl regex (.*)\\.re\\.ttl\\.test 17""",
    "ttls.test": """rewrite continue ttl suffix .ttls.test 100-
        rewrite continue ttl suffix .ttls.test -50
        rewrite name name.ttls.test a.other.test""",
    "rcode.test": """rewrite rcode exact servfail.rcode.test SERVFAIL NOERROR
        rewrite rcode prefix number. 2 0
        rewrite rcode suffix .nx.rcode.test NXDOMAIN NOERROR
        rewrite rcode substring inside. refused notimp
        rewrite rcode regex (.*)\\.re\\.rcode\\.test 0 5""",
    "type.test": "rewrite type AAAA A",
    "class.test": "rewrite class CH IN",
    "classes.test": """rewrite continue class CH HS
        rewrite continue class HS IN
        rewrite name suffix .classes.test .other.test answer auto""",
    "any.test": """rewrite type ANY HINFO
        rewrite name any.test a.other.test""",
    "continue.test": """rewrite continue name a.continue.test b.continue.test
        rewrite continue type AAAA A
        rewrite name b.continue.test a.other.test""",
    "illegal.test": """rewrite name a.illegal.test a..test
        rewrite name regex (.*)long\\.illegal\\.test {1}SIXTY_FIVE.test""".replace("SIXTY_FIVE", "x" * 65),
    "alias.test": r"""rewrite continue cname exact def.cdn.test. xyz.cdn.test.
        rewrite continue cname prefix chat. bard.
        rewrite continue cname suffix uvw. xyz.
        rewrite continue cname substring efgh zzzz.www
        rewrite continue cname regex (.*)\.web\.(.*)\.site\. {1}.webapp.{2}.org.""",
    ".": "",
}

RECORDS = {
    **{
        (name, "A"): [a(name)]
        for name in (
            "to.exact.test.",
            "to.exactly.test.",
            "to.prefix.test.",
            "to.prefixauto.test.",
            "a.other.test.",
            "a.class.test.",
            "ax.other.test.",
            "a.c.substring.test.",
            "c.c.substrings.test.",
            "ftp.service.us-west-1.other.test.",
            "a.continue.test.",
            "b.cluster.test.",
            "xyz.cdn.test.",
            "bard.cdn.test.",
            "www.xyz.",
            "abcd.zzzz.www.test.",
            "orders.webapp.eu.org.",
            "a.to.ttl.test.",
            "inside.ttl.test.",
            "a.re.ttl.test.",
            "a.re.rcode.test.",
            "nothing.exact.test.",
        )
    },
    ("web.svc.cluster.test.", "A"): [
        "web.svc.cluster.test. 300 IN CNAME pod.svc.cluster.test.",
        a("pod.svc.cluster.test."),
    ],
    ("a.cluster.test.", "SRV"): [
        "a.cluster.test. 5 IN SRV 0 100 80 srv.a.cluster.test.",
        "+srv.a.cluster.test. 5 IN A 10.0.0.2",
    ],
    ("a.cluster.test.", "MX"): [
        "a.cluster.test. 5 IN MX 1 mx.a.cluster.test.",
        "a.cluster.test. 5 IN MX 2 mx.mail.test.",
    ],
    ("a.cluster.test.", "NS"): ["a.cluster.test. 5 IN NS ns.a.cluster.test."],
    ("a.cluster.test.", "CNAME"): ["a.cluster.test. 5 IN CNAME b.cluster.test."],
    ("a.cluster.test.", "DNAME"): ["a.cluster.test. 5 IN DNAME b.cluster.test."],
    ("a.cluster.test.", "PTR"): ["a.cluster.test. 5 IN PTR b.cluster.test."],
    ("a.cluster.test.", "SOA"): ["a.cluster.test. 5 IN SOA ns.a.cluster.test. root.a.cluster.test. 1 2 3 4 5"],
    ("a.cluster.test.", "NAPTR"): [
        'a.cluster.test. 5 IN NAPTR 100 10 "S" "SIP+D2U" "!^.*$!sip:x@a.cluster.test!" _sip._udp.a.cluster.test.'
    ],
    ("a.cluster.test.", "TXT"): [
        'a.cluster.test. 5 IN TXT "b.cluster.test."',
        "NS cluster.test. 9 IN NS ns.cluster.test.",
    ],
    ("a.cluster.test.", "AFSDB"): ["a.cluster.test. 5 IN AFSDB 1 b.cluster.test."],
    ("30.30.30.10.in-addr.arpa.", "PTR"): ["30.30.30.10.in-addr.arpa. 60 IN PTR ftp-us-west-1.service.consul."],
    ("range.ttl.test.", "A"): [
        a("range.ttl.test.", 5),
        "range.ttl.test. 500 IN AAAA ::1",
        "NS ttl.test. 77 IN NS ns.ttl.test.",
    ],
    ("ceil.ttl.test.", "A"): [a("ceil.ttl.test.", 500), "ceil.ttl.test. 5 IN AAAA ::1"],
    ("floor.ttl.test.", "A"): [a("floor.ttl.test.", 5), "floor.ttl.test. 500 IN AAAA ::1"],
    ("a.ttls.test.", "A"): [a("a.ttls.test.", 70)],
    ("servfail.rcode.test.", "A"): ["!SERVFAIL"],
    ("number.rcode.test.", "A"): ["!SERVFAIL"],
    ("inside.rcode.test.", "A"): ["!REFUSED"],
    ("a.other.test.", "HINFO"): ['a.other.test. 300 IN HINFO "INTEL-64" "RHEL"'],
    ("a.any.test.", "HINFO"): ['a.any.test. 300 IN HINFO "INTEL-64" "RHEL"'],
    ("a.type.test.", "A"): [a("a.type.test.")],
    ("a.alias.test.", "A"): ["a.alias.test. 5 IN CNAME def.cdn.test.", "def.cdn.test. 5 IN A 1.2.3.4"],
    ("b.alias.test.", "A"): ["b.alias.test. 5 IN CNAME chat.cdn.test.", "chat.cdn.test. 5 IN A 1.2.3.4"],
    ("c.alias.test.", "A"): ["c.alias.test. 5 IN CNAME www.uvw.", "www.uvw. 5 IN A 1.2.3.4"],
    ("d.alias.test.", "A"): ["d.alias.test. 5 IN CNAME abcd.efgh.test.", "abcd.efgh.test. 5 IN A 1.2.3.4"],
    ("e.alias.test.", "A"): ["e.alias.test. 5 IN CNAME orders.web.eu.site.", "orders.web.eu.site. 5 IN A 1.2.3.4"],
    ("f.alias.test.", "A"): [
        "f.alias.test. 5 IN CNAME g.alias.test.",
        "g.alias.test. 5 IN CNAME www.uvw.",
        "www.uvw. 5 IN CNAME x.uvw.",
        "x.uvw. 5 IN A 1.2.3.4",
    ],
    ("g.alias.test.", "A"): ["g.alias.test. 5 IN CNAME nothing.uvw.", "nothing.uvw. 5 IN A 1.2.3.4"],
    ("h.alias.test.", "A"): ["h.alias.test. 5 IN CNAME other.cdn.test.", "other.cdn.test. 5 IN A 1.2.3.4"],
}

CASES = [
    Case("a.class.test.", qclass="CH", answer=[a("a.class.test.")], why="the class of records is IN"),
    Case("a.class.test.", answer=[a("a.class.test.")], why="another class"),
    Case("a.classes.test.", qclass="CH", answer=[a("a.classes.test.")], why="by two rules, and another name"),
    Case("from.exact.test.", answer=[a("from.exact.test.")], why="exact is the default, and answers auto"),
    Case(
        "FROM.Exact.Test.",
        answer=[a("FROM.Exact.Test.")],
        why="names match in any case",
        coredns="the owner's letters are those of the rule",
    ),
    Case("a.from.exact.test.", rcode="NXDOMAIN", authority=[SOA], why="a name below is another name"),
    Case("nothing.exact.test.", answer=[a("nothing.exact.test.")], why="other names are let pass"),
    Case("from.exact.test.", "TXT", rcode="NXDOMAIN", authority=[SOA], why="any type"),
    Case("from.exactly.test.", answer=[a("from.exactly.test.")], why="exact, with and without a dot"),
    Case("from.prefix.test.", answer=[a("to.prefix.test.")], why="prefix answers as it is answered"),
    Case("from.prefixauto.test.", answer=[a("from.prefixauto.test.")], why="prefix, answer auto"),
    Case("fromage.prefixauto.test.", rcode="NXDOMAIN", authority=[SOA], why="a prefix ends in a dot"),
    Case("a.suffix.test.", answer=[a("a.other.test.")], why="suffix"),
    Case("suffix.test.", rcode="NXDOMAIN", authority=[SOA], why="the suffix has a dot in front"),
    Case("a.suffixauto.test.", answer=[a("a.suffixauto.test.")], why="suffix, answer auto"),
    Case("a.in.glued.test.", answer=[a("a.in.glued.test.")], why="a suffix that is part of a label"),
    Case("a.b.substring.test.", answer=[a("a.c.substring.test.")], why="substring"),
    Case("ab.ab.substrings.test.", answer=[a("ab.ab.substrings.test.")], why="every occurrence; answer auto"),
    Case("ftp-us-west-1.regex.test.", answer=[a("ftp.service.us-west-1.other.test.")], why="the README's regex"),
    Case(
        "ftp-us-west-1.answername.test.",
        answer=[a("ftp-us-west-1.answername.test.")],
        why="the README's answer name",
    ),
    Case("a.regexauto.test.", answer=[a("a.regexauto.test.")], why="regex, answer auto"),
    Case(
        "web.svc.gardener.test.",
        answer=["web.svc.gardener.test. 300 IN CNAME pod.svc.gardener.test.", a("pod.svc.gardener.test.")],
        why="Gardener: names and values",
    ),
    Case("a.modeless.test.", answer=[a("a.modeless.test.")], why="a block without a mode"),
    Case(
        "a.value.test.",
        "SRV",
        answer=["a.value.test. 5 IN SRV 0 100 80 srv.a.value.test."],
        additional=["srv.a.value.test. 5 IN A 10.0.0.2"],
        why="targets and additional owners",
    ),
    Case(
        "a.value.test.",
        "MX",
        answer=["a.value.test. 5 IN MX 1 mx.a.value.test.", "a.value.test. 5 IN MX 2 mx.mail.test."],
        why="exchangers",
    ),
    Case("a.value.test.", "NS", answer=["a.value.test. 5 IN NS ns.a.value.test."], why="name servers"),
    Case("a.value.test.", "CNAME", answer=["a.value.test. 5 IN CNAME b.value.test."], why="aliases"),
    Case("a.value.test.", "DNAME", answer=["a.value.test. 5 IN DNAME b.value.test."], why="redirections"),
    Case("a.value.test.", "PTR", answer=["a.value.test. 5 IN PTR b.value.test."], why="pointers"),
    Case(
        "a.value.test.",
        "SOA",
        answer=["a.value.test. 5 IN SOA ns.a.value.test. root.a.cluster.test. 1 2 3 4 5"],
        why="of SOA the first name",
    ),
    Case(
        "a.value.test.",
        "NAPTR",
        answer=[
            'a.value.test. 5 IN NAPTR 100 10 "S" "SIP+D2U" "!^.*$!sip:x@a.cluster.test!" _sip._udp.a.value.test.'
        ],
        why="replacements",
    ),
    Case(
        "a.value.test.",
        "TXT",
        answer=['a.value.test. 5 IN TXT "b.cluster.test."'],
        authority=["cluster.test. 9 IN NS ns.value.test."],
        why="texts are no names; the authority section",
    ),
    Case(
        "a.value.test.",
        "AFSDB",
        answer=["a.value.test. 5 IN AFSDB 1 b.cluster.test."],
        why="names of other types stay",
    ),
    Case(
        "a.valueauto.test.",
        "MX",
        answer=["a.valueauto.test. 5 IN MX 1 mx.a.valueauto.test.", "a.valueauto.test. 5 IN MX 2 mx.post.test."],
        why="suffix auto, and a value",
    ),
    Case(
        "a.chained.test.",
        "SRV",
        answer=["a.chained.test. 5 IN SRV 0 100 80 srv.a.chained.test."],
        additional=["srv.a.chained.test. 5 IN A 10.0.0.2"],
        why="two rules, in reverse on the way back",
    ),
    Case("a.reverse.test.", answer=[a("a.two.test.")], why="answer rules run in reverse order"),
    Case(
        "30.30.30.10.in-addr.arpa.",
        "PTR",
        answer=["30.30.30.10.in-addr.arpa. 60 IN PTR ftp-us-west-1.coredns.rocks."],
        why="the README's values of PTR",
    ),
    Case(
        "range.ttl.test.",
        answer=[a("range.ttl.test.", 30), "range.ttl.test. 300 IN AAAA ::1"],
        authority=["ttl.test. 77 IN NS ns.ttl.test."],
        why="MIN-MAX, in all sections",
    ),
    Case("ceil.ttl.test.", answer=[a("ceil.ttl.test.", 30), "ceil.ttl.test. 5 IN AAAA ::1"], why="-MAX"),
    Case("floor.ttl.test.", answer=[a("floor.ttl.test.", 30), "floor.ttl.test. 500 IN AAAA ::1"], why="MIN-"),
    Case("a.to.ttl.test.", answer=[a("a.to.ttl.test.", 15)], why="SECONDS; suffix"),
    Case("inside.ttl.test.", answer=[a("inside.ttl.test.", 16)], why="substring"),
    Case("a.re.ttl.test.", answer=[a("a.re.ttl.test.", 17)], why="regex"),
    Case("a.ttls.test.", answer=[a("a.ttls.test.", 100)], why="the last ttl rule is applied first"),
    Case("servfail.rcode.test.", why="rcode of an empty reply"),
    Case("number.rcode.test.", why="codes as numbers; prefix"),
    Case("a.nx.rcode.test.", authority=[SOA], why="of a reply with records; suffix"),
    Case("inside.rcode.test.", rcode="NOTIMP", why="codes in any case; substring"),
    Case("a.re.rcode.test.", rcode="REFUSED", answer=[a("a.re.rcode.test.")], why="regex"),
    Case("b.re.rcode.test.", rcode="NXDOMAIN", authority=[SOA], why="another code stays"),
    Case("a.type.test.", "AAAA", answer=[a("a.type.test.")], why="type"),
    Case("a.type.test.", answer=[a("a.type.test.")], why="another type stays"),
    Case(
        "a.any.test.", "ANY", answer=['a.any.test. 300 IN HINFO "INTEL-64" "RHEL"'], why="the README's ANY to HINFO"
    ),
    Case("any.test.", "ANY", rcode="NXDOMAIN", authority=[SOA], why="the first rule that matches stops"),
    Case("a.continue.test.", "AAAA", answer=[a("a.continue.test.")], why="continue: three rules for one question"),
    Case("a.illegal.test.", rcode="SERVFAIL", why="an empty label"),
    Case("long.illegal.test.", rcode="SERVFAIL", why="a label of more than 63 bytes"),
    Case("a.alias.test.", answer=["a.alias.test. 5 IN CNAME xyz.cdn.test.", a("xyz.cdn.test.")], why="cname exact"),
    Case(
        "b.alias.test.", answer=["b.alias.test. 5 IN CNAME bard.cdn.test.", a("bard.cdn.test.")], why="cname prefix"
    ),
    Case("c.alias.test.", answer=["c.alias.test. 5 IN CNAME www.xyz.", a("www.xyz.")], why="cname suffix"),
    Case(
        "d.alias.test.",
        answer=["d.alias.test. 5 IN CNAME abcd.zzzz.www.test.", a("abcd.zzzz.www.test.")],
        why="cname substring",
    ),
    Case(
        "e.alias.test.",
        answer=["e.alias.test. 5 IN CNAME orders.webapp.eu.org.", a("orders.webapp.eu.org.")],
        why="cname regex",
    ),
    Case(
        "f.alias.test.",
        answer=["f.alias.test. 5 IN CNAME g.alias.test.", "g.alias.test. 5 IN CNAME www.xyz.", a("www.xyz.")],
        why="an alias in a chain",
        coredns="it also asks for the next alias, which is not in the reply any more, and loses the address",
    ),
    Case("g.alias.test.", answer=["g.alias.test. 5 IN CNAME nothing.xyz."], why="a target that does not exist"),
    Case(
        "h.alias.test.",
        answer=["h.alias.test. 5 IN CNAME other.cdn.test.", "other.cdn.test. 5 IN A 1.2.3.4"],
        why="an alias that no rule matches",
    ),
]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    table = Table(RECORDS)
    with Upstream(table, tcp=table) as upstream:
        corefile = "\n".join(
            f"{zone}:DNS_PORT {{\n        {rules}\n        forward . {upstream.to}\n}}"
            for zone, rules in BLOCKS.items()
        )
        with Both(tmp_path_factory.mktemp("rewrite"), corefile) as both:
            yield both


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_answers(both: Both, case: Case) -> None:
    both.check(case)


@pytest.mark.parametrize("name", ["from.exact.test.", "web.svc.gardener.test.", "f.alias.test."])
def test_answers_over_tcp(both: Both, name: str) -> None:
    case = next(case for case in CASES if case.qname == name)
    both.check(replace(case, tcp=True))
