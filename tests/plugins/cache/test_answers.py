"""What clients get from the cache: flags, names, EDNS, and which question an answer is for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import dns.edns
import dns.flags
import pytest

from fastdns.plugins.loadbalance._step import LoadbalanceStep
from tests.plugins.cache.support import NAME, REFERRAL, Cached, Said, a, cname, question, records, soa

pytestmark = pytest.mark.native

AA, AD, CD, RA, RD, TC = (dns.flags.AA, dns.flags.AD, dns.flags.CD, dns.flags.RA, dns.flags.RD, dns.flags.TC)
SHOWN = AA | AD | CD | RA | RD | TC


def flags_of(reply: Any) -> str:
    return dns.flags.to_text(reply.flags & SHOWN)


@dataclass(frozen=True)
class Flags:
    """said: the upstream's flags. client: how it asks. miss, hit: the flags of the first and the second reply."""

    why: str
    said: str
    client: dict[str, bool]
    miss: str
    hit: str
    rcode: str = "NOERROR"


FLAGS = [
    Flags("as it came, and AA from the cache", "RD RA", {}, miss="RD RA", hit="AA RD RA"),
    Flags("an authority's answer", "RD RA AA", {}, miss="AA RD RA", hit="AA RD RA"),
    Flags("an upstream without recursion", "RD", {}, miss="RD", hit="AA RD"),
    Flags("AD for nobody who asked", "RD RA AD", {}, miss="RD RA", hit="AA RD RA"),
    Flags("AD for who set AD", "RD RA AD", {"ad": True}, miss="RD RA AD", hit="AA RD RA AD"),
    Flags("AD for who set DO", "RD RA AD", {"do": True}, miss="RD RA AD", hit="AA RD RA AD"),
    Flags("no AD that the upstream has not set", "RD RA", {"ad": True, "do": True}, miss="RD RA", hit="AA RD RA"),
    Flags("CD is the client's", "RD RA", {"cd": True}, miss="RD RA CD", hit="AA RD RA CD"),
    Flags("EDNS alone asks for no AD", "RD RA AD", {"edns": True}, miss="RD RA", hit="AA RD RA"),
    Flags("a denial", "RD RA AD", {"ad": True}, miss="RD RA AD", hit="AA RD RA AD", rcode="NXDOMAIN"),
    Flags("a failure", "RD RA", {}, miss="RD RA", hit="AA RD RA", rcode="SERVFAIL"),
]


@pytest.mark.parametrize("case", FLAGS, ids=[case.why for case in FLAGS])
def test_flags(case: Flags) -> None:
    said = Said(
        [a(300)] if case.rcode == "NOERROR" else (), [soa(300)] if case.rcode != "NOERROR" else (), (),
        case.rcode, case.said,
    )  # fmt: skip
    cached = Cached()
    query = question(**case.client)  # type: ignore[arg-type]
    assert flags_of(cached.fill(said, query)) == case.miss
    cached.say(None)
    reply = cached.ask(query)
    assert flags_of(reply) == case.hit
    assert dns.rcode.to_text(reply.rcode()) == case.rcode


@pytest.mark.parametrize("first", [False, True], ids=["without AD first", "with AD first"])
def test_ad_is_not_in_the_key(first: bool) -> None:
    cached = Cached()
    for ad in (first, not first):
        reply = cached.fill(Said([a(300)], flags="RD RA AD"), question(ad=ad))
        assert bool(reply.flags & AD) == ad
    assert cached.upstream.asked == 1


# What is part of the key


@dataclass(frozen=True)
class Pair:
    why: str
    first: dict[str, Any]
    second: dict[str, Any]
    same: bool = False
    qname: str = field(default=NAME)


PAIRS = [
    Pair("the same", {}, {}, same=True),
    Pair("the case of the name", {}, {"qname": "WWW.Example.ORG."}, same=True),
    Pair("the name", {}, {"qname": "ww.example.org."}),
    Pair("the type", {}, {"qtype": "AAAA"}),
    Pair("RD", {}, {"rd": False}),
    Pair("RD, the other way round", {"rd": False}, {}),
    Pair("without RD twice", {"rd": False}, {"rd": False}, same=True),
    Pair("DO", {}, {"do": True}),
    Pair("CD", {}, {"cd": True}),
    Pair("DO is not CD", {"do": True}, {"cd": True}),
    Pair("DO and CD", {"do": True}, {"do": True, "cd": True}),
    Pair("EDNS without DO", {}, {"edns": True}, same=True),
    Pair("AD", {}, {"ad": True}, same=True),
    Pair("a client subnet", {}, {"subnet": "192.0.2.0/24"}),
    Pair("the same client subnet", {"subnet": "192.0.2.0/24"}, {"subnet": "192.0.2.0/24"}, same=True),
    Pair("another client subnet", {"subnet": "192.0.2.0/24"}, {"subnet": "198.51.100.0/24"}),
    Pair("a longer client subnet", {"subnet": "192.0.2.0/24"}, {"subnet": "192.0.2.0/25"}),
    Pair("a client subnet of another family", {"subnet": "192.0.2.0/24"}, {"subnet": "2001:db8::/56"}),
    Pair("a subnet of length 0 is one", {}, {"subnet": "0.0.0.0/0"}),
    Pair("a whole IPv6 address", {"subnet": "2001:db8::1/128"}, {"subnet": "2001:db8::1/128"}, same=True),
    Pair("a subnet of length 0 is not that of another family", {"subnet": "0.0.0.0/0"}, {"subnet": "::/0"}),
    Pair("no address at all, as dig says it", {"subnet_bytes": bytes(4)}, {"subnet_bytes": bytes(4)}, same=True),
    Pair("a label's end", {"qname": "ab.c."}, {"qname": "a.bc."}),
]


@pytest.mark.parametrize("pair", PAIRS, ids=[pair.why for pair in PAIRS])
def test_the_key(pair: Pair) -> None:
    cached = Cached()
    first, second = question(**pair.first), question(**pair.second)
    owner = str(first.question[0].name)
    cached.fill(Said([f"{owner} 300 IN {dns.rdatatype.to_text(first.question[0].rdtype)} 192.0.2.1"]), first)
    cached.say(None)
    reply = cached.ask(second)
    assert (reply.rcode() == dns.rcode.NOERROR) == pair.same
    assert (cached.upstream.asked == 1) == pair.same


@pytest.mark.parametrize("first", ["with", "without"])
def test_a_referral_to_who_wants_no_recursion_answers_nobody_else(first: str) -> None:
    """Nor does an answer that was found with recursion tell one without what an upstream knows."""
    cached = Cached()
    answer, referral = (Said([a(300)]), question()), (REFERRAL, question(rd=False))
    order = [answer, referral] if first == "with" else [referral, answer]
    for said, query in order:
        cached.fill(said, query)
    assert cached.upstream.asked == 2
    cached.say(None)
    assert records(cached.ask(question()).answer) == [a(300)]
    reply = cached.ask(question(rd=False))
    assert (reply.answer, [str(one[0]) for one in reply.authority]) == ([], ["ns.nic.example."])
    assert cached.upstream.asked == 2


# Names


def test_the_reply_has_the_spelling_that_is_asked_now() -> None:
    cached = Cached()
    lower = question("www.example.org.")
    cached.fill(
        Said([cname(300, "Target.Example.net.", "www.example.org."), a(300, 1, "Target.Example.net.")]), lower
    )
    reply = cached.ask(question("wWw.ExamplE.oRg."))
    assert records(reply.answer) == [
        "wWw.ExamplE.oRg. 300 IN CNAME Target.Example.net.",
        "Target.Example.net. 300 IN A 192.0.2.1",
    ]


def test_the_order_of_records_stays() -> None:
    cached = Cached()
    answer = [a(300, last) for last in (7, 3, 9, 1)]
    assert records(cached.fill(Said(answer)).answer) == answer
    assert records(cached.ask().answer) == answer


def test_loadbalance_shuffles_what_comes_from_the_cache() -> None:
    cached = Cached("cache", outer=[LoadbalanceStep("round_robin")])
    cached.fill(Said([a(300, last) for last in range(1, 9)]))
    cached.say(None)
    orders = set()
    for _ in range(50):
        answer = records(cached.ask().answer)
        assert sorted(answer) == [a(300, last) for last in range(1, 9)]
        orders.add(tuple(answer))
    assert len(orders) > 20


@pytest.mark.parametrize(
    "texts",
    [
        ["www.example.org. 300 IN MX 10 mail.example.org.", "www.example.org. 300 IN MX 20 mail.example.net."],
        ["www.example.org. 300 IN SRV 1 2 53 ns.example.org."],
        ["www.example.org. 300 IN TXT \"a\" \"b c\""],
        ["www.example.org. 300 IN SOA ns.example.org. hostmaster.example.net. 1 2 3 4 5"],
        ["www.example.org. 300 IN NS ns.example.org."],
        ["www.example.org. 300 IN PTR ns.example.org."],
        ["www.example.org. 300 IN HTTPS 1 . alpn=\"h2\""],
        ["www.example.org. 300 IN TYPE65280 \\# 3 010203"],
        ["www.example.org. 300 IN TYPE65280 \\# 0"],
        ["www.example.org. 300 IN NAPTR 1 2 \"u\" \"E2U\" \"!x!y!\" ."],
    ],
    ids=lambda texts: texts[0].split()[3],
)  # fmt: skip
def test_records_of_all_types_come_back_as_they_were(texts: list[str]) -> None:
    cached = Cached()
    query = question(qtype=texts[0].split()[3])
    first = cached.fill(Said(texts), query)
    cached.say(None)
    assert records(cached.ask(query).answer) == records(first.answer)
    assert len(first.answer) == len(texts)


# EDNS


def test_an_upstreams_options_are_for_nobody() -> None:
    """An OPT record is of one hop, and none goes to a client that has sent none."""
    cached = Cached()
    options = [dns.edns.GenericOption(dns.edns.OptionType.COOKIE, b"12345678"), dns.edns.EDEOption(3, "stale")]
    query = question(edns=True)
    for _ in range(2):
        reply = cached.fill(Said([a(300)], options=options), query)
        assert reply.edns == 0
        assert reply.options == ()
    assert cached.ask(question()).edns == -1


def test_do_is_in_the_reply_as_in_the_question() -> None:
    cached = Cached()
    for _ in range(2):
        assert cached.fill(Said([a(300)]), question(do=True)).ednsflags & dns.flags.DO


def test_an_answer_that_is_too_large_for_the_client_is_truncated_and_whole_for_others() -> None:
    cached = Cached()
    answer = [f"{NAME} 300 IN TXT {'x' * 100}{n}" for n in range(8)]
    cached.fill(Said(answer), question(qtype="TXT", edns=True))
    assert cached.ask(question(qtype="TXT")).flags & TC
    reply = cached.ask(question(qtype="TXT", edns=True))
    assert not reply.flags & TC
    assert len(reply.answer) == 8


# keepttl


def test_keepttl_shows_the_ttl_that_it_began_with() -> None:
    cached = Cached("cache {;keepttl;}")
    cached.fill(Said([a(60)]))
    for at_s in (0, 30, 59):
        assert records(cached.ask(at_s=at_s).answer) == [a(60)]
    assert cached.upstream.asked == 1
    cached.ask(at_s=60)
    assert cached.upstream.asked == 2, "it expires all the same"


# The clock


def test_a_query_that_came_in_before_the_record_was_stored() -> None:
    """Another thread took the time of its query earlier, and looks later."""
    cached = Cached()
    cached.fill(Said([a(60)]), at_s=10)
    assert records(cached.ask(at_s=9.5).answer) == [a(60)]


# Counters


def test_counters() -> None:
    cached = Cached()
    cached.fill(Said([a(60)]))
    cached.ask()
    cached.ask()
    cached.fill(Said((), [soa(60)], rcode="NXDOMAIN"), question("no.example.org."))
    cached.ask(question("no.example.org."))
    assert cached.counters == {"requests": 5, "hits_success": 2, "hits_denial": 1, "misses": 2}
