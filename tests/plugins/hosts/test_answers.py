"""What hosts answers, beside CoreDNS: one server for all cases, a server block for each set of options."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.plugins.beside import Both, Case, ids

FILES = {
    "hosts.txt": """\
# a comment
127.0.0.1 localhost localhost.domain
::1 localhost localhost.domain   # another one
10.0.0.1\tone.test  ONE.alias.test\tother.example
::ffff:10.0.0.2 mapped.test
fe80::2%eth0 scoped.test
10.0.0.3 two.test
10.0.0.4 two.test
2001:db8::3 two.test
010.0.0.9 octal.test
10.0.0.300 range.test
10.0.0.9
notanaddress name.test
10.0.0.5 dot.test.
5.6.7.8 *.apps.test
5.6.7.9 exact.apps.test
::5 six.apps.test
10.0.0.6 under_score.test -dash.test
10.0.0.7 bad..name.test good.test
""",
    "sub/more.txt": "192.0.2.1 more.test\n",
}
COREFILE = """\
.:DNS_PORT {
    bind 127.0.0.1
    hosts hosts.txt {
        10.0.1.1 inline.test two.test
        10.0.1.2 *.apps.test
        192.0.2.9 y.inline.test
    }
    whoami
}
fall.test:DNS_PORT {
    bind 127.0.0.1
    hosts hosts.txt fall.test one.test {
        10.1.0.1 a.fall.test a.elsewhere.test
        10.1.0.2 *.w.fall.test
        ttl 60
        fallthrough down.fall.test up.fall.test
    }
    whoami
}
unsupported.test:DNS_PORT {
    bind 127.0.0.1
    hosts none.txt {
        10.2.0.1 a.unsupported.test b.sub.unsupported.test
        fallthrough sub.unsupported.test
        fallthrough_unsupported
    }
    whoami
}
quiet.test:DNS_PORT in-addr.arpa:DNS_PORT {
    bind 127.0.0.1
    root sub
    hosts more.txt quiet.test more.test {
        192.0.2.2 a.quiet.test
        no_reverse
        fallthrough
    }
    whoami
}
"""

WILDCARD = "a name that exists takes no part in a wildcard (RFC 4592 section 2.2.1)"


def nibbles(last: int) -> str:
    """The reverse name of the address ::LAST."""
    return f"{last}." + "0." * 31 + "ip6.arpa."


CASES = [
    # Addresses
    Case("localhost.", answer=["localhost. 3600 IN A 127.0.0.1"], flags="AA", why="an address of the file"),
    Case("localhost.", "AAAA", answer=["localhost. 3600 IN AAAA ::1"], flags="AA", why="the other family"),
    Case("one.alias.test.", answer=["one.alias.test. 3600 IN A 10.0.0.1"], why="an alias, written in capitals"),
    Case("ONE.Test.", answer=["ONE.Test. 3600 IN A 10.0.0.1"], why="a question in capitals",
         coredns="it spells the owner in small letters; the question's spelling is compressed"),
    Case("one.test.", answer=["one.test. 3600 IN A 10.0.0.1"], tcp=True, why="over TCP"),
    Case("mapped.test.", answer=["mapped.test. 3600 IN A 10.0.0.2"], why="a mapped IPv4 address"),
    Case("mapped.test.", "AAAA", flags="AA", why="which is none of IPv6"),
    Case("scoped.test.", "AAAA", answer=["scoped.test. 3600 IN AAAA fe80::2"], why="the zone of an address goes"),
    Case(
        "two.test.",
        answer=["two.test. 3600 IN A 10.0.0.3", "two.test. 3600 IN A 10.0.0.4", "two.test. 3600 IN A 10.0.1.1"],
        why="several lines, and one of the Corefile",
    ),
    Case("two.test.", "AAAA", answer=["two.test. 3600 IN AAAA 2001:db8::3"], why="and IPv6"),
    Case("inline.test.", answer=["inline.test. 3600 IN A 10.0.1.1"], why="a line of the Corefile"),
    Case("dot.test.", answer=["dot.test. 3600 IN A 10.0.0.5"], why="a dot at the end"),
    Case("under_score.test.", answer=["under_score.test. 3600 IN A 10.0.0.6"], why="an underscore"),
    Case("-dash.test.", answer=["-dash.test. 3600 IN A 10.0.0.6"], why="a dash"),
    Case("good.test.", answer=["good.test. 3600 IN A 10.0.0.7"], why="beside a bad name"),
    # No data, no name
    Case("one.test.", "AAAA", flags="AA", why="no address of this family: no data, without an SOA record"),
    Case("one.test.", "TXT", flags="AA", why="another type"),
    Case("one.test.", "ANY", flags="AA", why="ANY"),
    Case("octal.test.", rcode="SERVFAIL", why="leading zeros make no address"),
    Case("range.test.", rcode="SERVFAIL", why="no address"),
    Case("name.test.", rcode="SERVFAIL", why="a line without an address"),
    Case("none.test.", rcode="SERVFAIL", why="a name that is not there, without fallthrough"),
    Case("none.test.", "TXT", rcode="SERVFAIL", why="and another type"),
    Case("test.", rcode="SERVFAIL", why="a name with names below it"),
    Case(".", rcode="SERVFAIL", why="the root"),
    # Wildcards
    Case("x.apps.test.", answer=["x.apps.test. 3600 IN A 5.6.7.8", "x.apps.test. 3600 IN A 10.0.1.2"],
         why="a wildcard, of the file and of the Corefile"),
    Case("x.apps.test.", "AAAA", flags="AA", why="a wildcard without IPv6"),
    Case("*.apps.test.", answer=["*.apps.test. 3600 IN A 5.6.7.8", "*.apps.test. 3600 IN A 10.0.1.2"],
         why="itself"),
    Case("exact.apps.test.", answer=["exact.apps.test. 3600 IN A 5.6.7.9"], why="a name goes before a wildcard",
         coredns=WILDCARD),
    Case("six.apps.test.", flags="AA", why="a name with IPv6 only goes before it, too", coredns=WILDCARD),
    Case("six.apps.test.", "AAAA", answer=["six.apps.test. 3600 IN AAAA ::5"], why="which it has"),
    Case("x.y.apps.test.", rcode="SERVFAIL", why="a wildcard is for one label"),
    Case("apps.test.", rcode="SERVFAIL", why="a wildcard is not for the name above"),
    # Reverse
    Case("1.0.0.10.in-addr.arpa.", "PTR", rcode="NOERROR", answer=(), authority=None, additional=None,
         why="no_reverse: the next plugin's, here whoami"),
    Case(nibbles(1), "PTR",
         answer=[f"{nibbles(1)} 3600 IN PTR localhost.",
                 f"{nibbles(1)} 3600 IN PTR localhost.domain."],
         flags="AA", why="the names of an IPv6 address"),
    Case(nibbles(5), "PTR",
         answer=[f"{nibbles(5)} 3600 IN PTR six.apps.test."],
         why="and of another one"),
    Case(nibbles(9), "PTR", flags="AA",
         additional=None, why="an address that is not there is the next plugin's, without fallthrough"),
    Case(nibbles(1), rcode="SERVFAIL",
         why="a name that is only pointed from has no addresses"),
    Case("one.test.", "PTR", additional=None, why="PTR of a name that is no address is the next plugin's"),
    # Zones, ttl, fallthrough
    Case("a.fall.test.", answer=["a.fall.test. 60 IN A 10.1.0.1"], flags="AA", why="ttl"),
    Case("a.fall.test.", "MX", flags="AA", why="no data in a block with fallthrough"),
    Case("none.fall.test.", rcode="SERVFAIL", why="outside of the zones of fallthrough"),
    Case("x.down.fall.test.", flags="AA", additional=None, why="in a zone of fallthrough"),
    Case("up.fall.test.", "TXT", flags="AA", additional=None, why="and another type"),
    Case("q.w.fall.test.", answer=["q.w.fall.test. 60 IN A 10.1.0.2"], why="a wildcard"),
    Case("a.elsewhere.test.", rcode="SERVFAIL", why="a line for a name in no zone of the block"),
    # fallthrough_unsupported
    Case("a.unsupported.test.", answer=["a.unsupported.test. 3600 IN A 10.2.0.1"], why="a file that is missing"),
    Case("a.unsupported.test.", "TXT", flags="AA", why="outside of fallthrough's zones"),
    Case("b.sub.unsupported.test.", "TXT", flags="AA", additional=None, why="in them: the next plugin's"),
    Case("b.sub.unsupported.test.", "AAAA", flags="AA", why="an address that is not there is no unsupported type"),
    Case("b.sub.unsupported.test.", "HTTPS", flags="AA", additional=None, why="HTTPS"),
    # root, no_reverse
    Case("a.quiet.test.", answer=["a.quiet.test. 3600 IN A 192.0.2.2"], why="a file below root"),
    Case("1.2.0.192.in-addr.arpa.", "PTR", flags="AA", additional=None, why="no_reverse"),
]  # fmt: skip


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    with Both(tmp_path_factory.mktemp("hosts"), COREFILE, FILES) as both:
        yield both


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_answers(both: Both, case: Case) -> None:
    both.check(case)
