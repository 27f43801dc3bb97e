"""What names answer: fastdns and CoreDNS with the same etcd."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.plugins.beside import Both, Case, ids
from tests.plugins.etcd.support import Etcd, needs_etcd

pytestmark = needs_etcd

COREFILE = """\
sky.test:DNS_PORT other.test:DNS_PORT 10.in-addr.arpa:DNS_PORT {
    bind 127.0.0.1
    errors
    etcd sky.test 10.in-addr.arpa {
        endpoint ENDPOINT
    }
}
falls.test:DNS_PORT {
    bind 127.0.0.1
    etcd falls.test two.falls.test {
        endpoint ENDPOINT
        fallthrough two.falls.test
    }
    whoami
}
out.test:DNS_PORT {
    bind 127.0.0.1
    etcd {
        endpoint ENDPOINT
        path /elsewhere/..//outside/
    }
}
"""
SERVICES: dict[str, object] = {
    # Two instances of a service, and one of another family.
    "test/sky/web/a": {"host": "10.0.0.1", "port": 80},
    "test/sky/web/b": {"host": "10.0.0.2", "port": 80, "ttl": 60},
    "test/sky/web/six": {"host": "2001:db8::6", "port": 8080, "priority": 20},
    # Deeper ones.
    "test/sky/deep/one/two/three": {"host": "10.1.0.1", "port": 1},
    "test/sky/deep/x": {"host": "10.1.0.2", "port": 2},
    # A key that has keys below it.
    "test/sky/both": {"host": "10.2.0.1"},
    "test/sky/both/below": {"host": "10.2.0.2"},
    "test/sky/bothalike": {"host": "10.2.0.3"},
    # Weights and priorities.
    "test/sky/weights/a": {"host": "one.example.", "port": 1, "weight": 10},
    "test/sky/weights/b": {"host": "two.example", "port": 2, "weight": 20},
    "test/sky/weights/c": {"host": "10.3.0.1", "port": 3},
    "test/sky/weights/d": {"host": "10.3.0.2", "port": 4, "priority": 5, "weight": 1},
    "test/sky/weights/e": {"host": "10.3.0.3", "port": 5, "priority": 5, "weight": 999},
    "test/sky/weights/f": {"host": "10.3.0.4", "port": -1},
    # Addresses that are there twice.
    "test/sky/twice/a": {"host": "10.4.0.1", "port": 80},
    "test/sky/twice/b": {"host": "10.4.0.1", "port": 443},
    # Hosts that are names.
    "test/sky/alias": {"host": "web.sky.test", "ttl": 77},
    "test/sky/chain/a": {"host": "alias.sky.test."},
    "test/sky/lost": {"host": "nothing.sky.test"},
    "test/sky/loop/a": {"host": "b.loop.sky.test"},
    "test/sky/loop/b": {"host": "a.loop.sky.test"},
    "test/sky/self": {"host": "x.self.sky.test"},
    "test/sky/away": {"host": "there.out.test"},
    "test/sky/nowhere": {"host": "nothing.out.test"},
    "test/sky/apart": {"host": "sky.test"},
    # Texts.
    "test/sky/text/a": {"text": "one"},
    "test/sky/text/b": {"text": "two words"},
    "test/sky/text/c": {"text": "one"},
    "test/sky/text/d": {"host": "10.5.0.1", "text": "not said"},
    "test/sky/text/e": {"host": "named.sky.test", "text": "three"},
    "test/sky/texts/alias": {"host": "text.sky.test"},
    "test/sky/long": {"text": "x" * 600},
    "test/sky/escaped": {"text": 'say \\"hi\\" \\065'},
    # Mail.
    "test/sky/mail/a": {"host": "mx.sky.test", "priority": 5, "mail": True},
    "test/sky/mail/b": {"host": "10.6.0.2", "mail": True},
    "test/sky/mail/c": {"host": "10.6.0.3"},
    "test/sky/mx": {"host": "10.6.0.1"},
    # Labels that are taken from targets.
    "test/sky/strip/a": {"host": "10.7.0.1", "port": 1, "targetstrip": 1},
    "test/sky/strip/b": {"host": "x.y.example", "port": 2, "targetstrip": 2},
    "test/sky/strip/c": {"host": "x.y.example", "port": 3, "targetstrip": 3},
    # Groups.
    "test/sky/group/a": {"host": "10.8.0.1", "group": "g1"},
    "test/sky/group/sub/b": {"host": "10.8.0.2", "group": "g1"},
    "test/sky/group/sub/c": {"host": "10.8.0.3", "group": "g2"},
    "test/sky/group/sub/d": {"host": "10.8.0.4"},
    "test/sky/torn/a": {"host": "10.8.1.1", "group": "g1"},
    "test/sky/torn/b": {"host": "10.8.1.2", "group": "g2"},
    # Nameservers, and addresses of the zone itself.
    "test/sky/dns/ns/ns1": {"host": "192.0.2.1", "ttl": 50},
    "test/sky/dns/ns/ns2/a": {"host": "192.0.2.2", "targetstrip": 1},
    "test/sky/dns/ns/ns2/b": {"host": "2001:db8::2", "targetstrip": 1},
    "test/sky/dns/apex/a": {"host": "192.0.2.10"},
    # Reverse names.
    "arpa/in-addr/10/0/0/1": {"host": "web.sky.test"},
    "arpa/in-addr/10/0/0/2": {"host": "10.0.0.2"},
    # Other zones.
    "test/falls/here": {"host": "10.9.0.1"},
    "test/falls/two/here": {"host": "10.9.0.2"},
    # Null, other cases of fields, and fields that nobody knows.
    "test/sky/odd/a": {"HOST": "10.10.0.1", "ttl": None, "unknown": [1, {}]},
    "test/sky/odd/b": None,
    "test/sky/odd/c": {},
    "test/sky/mapped": {"host": "::ffff:10.11.0.1"},
}
OUTSIDE: dict[str, object] = {
    "test/out/there": {"host": "198.51.100.1"},
    "test/out/srv": {"host": "there.out.test", "port": 5, "targetstrip": 0},
}


def a(name: str, *addresses: str, ttl: int = 300) -> list[str]:
    return [f"{name} {ttl} IN {'AAAA' if ':' in address else 'A'} {address}" for address in addresses]


ADDRESSES = [
    Case("a.web.sky.test.", answer=a("a.web.sky.test.", "10.0.0.1"), flags="AA", why="its own key"),
    Case("web.sky.test.", answer=[*a("web.sky.test.", "10.0.0.1"), *a("web.sky.test.", "10.0.0.2", ttl=60)],
         why="all below it"),
    Case("WeB.sky.TEST.", "AAAA", answer=a("WeB.sky.TEST.", "2001:db8::6"), why="another family, another case"),
    Case("deep.sky.test.", answer=a("deep.sky.test.", "10.1.0.1", "10.1.0.2"), why="however deep"),
    Case("two.one.deep.sky.test.", answer=a("two.one.deep.sky.test.", "10.1.0.1"), why="no key, keys below"),
    Case("both.sky.test.", answer=a("both.sky.test.", "10.2.0.2"), why="keys below, and not its own"),
    Case("bothalike.sky.test.", answer=a("bothalike.sky.test.", "10.2.0.3"), why="a name that begins alike"),
    Case("twice.sky.test.", answer=a("twice.sky.test.", "10.4.0.1"), why="once, though twice there"),
    Case("mapped.sky.test.", answer=a("mapped.sky.test.", "10.11.0.1"), why="an IPv4 address in IPv6"),
    Case("odd.sky.test.", answer=a("odd.sky.test.", "10.10.0.1"), why="fields of any case, null and unknown ones"),
    Case("*.web.sky.test.", "AAAA", answer=a("*.web.sky.test.", "2001:db8::6"), why="a wildcard"),
    Case("any.deep.sky.test.", answer=a("any.deep.sky.test.", "10.1.0.1", "10.1.0.2"), why="the other wildcard"),
    Case("one.*.sky.test.", answer=a("one.*.sky.test.", "10.1.0.1"), why="a wildcard in the middle"),
    Case("two.*.deep.sky.test.", answer=a("two.*.deep.sky.test.", "10.1.0.1"), why="and above a name"),
    Case("sky.test.", answer=a("sky.test.", "192.0.2.10"), why="the zone's own addresses"),
    Case("falls.test.", answer=a("falls.test.", "10.9.0.1", "10.9.0.2"), why="all of the zone, for want of them"),
    Case("there.out.test.", answer=a("there.out.test.", "198.51.100.1"), why="another path"),
]  # fmt: skip

ALIASES = [
    Case(
        "alias.sky.test.",
        answer=[
            "alias.sky.test. 77 IN CNAME web.sky.test.",
            *a("web.sky.test.", "10.0.0.1"),
            *a("web.sky.test.", "10.0.0.2", ttl=60),
        ],
        why="a host that is a name of the zone",
    ),
    Case(
        "chain.sky.test.",
        "AAAA",
        answer=[
            "chain.sky.test. 300 IN CNAME alias.sky.test.",
            "alias.sky.test. 77 IN CNAME web.sky.test.",
            *a("web.sky.test.", "2001:db8::6"),
        ],
        why="and so on",
    ),
    Case(
        "away.sky.test.",
        answer=["away.sky.test. 300 IN CNAME there.out.test.", *a("there.out.test.", "198.51.100.1")],
        why="through the whole server",
    ),
    Case(
        "nowhere.sky.test.",
        answer=["nowhere.sky.test. 300 IN CNAME nothing.out.test."],
        why="what is elsewhere is shown, also where it leads to nothing",
    ),
    Case(
        "apart.sky.test.",
        answer=["apart.sky.test. 300 IN CNAME sky.test.", *a("sky.test.", "192.0.2.10")],
        why="the zone's own name as a target",
    ),
    Case("alias.sky.test.", "CNAME", answer=["alias.sky.test. 77 IN CNAME web.sky.test."], why="the alias itself"),
    Case("lost.sky.test.", "CNAME", answer=["lost.sky.test. 300 IN CNAME nothing.sky.test."], why="a lost one"),
    Case("e.text.sky.test.", "CNAME", answer=["e.text.sky.test. 300 IN CNAME named.sky.test."], why="with a text"),
]
TEXTS = [
    Case(
        "text.sky.test.",
        "TXT",
        answer=[
            'text.sky.test. 300 IN TXT "one"',
            'text.sky.test. 300 IN TXT "two words"',
            'text.sky.test. 300 IN TXT "three"',
        ],
        why="once, and none of an address",
    ),
    Case(
        "texts.sky.test.",
        "TXT",
        answer=[
            "texts.sky.test. 300 IN CNAME text.sky.test.",
            'text.sky.test. 300 IN TXT "one"',
            'text.sky.test. 300 IN TXT "two words"',
            'text.sky.test. 300 IN TXT "three"',
        ],
        why="of a name that it leads to",
    ),
    Case(
        "long.sky.test.",
        "TXT",
        tcp=True,
        answer=[f'long.sky.test. 300 IN TXT "{"x" * 255}" "{"x" * 255}" "{"x" * 90}"'],
        why="in strings of 255 bytes",
    ),
    Case("escaped.sky.test.", "TXT", answer=['escaped.sky.test. 300 IN TXT "say \\"hi\\" A"'], why="escapes"),
]
SERVERS = [
    Case(
        "a.web.sky.test.",
        "SRV",
        answer=["a.web.sky.test. 300 IN SRV 10 100 80 a.web.sky.test."],
        additional=a("a.web.sky.test.", "10.0.0.1"),
        why="an address is found by the name of its key",
    ),
    Case(
        "web.sky.test.",
        "SRV",
        answer=[
            "web.sky.test. 300 IN SRV 10 50 80 a.web.sky.test.",
            "web.sky.test. 60 IN SRV 10 50 80 b.web.sky.test.",
            "web.sky.test. 300 IN SRV 20 100 8080 six.web.sky.test.",
        ],
        additional=[
            *a("a.web.sky.test.", "10.0.0.1"),
            *a("b.web.sky.test.", "10.0.0.2", ttl=60),
            *a("six.web.sky.test.", "2001:db8::6"),
        ],
        why="weights of each priority",
    ),
    Case(
        "weights.sky.test.",
        "SRV",
        answer=[
            # 230 in all, the one without a port included.
            "weights.sky.test. 300 IN SRV 10 4 1 one.example.",
            "weights.sky.test. 300 IN SRV 10 8 2 two.example.",
            "weights.sky.test. 300 IN SRV 10 43 3 c.weights.sky.test.",
            "weights.sky.test. 300 IN SRV 5 1 4 d.weights.sky.test.",
            "weights.sky.test. 300 IN SRV 5 99 5 e.weights.sky.test.",
        ],
        additional=None,
        why="weights that are said",
    ),
    Case(
        "twice.sky.test.",
        "SRV",
        answer=[
            "twice.sky.test. 300 IN SRV 10 50 80 a.twice.sky.test.",
            "twice.sky.test. 300 IN SRV 10 50 443 b.twice.sky.test.",
        ],
        additional=[*a("a.twice.sky.test.", "10.4.0.1"), *a("b.twice.sky.test.", "10.4.0.1")],
        why="two ports",
    ),
    Case(
        "strip.sky.test.",
        "SRV",
        answer=[
            "strip.sky.test. 300 IN SRV 10 33 1 strip.sky.test.",
            "strip.sky.test. 300 IN SRV 10 33 2 example.",
            "strip.sky.test. 300 IN SRV 10 33 3 x.y.example.",
        ],
        additional=a("strip.sky.test.", "10.7.0.1"),
        why="labels that are taken from targets, and too many",
    ),
    Case(
        "away.sky.test.",
        "SRV",
        answer=["away.sky.test. 300 IN SRV 10 100 0 there.out.test."],
        additional=a("there.out.test.", "198.51.100.1"),
        why="addresses from elsewhere",
    ),
    Case(
        "chain.sky.test.",
        "SRV",
        answer=["chain.sky.test. 300 IN SRV 10 100 0 alias.sky.test."],
        additional=[
            "alias.sky.test. 77 IN CNAME web.sky.test.",
            *a("web.sky.test.", "10.0.0.1"),
            *a("web.sky.test.", "10.0.0.2", ttl=60),
            *a("web.sky.test.", "2001:db8::6"),
        ],
        why="addresses of both families",
        coredns="of a target in the zone, it adds A records only",
    ),
    Case(
        "mail.sky.test.",
        "MX",
        answer=["mail.sky.test. 300 IN MX 5 mx.sky.test.", "mail.sky.test. 300 IN MX 10 b.mail.sky.test."],
        additional=[*a("mx.sky.test.", "10.6.0.1"), *a("b.mail.sky.test.", "10.6.0.2")],
        why="what is mail",
    ),
    Case(
        "sky.test.",
        "NS",
        answer=["sky.test. 50 IN NS ns1.ns.dns.sky.test.", "sky.test. 300 IN NS ns2.ns.dns.sky.test."],
        additional=[
            *a("ns1.ns.dns.sky.test.", "192.0.2.1", ttl=50),
            *a("ns2.ns.dns.sky.test.", "192.0.2.2"),
            *a("ns2.ns.dns.sky.test.", "2001:db8::2"),
        ],
        why="nameservers, one with two addresses",
    ),
    Case(
        "1.0.0.10.in-addr.arpa.", "PTR", answer=["1.0.0.10.in-addr.arpa. 300 IN PTR web.sky.test."], why="reverse"
    ),
]
GROUPS = [
    Case(
        "group.sky.test.",
        answer=a("group.sky.test.", "10.8.0.1", "10.8.0.2", "10.8.0.4"),
        why="the group of the shortest key, and what has none",
    ),
    Case(
        "sub.group.sky.test.",
        answer=a("sub.group.sky.test.", "10.8.0.2", "10.8.0.3", "10.8.0.4"),
        why="two groups on one level",
    ),
    Case("torn.sky.test.", answer=a("torn.sky.test.", "10.8.1.1", "10.8.1.2"), why="the same without a third one"),
]
# The SOA record has another serial: test_soa looks at it.
NEGATIVE = [
    Case("none.sky.test.", rcode="NXDOMAIN", authority=None, flags="AA", why="no key"),
    Case("none.web.sky.test.", "HINFO", rcode="NXDOMAIN", authority=None, why="no key, of any type"),
    Case("we.sky.test.", rcode="NXDOMAIN", authority=None, why="a key that begins so"),
    Case("web.sky.test.", "HINFO", authority=None, flags="AA", why="there, but not of the type"),
    Case("deep.sky.test.", "MX", authority=None, why="keys below it, none of them mail"),
    Case("lost.sky.test.", authority=None, why="an alias that leads to nothing"),
    Case("a.loop.sky.test.", authority=None, why="aliases in a circle"),
    Case("self.sky.test.", authority=None, why="an alias to a name below it"),
    Case("2.0.0.10.in-addr.arpa.", "PTR", authority=None, why="a host that is no name"),
    Case("3.0.0.10.in-addr.arpa.", "PTR", rcode="NXDOMAIN", authority=None, why="no key"),
    Case("f.weights.sky.test.", "SRV", authority=None, why="no port"),
    Case("*.none.sky.test.", rcode="NXDOMAIN", authority=None, why="a wildcard below nothing"),
    Case("none.*.sky.test.", authority=None, why="a wildcard that nothing fits: what is above it is there"),
    Case("b.odd.sky.test.", authority=None, why="null: a key without anything"),
    Case(
        "web.sky.test.",
        "CNAME",
        authority=None,
        why="a name with keys below it exists",
        coredns="it denies the name (RFC 8020)",
    ),
    Case(
        "0.0.10.in-addr.arpa.",
        "PTR",
        authority=None,
        why="the same of reverse names",
        coredns="it denies the name (RFC 8020)",
    ),
    Case(
        "10.in-addr.arpa.",
        "NS",
        authority=None,
        why="a zone's own name exists",
        coredns="it denies the name of the zone",
    ),
    Case(
        "web.sky.test.",
        "SOA",
        authority=None,
        why="no zone begins here",
        coredns="it answers with the SOA record of another name",
    ),
    Case(
        "none.sky.test.",
        "SOA",
        rcode="NXDOMAIN",
        authority=None,
        why="nor here",
        coredns="it answers with the SOA record of another name",
    ),
    Case(
        "sky.test.",
        "AXFR",
        rcode="REFUSED",
        tcp=True,
        why="there are no transfers (RFC 5936 section 2.2.1)",
        coredns="it answers with no records",
    ),
    Case("x.other.test.", rcode="SERVFAIL", why="no zone of the plugin, and no plugin behind it"),
    Case("none.falls.test.", rcode="NXDOMAIN", authority=None, why="a zone whose names do not go on"),
]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    with Etcd(tmp_path_factory.mktemp("etcd")) as etcd:
        etcd.put_all({f"/skydns/{key}": value for key, value in SERVICES.items()})
        etcd.put_all({f"/outside/{key}": value for key, value in OUTSIDE.items()})
        with Both(tmp_path_factory.mktemp("both"), COREFILE.replace("ENDPOINT", etcd.url)) as both:
            yield both


@pytest.mark.parametrize("case", ADDRESSES, ids=ids)
def test_addresses(both: Both, case: Case) -> None:
    both.check(case)


@pytest.mark.parametrize("case", ALIASES, ids=ids)
def test_aliases(both: Both, case: Case) -> None:
    both.check(case)


@pytest.mark.parametrize("case", TEXTS, ids=ids)
def test_texts(both: Both, case: Case) -> None:
    both.check(case)


@pytest.mark.parametrize("case", SERVERS, ids=ids)
def test_servers(both: Both, case: Case) -> None:
    both.check(case)


@pytest.mark.parametrize("case", GROUPS, ids=ids)
def test_groups(both: Both, case: Case) -> None:
    both.check(case)


@pytest.mark.parametrize("case", NEGATIVE, ids=ids)
def test_what_is_not_there(both: Both, case: Case) -> None:
    both.check(case)


def test_soa(both: Both) -> None:
    server = both.fastdns
    (answer,) = server.query("sky.test.", "SOA").answer
    (denial,) = server.query("none.sky.test.").authority
    assert str(answer) == str(denial)
    words = str(answer).split()
    assert words[:6] == ["sky.test.", "30", "IN", "SOA", "ns.dns.sky.test.", "hostmaster.sky.test."]
    assert abs(int(words[6]) - time.time()) < 600, "the time of the last change"
    assert words[7:] == ["7200", "1800", "86400", "30"]


def test_fallthrough(both: Both) -> None:
    server = both.fastdns
    assert server.addresses("here.two.falls.test.") == ["10.9.0.2"]
    reply = server.query("none.two.falls.test.")
    assert (reply.rcode(), bool(reply.additional)) == (0, True), "whoami has answered"
