"""Rules in a Corefile: which are taken, as what, and what is said of others. CoreDNS's own tables, and more."""

from __future__ import annotations

import re

import pytest

from fastdns.corefile import load
from fastdns.errors import CorefileError
from fastdns.plugins.rewrite.config import CnameRule, NameRule, NumberRule, RcodeRule, Rule, TtlRule
from fastdns.plugins.rewrite.edns0 import OptionRule
from tests.plugins.rewrite.steps import config_of

pytestmark = pytest.mark.native

REGEX = r"(.*)\.coredns\.rocks"
LONG = "a" * 10_001

GOOD: list[tuple[str, type[Rule]]] = [
    ("name a.com b.com", NameRule),
    ("name exact a.com b.com", NameRule),
    ("name prefix a.com b.com", NameRule),
    ("name suffix a.com b.com", NameRule),
    ("name substring a.com b.com", NameRule),
    (r"name regex ([a])\.com new-{1}.com", NameRule),
    ("NAME Regex a b", NameRule),
    (r"name regex (dns)\.(core) {2}.{1} answer name (core)\.(dns) {2}.{1}", NameRule),
    (r"name substring a.b b.a answer name (b)\.(a) {2}.{1}", NameRule),
    ("name regex srv1.coredns.rocks 10", NameRule),
    ("name suffix a.b c.d answer auto", NameRule),
    ("name exact a b answer value c d", NameRule),
    ("name exact a b answer name c d", NameRule),
    (f"name regex a b answer name {REGEX} {{1}}.x name {REGEX} {{1}}.x", NameRule),
    (f"name regex a b answer name {REGEX} {{1}}.x answer value {REGEX} {{1}}.x", NameRule),
    (f"name suffix a. b. answer value {REGEX} {{1}}.x value {REGEX} {{1}}.x", NameRule),
    (f"name suffix a. b. answer auto answer value {REGEX} {{1}}.x", NameRule),
    ("stop name a.com b.com", NameRule),
    ("continue name a.com b.com", NameRule),
    ("Continue name a.com b.com", NameRule),
    ("{\nname a.com b.com\n}", NameRule),
    ("stop {\nname regex foo bar\nanswer name bar foo\n}", NameRule),
    ("stop {\nname regex\nfoo\nbar\n}", NameRule),
    ("type any a", NumberRule),
    ("stop type NSAP-PTR a", NumberRule),
    ("class ch in", NumberRule),
    ("class any hs", NumberRule),
    ("ttl srv1 10", TtlRule),
    ("ttl exact srv15 15", TtlRule),
    (f"continue ttl regex {REGEX} 35", TtlRule),
    ("ttl suffix srv1 25", TtlRule),
    ("rcode a 2 0", RcodeRule),
    ("rcode exact a SERVFAIL noerror", RcodeRule),
    ("rcode exact a 23 BADCOOKIE", RcodeRule),
    ("rcode exact a NOTIMPL DSOTYPENI", RcodeRule),
    (f"continue rcode regex {REGEX} FORMERR NOERROR", RcodeRule),
    ("cname a b", CnameRule),
    ("cname prefix a b", CnameRule),
    (r"cname regex (.*)\.a {1}.{2}.b", CnameRule),
    ("edns0 local set 65518 abcdefg", OptionRule),
    ("edns0 local set 0177776 abcdefg", OptionRule),
    ("edns0 local set 0b11 a", OptionRule),
    ("edns0 local set 0xffee 0x", OptionRule),
    ("edns0 local append 0xffee abcdefg revert", OptionRule),
    ("edns0 local replace 0xffee abcdefg revert", OptionRule),
    ("edns0 local unset 0xffee", OptionRule),
    ("edns0 nsid set revert", OptionRule),
    ("edns0 nsid unset", OptionRule),
    ("continue edns0 local set 0xffee {server_port} revert", OptionRule),
    ("edns0 local set 0xffee {some-plugin/some-label}", OptionRule),
    ("edns0 subnet set 24 56", OptionRule),
    ("edns0 subnet append 0x18 070 revert", OptionRule),
    ("edns0 subnet unset", OptionRule),
]

BAD = [
    ("", "a rule begins with continue or stop, or with one of name, type"),
    ("stop", "a rule begins with"),
    ("continue", "a rule begins with"),
    ("{\n}", "a rule begins with"),
    ("foo", "invalid rule type 'foo'"),
    ("unknown-action name a.com b.com", "invalid rule type 'unknown-action'"),
    ("answer name a b", "must begin with a name rule"),
    ("stop {\nanswer name bar foo\nname regex foo bar\n}", "must begin with a name rule"),
    ("name", "needs the name that is matched"),
    ("name a.com", "needs the name that is matched"),
    ("name a.com b.com c.com", "match names by exact, prefix, suffix, substring, regex; got 'a.com'"),
    ("name substring a.com b.com c.com", "behind the names expected answer auto, answer name REGEX NAME or"),
    ("name a.com b.com {\nanswer auto\n}", "takes no options"),
    (r"name regex ([a]\.com new-{1}.com", "missing closing )"),
    ("name regex (.*).coredns.rocks {1}.{2}.coredns.rocks", "names 2 groups, and the regular expression"),
    ("name regex a {0}", "names 1 groups"),
    ("name exact {1} a", "names 1 groups"),
    ("name exact a *", "missing argument to repetition operator"),
    (f"name regex {LONG} b", "too long: 10001 > 10000"),
    ("name suffix a b answer", "behind the names expected answer auto, answer name REGEX NAME or"),
    ("name suffix a b answer name", "expected a regular expression, and the name"),
    ("name suffix a b answer other", "or answer value REGEX NAME; got 'other'"),
    ("name suffix a b answer auto answer", "got ''"),
    ("name regex a b NoAnswer name c d", "behind the names expected answer auto, answer name REGEX NAME or"),
    ("name regex a b answer ttl c d", "got 'ttl'"),
    ("name regex a b answer name c d too.long way.too.long", "got 'too.long'"),
    (f"name regex a b answer name {REGEX} {{1}}.{{2}}.x", "names 2 groups"),
    (f"name regex a b answer name {REGEX} {{1}}.x value {REGEX}", "expected a regular expression, and the name"),
    ("name suffix a b answer auto name c d", "answer auto cannot be combined with answer name"),
    (f"name suffix a b answer value {LONG} b", "too long"),
    ("stop {\nname regex foo bar\nanswer name bar foo\nname baz\n}", "expected a regular expression, and the name"),
    ("type", "exactly two arguments"),
    ("type a", "exactly two arguments"),
    ("type any a a", "exactly two arguments"),
    ("type ANY WV", "invalid type 'WV'"),
    ("type none a", "invalid type 'NONE'"),
    ("class IN", "exactly two arguments"),
    ("class ch in in", "exactly two arguments"),
    ("class XY IN", "invalid class 'XY'"),
    ("ttl a", "ttl rules take a name and seconds; got 1 argument"),
    ("ttl a b c d", "got 4"),
    ("ttl any a 5", "match names by"),
    ("ttl a 12345678901234567890", "invalid TTL"),
    ("ttl a b", "invalid TTL 'b'"),
    ("ttl a +1", "invalid TTL"),
    ("ttl a -", "invalid TTL '-'"),
    ("ttl a 2-1", "the smaller one first"),
    ("ttl a 5-10-20", "invalid TTL"),
    ("ttl a 4294967295-", "the smaller one first"),
    (f"ttl regex {LONG} 5", "too long"),
    ("ttl regex ( 5", "missing closing )"),
    ("rcode a 2", "rcode rules take a name and two response codes; got 2 arguments"),
    ("rcode exact a 2 1 0", "got 5"),
    ("rcode a random nothing", "invalid response code 'random'"),
    ("rcode a 24 0", "invalid response code '24'"),
    (f"rcode regex {LONG} 0 1", "too long"),
    ("cname a", "got 1"),
    ("cname a b c d", "got 4"),
    ("cname some a b", "match names by"),
    ("cname regex ( b", "missing closing )"),
    (f"cname regex {LONG} b", "too long"),
    ("edns0", "needs local, nsid or subnet, and an action"),
    ("edns0 local", "and an action"),
    ("edns0 unknown set", "invalid edns0 rule 'unknown'"),
    ("edns0 local foo 0xffee abc", "invalid action 'foo'"),
    ("edns0 local set", "a code and its data"),
    ("edns0 local set 0xffee", "a code and its data"),
    ("edns0 local set 0xffee revert", "a code and its data"),
    ("edns0 local set invalid abc", "from 0 to 65535, got 'invalid'"),
    ("edns0 local set 0x10000 abc", "from 0 to 65535"),
    ("edns0 local set 08 abc", "from 0 to 65535"),
    ("edns0 local set -1 abc", "from 0 to 65535"),
    ("edns0 local set 0xffee 0xabc", "no hexadecimal data"),
    ("edns0 local set 0xffee 0xgg", "no hexadecimal data"),
    (f"edns0 local set 0xffee {'x' * 509}", "at most 508 bytes of data, got 509"),
    ("edns0 local set 0xffee {dummy}", "unknown variable {dummy}; there are qname"),
    ("edns0 local set 0xffee {a/}", "names no value"),
    ("edns0 local unset 0xffee abc", "a local rule takes a code"),
    ("edns0 local unset 0xffee revert", "a local rule takes a code"),
    ("edns0 nsid set junk", "takes no data, got 'junk'"),
    ("edns0 nsid unset revert", "takes no data, got 'revert'"),
    ("edns0 subnet set 24", "the length of the IPv4 prefix and that of the IPv6 prefix"),
    ("edns0 subnet append 24 56 72", "the length of the IPv4 prefix"),
    ("edns0 subnet set -1 56", "IPv4 prefix must be a whole number from 0 to 32, got '-1'"),
    ("edns0 subnet set 33 56", "from 0 to 32"),
    ("edns0 subnet set 24 129", "from 0 to 128"),
    ("edns0 subnet unset 24 56", "takes no argument"),
    ("edns0 subnet unset revert", "takes no argument"),
]


@pytest.mark.parametrize(("rule", "kind"), GOOD, ids=[rule for rule, _ in GOOD])
def test_a_rule_is_taken(rule: str, kind: type[Rule]) -> None:
    (made,) = config_of(f"rewrite {rule}").rules
    assert type(made) is kind
    assert made.stop == ("continue" not in rule.lower())


@pytest.mark.parametrize(("rule", "message"), BAD, ids=[rule[:60] for rule, _ in BAD])
def test_a_rule_is_refused(rule: str, message: str) -> None:
    with pytest.raises(CorefileError, match=re.escape(message)) as caught:
        load(f". {{\nrewrite {rule}\n}}", "Here", environ={})
    assert str(caught.value).startswith("plugin/rewrite: Here:2 - ") or "\n" in rule


def test_a_mistake_names_its_line() -> None:
    with pytest.raises(CorefileError, match=r"^plugin/rewrite: Corefile:5 - .* invalid rule type 'b'"):
        load(". {\nrewrite name a b\n\n# b\nrewrite b\n}", environ={})


def test_rules_stay_in_their_order() -> None:
    rules = config_of("rewrite type A AAAA\nrewrite stop {\n class CH IN\n}\nrewrite ttl a 1-2").rules
    assert [type(rule) for rule in rules] == [NumberRule, NumberRule, TtlRule]


@pytest.mark.parametrize(
    ("text", "bounds"),
    [
        ("30-300", (30, 300)),
        ("-30", (0, 30)),
        ("30-", (30, 2**31 - 1)),
        ("30", (30, 30)),
        ("4294967295", (2**31 - 1, 2**31 - 1)),
    ],
)
def test_ttl_bounds(text: str, bounds: tuple[int, int]) -> None:
    """What is over the maximum of RFC 2181 section 8 is the maximum."""
    (rule,) = config_of(f"rewrite ttl a {text}").rules
    assert isinstance(rule, TtlRule)
    assert (rule.low_s, rule.high_s) == bounds


def test_groups_of_a_replacement() -> None:
    """{0} is all that matches; a group that there is not stands for itself, as in CoreDNS."""
    (rule,) = config_of("rewrite name regex (a)(b)(c) x{0}{1}-{7}").rules
    assert isinstance(rule, NameRule)
    assert rule.to == ("x", 0, 1, "-", "{7}", ".")
