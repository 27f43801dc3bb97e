"""What is kept of upstream replies, in which half, for how long, and what the first client sees of it."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

import dns.flags
import dns.message
import pytest

from tests.plugins.cache.support import NAME, START_NS, Cached, Said, a, cname, question, records, soa, with_ttl

pytestmark = pytest.mark.native

TARGET = "target.example.net."
# The end of an OPT record: its size, and one option.
CACHED_ERROR = bytes.fromhex("0006 000f 0002 000d")


def rrsig(begins_s: float, ends_s: float, covers: str = "A") -> str:
    """A signature, valid from and until so many seconds from now."""
    at = [time.strftime("%Y%m%d%H%M%S", time.gmtime(time.time() + s)) for s in (ends_s, begins_s)]
    return f"{NAME} 3600 IN RRSIG {covers} 8 3 3600 {at[0]} {at[1]} 12051 example.org. bGllcw=="


NS_RECORD = "example.org. 3600 IN NS ns.example.org."
GLUE = "ns.example.org. 3600 IN A 192.0.2.53"
VALID = rrsig(-3600, 3600)
EXPIRED = rrsig(-7200, -3600)
EARLY = rrsig(3600, 7200)
NO_DENIAL = "cache {;disable denial;}"


@dataclass(frozen=True)
class Case:
    """A reply to a first query. kept: the half that it is kept in, "" for neither. ttl_s: of every record that the
    client gets, and what it is kept for."""

    why: str
    said: Said
    kept: str
    ttl_s: int
    directive: str = "cache"
    qtype: str = "A"
    qname: str = NAME
    do: bool = False
    edns: bool = False


def success(why: str, ttl_s: int, answer: Sequence[str], directive: str = "cache", **more: object) -> Case:
    """A positive answer that is kept."""
    fields = {name: more.pop(name) for name in ("authority", "additional") if name in more}
    return Case(why, Said(answer, **fields), "success", ttl_s, directive, **more)  # type: ignore[arg-type]


def denial(
    why: str, ttl_s: int, rcode: str, authority: Sequence[str], directive: str = "cache", **more: object
) -> Case:
    """A negative answer that is kept."""
    answer = more.pop("answer", ())
    return Case(why, Said(answer, authority, rcode=rcode), "denial", ttl_s, directive, **more)  # type: ignore[arg-type]


def not_kept(why: str, said: Said, ttl_s: int, **more: object) -> Case:
    """A reply that is passed on and forgotten; its TTLs are changed all the same."""
    return Case(why, said, "", ttl_s, **more)  # type: ignore[arg-type]


MAX_S = 2**31 - 1


def chain(ttl_s: int, aliases: int) -> list[str]:
    """Aliases one after the other, and an address."""
    names = [NAME, *(f"n{n}.example.org." for n in range(1, aliases + 1))]
    return [*(cname(ttl_s, names[n + 1], names[n]) for n in range(aliases)), a(ttl_s, 1, names[-1])]


CASES = [
    # TTLs of positive answers
    success("its own TTL", 300, [a(300)]),
    success("the least of the answer's", 300, [a(600), a(300, 2)]),
    success("the least of all sections: authority", 60, [a(600)], authority=[NS_RECORD.replace("3600", "60")]),
    success("the least of all sections: additional", 60, [a(600)], additional=[GLUE.replace("3600", "60")]),
    success("an hour at most", 3600, [a(86400)]),
    success("the TTL caps", 30, [a(300)], "cache 30"),
    success("the TTL does not extend", 20, [a(20)], "cache 600"),
    success("five seconds at least", 5, [a(0)]),
    success("five seconds at least, again", 5, [a(4)]),
    success("the cap goes before the least", 2, [a(300)], "cache 2"),
    success("a cap over an hour counts", 7200, [a(86400)], "cache {;success 1024 7200;}"),
    success("a least TTL of its own", 30, [a(10)], "cache {;success 1024 3600 30;}"),
    success("a least TTL over the cap", 60, [a(10)], "cache {;success 1024 60 90;}"),
    success("the least TTL may be less than five seconds", 1, [a(1)], "cache {;success 1024 3600 0;}"),
    not_kept("TTL 0 without a least TTL", Said([a(0)]), 0, directive="cache {;success 1024 3600 0;}"),
    success("denial's bounds are not success's", 300, [a(300)], "cache {;denial 1024 10 10;}"),
    success("the longest TTL that there is", MAX_S, [a(MAX_S)], f"cache {MAX_S}"),
    success("a TTL with its first bit set is none: RFC 2181 section 8", 5, [a(2**31)], f"cache {MAX_S}"),
    # Chains of CNAME records
    success("an alias and its address", 60, [cname(300, TARGET), a(60, 1, TARGET)]),
    success("the address before the alias", 60, [a(60, 1, TARGET), cname(300, TARGET)]),
    success(
        "a longer chain, in another case",
        60,
        [cname(300, "B.example.com."), cname(300, "TARGET.example.net.", "b.example.COM."), a(60, 1, TARGET)],
    ),
    success("an alias that is named twice", 60, [cname(60, TARGET), cname(60, TARGET), a(60, 1, TARGET)]),
    success("an alias that is asked for", 60, [cname(60, TARGET)], qtype="CNAME"),
    success("ANY is answered by any record of the name", 60, [cname(60, TARGET)], qtype="ANY"),
    success("MX behind an alias", 60, [cname(60, TARGET), f"{TARGET} 60 IN MX 10 mail.{TARGET}"], qtype="MX"),
    success("as many aliases as there may be", 60, chain(60, 31), edns=True),
    not_kept("an alias without its address", Said([cname(300, TARGET)]), 300),
    not_kept(
        "an alias of an alias without an address",
        Said([cname(300, "b.example.net."), cname(300, TARGET, "b.example.net.")]),
        300,
    ),
    not_kept("a chain to another type", Said([cname(300, TARGET), f"{TARGET} 300 IN AAAA ::1"]), 300),
    not_kept("an address off the chain", Said([cname(300, TARGET), a(300, 1, "other.example.net.")]), 300),
    not_kept("more aliases than anybody follows", Said(chain(60, 32)), 60, edns=True),
    not_kept("a loop", Said([cname(300, TARGET), cname(300, NAME, TARGET)]), 300),
    not_kept("a loop that does not lead back", Said([cname(300, TARGET), cname(300, TARGET, TARGET)]), 300),
    not_kept(
        "a fork", Said([cname(300, TARGET), cname(300, "other.example.net."), a(300, 1, TARGET)]), 300
    ),
    not_kept(
        "a fork, the other way round",
        Said([cname(300, "other.example.net."), cname(300, TARGET), a(300, 1, TARGET)]),
        300,
    ),
    not_kept("a fork that is asked for", Said([cname(300, TARGET), cname(300, "b.org.")]), 300, qtype="CNAME"),
    not_kept("ANY of another name", Said([a(300, 1, TARGET)]), 300, qtype="ANY"),
    not_kept("an answer of another type alone", Said([f"{NAME} 300 IN AAAA ::1"]), 300),
    not_kept("a signed alias without an address", Said([cname(3600, TARGET), VALID]), 3600, do=True),
    not_kept(
        "a DNAME record without the alias that it makes",
        Said([f"example.org. 300 IN DNAME {TARGET}", a(300, 1, f"www.{TARGET}")]),
        300,
    ),
    success(
        "a DNAME record with its alias",
        300,
        [f"example.org. 300 IN DNAME {TARGET}", cname(300, f"www.{TARGET}"), a(300, 1, f"www.{TARGET}")],
    ),
    # Negative answers
    denial("NXDOMAIN: the SOA record's TTL, not its minimum", 900, "NXDOMAIN", [soa(900)]),
    denial("half an hour at most", 1800, "NXDOMAIN", [soa(86400)]),
    denial("five seconds at least", 5, "NXDOMAIN", [soa(0)]),
    denial("the TTL caps", 30, "NXDOMAIN", [soa(900)], "cache 30"),
    denial("denial's own cap", 15, "NXDOMAIN", [soa(900)], "cache 30 {;denial 1024 15;}"),
    denial("denial's own least TTL", 60, "NXDOMAIN", [soa(1)], "cache {;denial 1024 900 60;}"),
    denial("the least of all records", 120, "NXDOMAIN", [soa(900), "example.org. 120 IN NSEC a.example.org. A"]),
    denial("NODATA", 900, "NOERROR", [soa(900)]),
    denial("NODATA: half an hour at most", 1800, "NOERROR", [soa(86400)]),
    denial("NODATA at the end of a chain", 300, "NOERROR", [soa(900)], answer=[cname(300, TARGET)]),
    denial("NODATA with NS records", 900, "NOERROR", [soa(900), NS_RECORD]),
    not_kept("NXDOMAIN without an SOA record", Said(rcode="NXDOMAIN"), 5),
    not_kept("NXDOMAIN with NS records alone", Said((), [NS_RECORD], rcode="NXDOMAIN"), 1800),
    not_kept("NXDOMAIN with answers", Said([cname(300, TARGET)], [soa(900)], rcode="NXDOMAIN"), 5),
    not_kept(
        "TTL 0 without a least TTL, denied", Said((), [soa(0)], rcode="NXDOMAIN"), 0,
        directive="cache {;denial 1024 1800 0;}",
    ),
    # Failures
    denial("SERVFAIL", 5, "SERVFAIL", []),
    denial("SERVFAIL with records", 5, "SERVFAIL", [soa(900)]),
    denial("NOTIMP", 5, "NOTIMP", []),
    denial("servfail", 20, "SERVFAIL", [soa(900)], "cache {;servfail 20s;}"),
    denial("servfail counts for NOTIMP, too", 20, "NOTIMP", [], "cache {;servfail 20s;}"),
    denial("no other bound counts for SERVFAIL", 5, "SERVFAIL", [], "cache 3 {;denial 1024 2 1;}"),
    not_kept("servfail 0", Said((), [soa(900)], rcode="SERVFAIL"), 0, directive="cache {;servfail 0;}"),
    not_kept("servfail of less than a second", Said(rcode="SERVFAIL"), 0, directive="cache {;servfail 500ms;}"),
    not_kept("REFUSED", Said((), [soa(900)], rcode="REFUSED"), 5),
    not_kept("FORMERR", Said(rcode="FORMERR"), 5),
    not_kept("YXDOMAIN", Said((), [soa(900)], rcode="YXDOMAIN"), 5),
    not_kept("an extended rcode", Said((), [soa(900)], rcode="BADCOOKIE"), 5, do=True),
    not_kept("REFUSED: success bounds its TTL", Said((), [soa(900)], rcode="REFUSED"), 30,
             directive="cache {;success 1024 60 30;}"),
    # Neither answers nor denials
    success("a referral: five seconds", 5, [], authority=[NS_RECORD], additional=[GLUE]),
    success("a referral under a least TTL", 30, [], "cache {;success 1024 3600 30;}", authority=[NS_RECORD]),
    success("nothing at all: five seconds", 5, []),
    success("data beside the answer section", 300, [], additional=[a(300)]),
    not_kept("truncated", Said([a(300)], flags="RD RA TC"), 300),
    not_kept("truncated NXDOMAIN", Said((), [soa(900)], rcode="NXDOMAIN", flags="RD RA TC"), 900),
    not_kept("a zone transfer", Said([soa(900), a(900), soa(900)]), 5, qtype="AXFR", qname="example.org."),
    # Signatures
    success("a valid signature", 60, [a(60), VALID], do=True),
    not_kept("an expired signature", Said([a(60), EXPIRED]), 5, do=True),
    not_kept("a signature that is not valid yet", Said([a(60), EARLY]), 5, do=True),
    not_kept("an expired signature of a denial", Said((), [soa(60), EXPIRED], rcode="NXDOMAIN"), 5, do=True),
    not_kept("an expired signature beside the answer", Said([a(60)], (), [EXPIRED]), 5, do=True),
    success("an expired signature that nobody asked for", 60, [a(60), EXPIRED]),
    # disable
    not_kept("disable success", Said([a(300)]), 300, directive="cache {;disable success;}"),
    not_kept("disable success in a zone", Said([a(300)]), 300, directive="cache {;disable success example.org;}"),
    success("disable success in another zone", 300, [a(300)], "cache {;disable success example.net;}"),
    success("disable denial", 300, [a(300)], "cache {;disable denial;}"),
    denial("disable success, denied", 900, "NXDOMAIN", [soa(900)], "cache {;disable success;}"),
    not_kept("disable denial, denied", Said((), [soa(900)], rcode="NXDOMAIN"), 900, directive=NO_DENIAL),
    not_kept("disable denial: NODATA", Said((), [soa(900)]), 900, directive="cache {;disable denial example.org;}"),
    not_kept("disable denial: SERVFAIL", Said(rcode="SERVFAIL"), 5, directive=NO_DENIAL),
]  # fmt: skip


def sections(reply: dns.message.Message) -> list[list[str]]:
    return [records(reply.answer), records(reply.authority), records(reply.additional)]


def lowered(parts: list[list[str]]) -> list[list[str]]:
    """Names that the upstream's compression has joined have one spelling."""
    return [[text.lower() for text in part] for part in parts]


@pytest.mark.parametrize("case", CASES, ids=[case.why for case in CASES])
def test_what_is_kept_and_for_how_long(case: Case) -> None:
    cached = Cached(case.directive)
    query = question(case.qname, case.qtype, do=case.do, edns=case.edns)
    first = cached.fill(case.said, query)
    assert first.rcode() == dns.message.from_wire(case.said.to(query)).rcode()
    expected = [
        with_ttl(part, case.ttl_s) for part in (case.said.answer, case.said.authority, case.said.additional)
    ]
    assert lowered(sections(first)) == lowered(expected), "already the first client sees the one TTL"
    assert cached.entries == (case.kept == "success", case.kept == "denial")

    cached.upstream.refuse(dns.rcode.SERVFAIL)
    if not case.kept:
        assert cached.ask(query, at_s=0).rcode() == dns.rcode.SERVFAIL
        assert cached.upstream.asked == 2
        return
    for at_s in sorted({0, 0.999, min(1, case.ttl_s - 1), case.ttl_s - 1, case.ttl_s - 0.001}):
        reply = cached.ask(query, at_s=at_s)
        aged = [with_ttl(part, case.ttl_s - int(at_s)) for part in expected]
        assert lowered(sections(reply)) == lowered(aged), f"after {at_s} s"
        assert reply.rcode() == first.rcode()
    assert cached.upstream.asked == 1
    cached.ask(query, at_s=case.ttl_s)
    assert cached.upstream.asked == 2, "it has expired"


def test_an_error_that_nobody_wrote_is_not_kept() -> None:
    """Timeouts and refusals of the server's own are not what an upstream said."""
    cached = Cached()
    cached.say(None)
    for _ in range(2):
        assert cached.ask().rcode() == dns.rcode.SERVFAIL
    assert cached.entries == (0, 0)
    assert cached.upstream.asked == 2
    cached.upstream.refuse(dns.rcode.REFUSED)
    assert cached.ask().rcode() == dns.rcode.REFUSED


def test_silence_is_not_kept() -> None:
    cached = Cached()
    cached.upstream.drop()
    assert cached.try_to_ask() is None
    assert cached.entries == (0, 0)


@pytest.mark.parametrize("said", [Said([a(0)]), Said((), [soa(7)], rcode="NXDOMAIN")], ids=["answer", "denial"])
def test_the_servers_own_answers_are_neither_kept_nor_changed(said: Said) -> None:
    """Kubernetes answers above all: they are current in the store, and their TTL is configured."""
    cached = Cached("cache {;serve_stale 1h verify;}")
    cached.say(said, local=True)
    for _ in range(2):
        assert sections(cached.ask()) == [list(said.answer), list(said.authority), []]
    assert cached.entries == (0, 0)
    assert cached.upstream.asked == 2


def test_a_name_that_has_become_the_servers_own_is_answered_from_there_once_its_record_has_expired() -> None:
    cached = Cached("cache {;serve_stale 1h verify;}")
    cached.fill(Said([a(60)]))
    cached.say(Said([a(0, 2)]), local=True)
    assert records(cached.ask(at_s=61).answer) == [a(0, 2)]
    assert cached.counters["requests"] == 2
    assert "served_stale" not in cached.counters


@pytest.mark.parametrize(
    ("directive", "zones", "kept"),
    [
        ("cache", ".", True),
        ("cache", "example.org", True),
        ("cache", "example.net", False),
        ("cache example.org", ".", True),
        ("cache EXAMPLE.org", ".", True),
        ("cache 30 example.net example.org", ".", True),
        ("cache www.example.org", ".", True),
        ("cache a.www.example.org", ".", False),
        ("cache ww.example.org", ".", False),
    ],
)
def test_only_names_of_the_zones_are_kept(directive: str, zones: str, kept: bool) -> None:
    cached = Cached(directive, zones)
    reply = cached.fill(Said([a(7200)]))
    assert cached.entries == (kept, 0)
    # Elsewhere nothing is changed, either, and nothing counted.
    assert (reply.answer[0].ttl == 7200) == (not kept)
    assert bool(cached.counters) == kept
    assert cached.upstream.asked_with_ad == kept


@pytest.mark.parametrize("opcode", [4], ids=["NOTIFY"])
def test_other_opcodes_pass(opcode: int) -> None:
    cached = Cached()
    cached.fill(Said([a(7200)]))
    query = question(opcode=opcode)
    cached.upstream.refuse(dns.rcode.REFUSED)
    assert cached.ask(query).rcode() == dns.rcode.REFUSED
    assert cached.counters == {"requests": 1, "misses": 1}


def test_a_reply_that_several_queries_waited_for_is_stored_once() -> None:
    cached = Cached()
    cached.upstream.park()
    cached.try_to_ask()
    reply = cached.resume(Said([a(600)]), stored=True)
    assert reply.answer[0].ttl == 600
    assert cached.entries == (0, 0)
    cached.resume(Said([a(600)]))
    assert cached.entries == (1, 0)


def test_a_query_that_waited_is_counted_once() -> None:
    cached = Cached()
    cached.upstream.park()
    cached.try_to_ask()
    assert cached.resume(Said([a(600)])).answer[0].ttl == 600
    assert cached.counters == {"requests": 1, "misses": 1}
    assert cached.upstream.asked_with_ad == 1


def test_the_server_asks_for_ad_whatever_the_client_asks_for() -> None:
    cached = Cached()
    cached.fill(Said([a(600)]))
    cached.fill(Said([a(600)]), question(ad=True, do=True))
    assert cached.upstream.asked_with_ad == 2


def test_a_new_answer_takes_the_place_of_the_old_one() -> None:
    cached = Cached()
    cached.fill(Said([a(10)]))
    cached.fill(Said([a(10, 2)]), at_s=10)
    assert records(cached.ask(at_s=11).answer) == [a(9, 2)]
    assert cached.entries == (1, 0)


@pytest.mark.parametrize("first", ["answer", "denial"])
def test_the_newest_of_answer_and_denial_counts(first: str) -> None:
    """An answer would hide behind a denial that is older; a denial would give way to an answer that is older."""
    cached = Cached("cache {;prefetch 1 1m 90%;}")
    positive, negative = Said([a(600)]), Said((), [soa(600)], rcode="NXDOMAIN")
    older, newer = (positive, negative) if first == "answer" else (negative, positive)
    cached.fill(older)
    cached.say(newer)
    cached.ask(at_s=100)
    assert cached.counters["prefetches"] == 1
    assert cached.entries == ((0, 1) if first == "answer" else (1, 0))
    assert cached.ask(at_s=101).rcode() == (dns.rcode.NXDOMAIN if first == "answer" else dns.rcode.NOERROR)


def test_servfail_does_not_take_the_place_of_an_answer() -> None:
    cached = Cached("cache {;prefetch 1 1m 90%;servfail 1m;}")
    cached.fill(Said([a(100)]))
    cached.say(Said(rcode="SERVFAIL"))
    cached.ask(at_s=50)
    assert cached.entries == (1, 1)
    assert records(cached.ask(at_s=51).answer) == [a(49)], "the answer goes before the failure"
    assert cached.ask(at_s=100).rcode() == dns.rcode.SERVFAIL, "but not when it has expired"
    assert cached.ask(at_s=109).rcode() == dns.rcode.SERVFAIL
    assert cached.upstream.asked >= 2


def test_notimp_goes_before_an_answer() -> None:
    cached = Cached("cache {;prefetch 1 1m 90%;}")
    cached.fill(Said([a(100)]))
    cached.say(Said(rcode="NOTIMP"))
    cached.ask(at_s=50)
    cached.say(None)
    assert cached.ask(at_s=51).rcode() == dns.rcode.NOTIMP


def test_a_reply_that_is_too_large_is_passed_on_and_counted() -> None:
    cached = Cached("cache {;max_bytes 64Ki;}")
    texts = [f"{NAME} 300 IN TXT {'x' * 200}{n:05}" for n in range(60)]
    query = question(qtype="TXT", edns=True)
    cached.say(Said(texts), query)
    reply = cached.try_to_ask(query)
    assert reply.flags & dns.flags.TC, "over UDP"
    assert cached.entries == (0, 0)
    assert cached.counters == {"requests": 1, "misses": 1, "drops": 1}


def test_a_large_reply_comes_back_whole() -> None:
    cached = Cached()
    texts = [f"{NAME} 300 IN TXT {'x' * 200}{n:05}" for n in range(250)]
    wire = Said(texts).to(question(qtype="TXT"))
    assert len(wire) > 50_000
    query = question(qtype="TXT")
    cached.upstream.answer(wire)
    cached.trial.ask(query.to_wire(), 10**9)
    assert cached.entries == (1, 0)
    cached.say(None)
    raw = cached.trial.ask(query.to_wire(), 10**9)
    assert isinstance(raw, bytes)
    assert dns.message.from_wire(raw).flags & dns.flags.TC
    assert cached.counters["hits_success"] == 1


def test_evictions_are_counted_by_half() -> None:
    cached = Cached("cache {;max_bytes 64Ki;}")
    for n in range(3000):
        name = f"n{n}.example.org."
        negative = n % 2 == 0
        said = Said((), [soa(900)], rcode="NXDOMAIN") if negative else Said([a(900, 1, name)])
        cached.fill(said, question(name))
    assert cached.counters["evictions_success"] > 100
    assert cached.counters["evictions_denial"] > 100
    assert sum(cached.entries) < 1500


# What hostile upstreams send


def mangled(message: bytes, question_end: int, chance: random.Random) -> bytes:
    """The message with a few bytes changed, cut out or put in behind the question, which the forwarder checks."""
    body = bytearray(message)
    for _ in range(chance.randrange(1, 5)):
        at = chance.randrange(question_end, len(body) + 1)
        what = chance.randrange(4)
        if what == 0 and at < len(body):
            body[at] = chance.randrange(256)
        elif what == 1:
            del body[at : at + chance.randrange(1, 20)]
        elif what == 2:
            body[at:at] = chance.randbytes(chance.randrange(1, 20))
        else:
            count = chance.choice((6, 8, 10))
            body[count : count + 2] = chance.choice((0, 1, 2, 3, 17, 65535)).to_bytes(2)
    return bytes(body)


@pytest.mark.parametrize("seed", range(20))
def test_whatever_comes_from_upstream_the_second_client_gets_what_the_first_one_got(seed: int) -> None:
    chance = random.Random(seed)
    sayings = [case.said for case in CASES if case.qtype == "A" and not case.edns]
    kept = 0
    for n in range(200):
        cached = Cached("cache {;prefetch 1 1m 90%;serve_stale 1h verify;serve_stale_policy prefer_positive;}")
        query = question(do=n % 2 == 0)
        end = 12 + len(query.question[0].name.to_wire()) + 4
        cached.upstream.answer(mangled(chance.choice(sayings).to(query), end, chance))
        first = cached.trial.ask(query.to_wire(), START_NS)
        assert isinstance(first, bytes)
        cached.upstream.answer(None)
        second = cached.trial.ask(query.to_wire(), START_NS)
        if sum(cached.entries):
            kept += 1
            # All but AA, which the cache sets, and that a failure was kept (RFC 8914 section 4.14).
            if first[3] & 15 == 2 and second.endswith(CACHED_ERROR):
                second = second[: -len(CACHED_ERROR)] + b"\0\0"
            assert second == first[:2] + bytes((first[2] | 4,)) + first[3:]
    assert kept > 5


def test_a_slow_reply_is_kept_for_its_whole_ttl() -> None:
    """It counted from the query: a reply that took longer than its TTL had expired before it was stored."""
    cached = Cached()
    cached.upstream.park()
    cached.try_to_ask()
    assert cached.resume(Said([a(10)]), at_s=14).answer[0].ttl == 10
    assert cached.ask(at_s=17).answer[0].ttl == 7
