"""serve_stale in its modes and policies, and what becomes of a refresh that fails."""

from __future__ import annotations

from dataclasses import dataclass, replace

import dns.flags
import dns.message
import dns.rcode
import pytest

from fastdns.plugins.errors._step import ErrorsStep
from tests.plugins.cache._trial import PARKED
from tests.plugins.cache.support import (
    EDNS_DO,
    NEW,
    NODATA,
    NS,
    NXDOMAIN,
    OLD,
    SERVFAIL,
    START_NS,
    Cached,
    Said,
    a,
    address,
    cname,
    question,
    records,
    soa,
)
from tests.plugins.cache.test_kept import EXPIRED

pytestmark = pytest.mark.native


# serve_stale: for how long, with which TTL


@dataclass(frozen=True)
class Served:
    """ttl_s: of what is served at_s after it was stored for 60 s; None: the upstream is asked and waited for."""

    why: str
    directive: str
    at_s: float
    ttl_s: int | None
    denied: bool = False


SERVED = [
    Served("fresh", "serve_stale", 59.9, 1),
    Served("just expired", "serve_stale", 60, 0),
    Served("an hour by default", "serve_stale", 60 + 3599.9, 0),
    Served("no more than an hour", "serve_stale", 60 + 3600, None),
    Served("a duration of its own", "serve_stale 10s", 69.9, 0),
    Served("no more than that", "serve_stale 10s", 70, None),
    Served("not at all", "", 60, None),
    Served("serve_stale 0", "serve_stale 0", 60, None),
    Served("with a TTL", "serve_stale 1h immediate 30s", 60, 30),
    Served("with a TTL, and later", "serve_stale 1h immediate 30s", 600, 30),
    Served("a fresh one has its own TTL", "serve_stale 1h immediate 30s", 10, 50),
    Served("keepttl", "serve_stale;keepttl", 70, 60),
    Served("the TTL of serve_stale goes before keepttl", "serve_stale 1h immediate 17s;keepttl", 70, 17),
    Served("a denial", "serve_stale 1h immediate 25s", 60, 25, denied=True),
    Served("a denial, for a while", "serve_stale 10s", 70, None, denied=True),
]


@pytest.mark.parametrize("case", SERVED, ids=[case.why for case in SERVED])
def test_stale_answers(case: Served) -> None:
    cached = Cached(f"cache {{;{case.directive};}}")
    cached.fill(replace(NXDOMAIN, authority=[soa(60)]) if case.denied else OLD)
    cached.upstream.park()
    reply = cached.try_to_ask(at_s=case.at_s)
    if case.ttl_s is None:
        assert reply is PARKED
        assert cached.counters == {"requests": 2, "misses": 2}
        return
    assert records(reply.authority if case.denied else reply.answer) == (
        [soa(case.ttl_s)] if case.denied else [a(case.ttl_s)]
    )
    assert reply.rcode() == (dns.rcode.NXDOMAIN if case.denied else dns.rcode.NOERROR)
    assert reply.flags & dns.flags.AA
    stale = case.at_s >= 60
    assert cached.counters.get("served_stale", 0) == stale
    assert cached.counters["hits_denial" if case.denied else "hits_success"] == 1
    assert cached.upstream.asked_in_background == stale


@pytest.mark.parametrize("said", [SERVFAIL, Said(rcode="NOTIMP")], ids=["SERVFAIL", "NOTIMP"])
@pytest.mark.parametrize("mode", ["immediate", "verify"])
def test_a_failure_is_never_served_stale(said: Said, mode: str) -> None:
    """RFC 8767 is about data: that a server failed five seconds ago is no answer."""
    cached = Cached(f"cache {{;serve_stale 1h {mode};}}")
    cached.fill(said)
    cached.say(NEW)
    assert address(cached.ask(at_s=5)) == a(300, 2)


# serve_stale immediate


def test_immediate_answers_and_then_refreshes() -> None:
    cached = Cached("cache {;serve_stale;}")
    cached.fill(OLD)
    cached.upstream.park()
    assert address(cached.ask(at_s=70)) == a(0)
    cached.resume(NEW, at_s=71, background=True)
    assert address(cached.ask(at_s=72)) == a(299, 2)
    assert cached.counters == {
        "requests": 3, "misses": 1, "hits_success": 2, "prefetches": 1, "served_stale": 1,
    }  # fmt: skip


def test_immediate_with_an_answer_at_hand() -> None:
    cached = Cached("cache {;serve_stale;}")
    cached.fill(OLD)
    cached.say(NEW)
    assert address(cached.ask(at_s=70)) == a(0)
    assert address(cached.ask(at_s=70)) == a(300, 2)


def test_immediate_with_an_answer_of_the_servers_own_at_hand() -> None:
    cached = Cached("cache {;serve_stale;}")
    cached.fill(OLD)
    cached.say(NEW, local=True)
    assert address(cached.ask(at_s=70)) == a(0)
    assert cached.entries == (1, 0)
    assert address(cached.ask(at_s=71)) == a(0), "it is not in the cache"


def test_immediate_and_silence_from_below() -> None:
    cached = Cached("cache {;serve_stale;}")
    cached.fill(OLD)
    cached.upstream.drop()
    assert address(cached.ask(at_s=70)) == a(0)


def test_one_refresh_at_a_time() -> None:
    cached = Cached("cache {;serve_stale;}")
    cached.fill(OLD)
    cached.upstream.park()
    for n in range(50):
        assert address(cached.ask(at_s=70 + n / 100)) == a(0)
    assert cached.upstream.asked_in_background == 1


FAILURES = {
    "nothing": None,
    "SERVFAIL": SERVFAIL,
    "NOTIMP": Said(rcode="NOTIMP"),
    "REFUSED": Said(rcode="REFUSED"),
    "truncated": Said([a(60, 9)], flags="TC"),
    "expired signature": Said([a(60, 9), EXPIRED]),
    "NXDOMAIN with answers": Said([cname(60, "b.example.org.")], [soa(60)], rcode="NXDOMAIN"),
}


@pytest.mark.parametrize("said", FAILURES.values(), ids=FAILURES)
@pytest.mark.parametrize("denied", [False, True], ids=["answer", "denial"])
def test_a_refresh_that_fails_leaves_what_is_stale(said: Said | None, denied: bool) -> None:
    cached = Cached("cache {;serve_stale;}")
    cached.fill(NXDOMAIN if denied else OLD, EDNS_DO)
    cached.upstream.park()
    for at_s in (700, 710, 720):
        reply = cached.ask(EDNS_DO, at_s=at_s)
        assert records(reply.authority if denied else reply.answer) == ([soa(0)] if denied else [a(0)])
        cached.resume(said, EDNS_DO, at_s=at_s + 1, background=True)
    assert cached.upstream.asked_in_background == 3, "without a recheck, each time again"
    assert cached.counters["served_stale"] == 3
    assert sum(cached.entries) == 1


@pytest.mark.parametrize("said", FAILURES.values(), ids=FAILURES)
def test_recheck_lets_a_failed_upstream_be(said: Said | None) -> None:
    cached = Cached("cache {;serve_stale 1h immediate 30s 30s;}")
    cached.fill(OLD, EDNS_DO)
    cached.upstream.park()
    cached.ask(EDNS_DO, at_s=70)
    cached.resume(said, EDNS_DO, at_s=71, background=True)
    for at_s in (72, 80, 100.9):
        assert address(cached.ask(EDNS_DO, at_s=at_s)) == a(30)
    assert cached.upstream.asked_in_background == 1
    cached.ask(EDNS_DO, at_s=101)
    assert cached.upstream.asked_in_background == 2


def test_a_refresh_that_succeeds_ends_the_recheck() -> None:
    cached = Cached("cache {;serve_stale 1h immediate 30s 5m;}")
    cached.fill(OLD)
    cached.upstream.park()
    cached.ask(at_s=70)
    cached.resume(None, at_s=70, background=True)
    cached.ask(at_s=371)
    cached.resume(OLD, at_s=371, background=True)
    assert address(cached.ask(at_s=372)) == a(59)
    cached.ask(at_s=440)
    assert cached.upstream.asked_in_background == 3


@pytest.mark.parametrize(
    ("said", "rcode"), [(NXDOMAIN, "NXDOMAIN"), (NODATA, "NOERROR")], ids=["NXDOMAIN", "NODATA"]
)
def test_a_denial_takes_the_place_of_a_stale_answer(said: Said, rcode: str) -> None:
    cached = Cached("cache {;serve_stale;}")
    cached.fill(OLD)
    cached.upstream.park()
    cached.ask(at_s=70)
    cached.resume(said, at_s=70, background=True)
    reply = cached.ask(at_s=71)
    assert dns.rcode.to_text(reply.rcode()) == rcode
    assert records(reply.authority) == [soa(599)]


# serve_stale verify


def test_verify_asks_first() -> None:
    cached = Cached("cache {;serve_stale 1h verify;}")
    cached.fill(OLD)
    cached.upstream.park()
    assert cached.try_to_ask(at_s=70) is PARKED
    assert cached.upstream.stale_after_ns == 0, "for as long as it takes"
    assert address(cached.resume(NEW, at_s=71)) == a(300, 2)
    assert address(cached.ask(at_s=72)) == a(299, 2)
    assert cached.counters == {"requests": 3, "misses": 1, "hits_success": 2}


@pytest.mark.parametrize("said", FAILURES.values(), ids=FAILURES)
@pytest.mark.parametrize("at_once", [False, True], ids=["parked", "at once"])
@pytest.mark.parametrize("timeout", ["", "0 20s", "100ms 20s"], ids=["verify", "verify 0 20s", "verify 100ms 20s"])
def test_verify_serves_what_is_stale_where_the_upstream_fails(
    said: Said | None, at_once: bool, timeout: str
) -> None:
    cached = Cached(f"cache {{;serve_stale 1h verify {timeout};}}", outer=[ErrorsStep(0)])
    cached.fill(OLD, EDNS_DO)
    if at_once:
        cached.say(said, EDNS_DO)
        reply = cached.ask(EDNS_DO, at_s=70)
    else:
        cached.upstream.park()
        assert cached.try_to_ask(EDNS_DO, at_s=70) is PARKED
        reply = cached.resume(said, EDNS_DO, at_s=71)
    assert records(reply.answer) == [a(20 if timeout else 0)]
    assert reply.flags & dns.flags.AA
    assert not reply.flags & dns.flags.TC
    assert reply.rcode() == dns.rcode.NOERROR
    assert cached.counters["served_stale"] == 1
    assert cached.entries == (1, 0), "a failure is not kept"
    assert cached.worker.take_errors() == [], "it has been made good"


@pytest.mark.parametrize("said", [NXDOMAIN, Said(rcode="NXDOMAIN"), NODATA, Said()],
                         ids=["NXDOMAIN", "NXDOMAIN without SOA", "NODATA", "nothing at all"])  # fmt: skip
def test_verify_passes_on_what_is_no_failure(said: Said) -> None:
    cached = Cached("cache {;serve_stale 1h verify;}")
    cached.fill(OLD)
    cached.say(said)
    reply = cached.ask(at_s=70)
    assert dns.rcode.to_text(reply.rcode()) == said.rcode
    assert reply.answer == []
    assert "served_stale" not in cached.counters


def test_verify_of_a_stale_denial() -> None:
    cached = Cached("cache {;serve_stale 1h verify;}")
    cached.fill(replace(NXDOMAIN, authority=[soa(60)]))
    cached.say(NEW)
    assert address(cached.ask(at_s=70)) == a(300, 2)
    cached.say(None)
    assert address(cached.ask(at_s=71)) == a(299, 2), "the denial does not hide the answer that is newer"


def test_verify_asks_each_time() -> None:
    cached = Cached("cache {;serve_stale 1h verify;}")
    cached.fill(OLD)
    cached.say(None)
    for at_s in (70, 71):
        assert address(cached.ask(at_s=at_s)) == a(0)
    assert cached.upstream.asked == 3


def test_verify_asks_for_each_query() -> None:
    """Equal questions are joined further down."""
    cached = Cached("cache {;serve_stale 1h verify;}")
    cached.fill(OLD)
    cached.upstream.park()
    for _ in range(3):
        assert cached.try_to_ask(at_s=70) is PARKED


def test_steps_before_the_cache_see_nothing_of_what_nobody_waits_for() -> None:
    cached = Cached("cache {;serve_stale 1h verify 100ms;}", outer=[ErrorsStep(0)])
    cached.fill(OLD)
    cached.upstream.park()
    cached.try_to_ask(at_s=70)
    cached.resume(at_s=70.1, stale=True)
    cached.resume(None, at_s=75, background=True)
    assert cached.worker.take_errors() == []


def test_verify_with_recheck_lets_a_failed_upstream_be() -> None:
    cached = Cached("cache {;serve_stale 1h verify 0 0 30s;}")
    cached.fill(OLD)
    cached.say(None)
    for at_s in (70, 71, 99.9):
        assert address(cached.ask(at_s=at_s)) == a(0)
    assert cached.upstream.asked == 2
    cached.ask(at_s=100)
    assert cached.upstream.asked == 3


def test_verify_with_recheck_does_not_ask_twice_at_a_time() -> None:
    cached = Cached("cache {;serve_stale 1h verify 0 0 30s;}")
    cached.fill(OLD)
    cached.upstream.park()
    assert cached.try_to_ask(at_s=70) is PARKED
    assert address(cached.ask(at_s=70.5)) == a(0)
    assert cached.upstream.asked == 2


def test_verify_with_a_timeout_waits_so_long_and_no_longer() -> None:
    cached = Cached("cache {;serve_stale 1h verify 100ms 30s;}")
    cached.fill(OLD)
    cached.upstream.park()
    assert cached.try_to_ask(at_s=70) is PARKED
    assert cached.upstream.stale_after_ns == START_NS + 70 * NS + 100_000_000
    assert address(cached.resume(at_s=70.1, stale=True)) == a(30)
    assert cached.counters == {"requests": 2, "misses": 1, "hits_success": 1, "served_stale": 1}
    assert cached.resume(NEW, at_s=72, background=True) is None
    assert address(cached.ask(at_s=73)) == a(299, 2)
    assert cached.upstream.asked == 2


def test_verify_with_a_timeout_and_an_upstream_that_is_fast() -> None:
    cached = Cached("cache {;serve_stale 1h verify 500ms;}")
    cached.fill(OLD)
    cached.upstream.park()
    cached.try_to_ask(at_s=70)
    reply = cached.resume(NEW, at_s=70.1)
    assert address(reply) == a(300, 2)
    assert reply.flags & dns.flags.AA, "it has come by way of the cache"


def test_verify_with_a_timeout_and_a_reply_that_is_not_kept() -> None:
    cached = Cached("cache {;serve_stale 1h verify 1s;}")
    cached.fill(OLD)
    cached.upstream.park()
    cached.try_to_ask(at_s=70)
    reply = cached.resume(Said(rcode="NXDOMAIN"), at_s=70.1)
    assert reply.rcode() == dns.rcode.NXDOMAIN
    assert not reply.flags & dns.flags.AA


def test_verify_with_a_timeout_and_recheck() -> None:
    cached = Cached("cache {;serve_stale 1h verify 10ms 0 30s;}")
    cached.fill(OLD)
    cached.upstream.park()
    cached.try_to_ask(at_s=70)
    assert address(cached.ask(at_s=70)) == a(0), "others do not wait for it"
    cached.resume(at_s=70.01, stale=True)
    cached.resume(SERVFAIL, at_s=74, background=True)
    assert address(cached.ask(at_s=75)) == a(0)
    assert cached.upstream.asked == 2
    cached.try_to_ask(at_s=104)
    assert cached.upstream.asked == 3


def test_what_is_stale_may_have_gone_when_it_is_needed() -> None:
    cached = Cached("cache {;serve_stale 1h verify 100ms;}")
    cached.fill(OLD)
    cached.upstream.park()
    cached.try_to_ask(at_s=70)
    fresh = Cached("cache {;serve_stale 1h verify 100ms;}")
    fresh.upstream.park()
    assert fresh.resume(at_s=70.1, stale=True) is PARKED, "then the query waits on"
    assert fresh.upstream.stale_after_ns == 0


def test_what_was_stale_may_be_fresh_again_when_it_is_needed() -> None:
    """Another query's refresh was faster."""
    cached = Cached("cache {;serve_stale 1h verify 100ms;}")
    cached.fill(OLD)
    cached.upstream.park()
    cached.try_to_ask(at_s=70)
    cached.resume(NEW, at_s=70.05)
    assert address(cached.resume(at_s=70.1, stale=True)) == a(300, 2)
    assert "served_stale" not in cached.counters


def test_a_miss_does_not_wait_for_less() -> None:
    cached = Cached("cache {;serve_stale 1h verify 100ms;}")
    cached.upstream.park()
    assert cached.try_to_ask() is PARKED
    assert cached.upstream.stale_after_ns == 0
    reply = cached.resume(SERVFAIL)
    assert reply.rcode() == dns.rcode.SERVFAIL
    assert cached.entries == (0, 1)


def test_ad_of_a_verified_answer_is_as_the_client_asks() -> None:
    for timeout in ("", "1s"):
        cached = Cached(f"cache {{;serve_stale 1h verify {timeout};}}")
        cached.fill(OLD)
        cached.upstream.park()
        said = replace(NEW, flags="RD RA AD")
        cached.try_to_ask(question(ad=True), at_s=70)
        assert cached.resume(said, question(ad=True), at_s=70).flags & dns.flags.AD
        assert not cached.ask(at_s=71).flags & dns.flags.AD


# serve_stale_policy prefer_positive

POSITIVE = "serve_stale;serve_stale_policy prefer_positive"
VERIFY_POSITIVE = "serve_stale 1h verify;serve_stale_policy prefer_positive"
# Neither answers nor denials: they are kept with the answers, beside the last good one.
NON_ANSWERS = {
    "nothing": Said(),
    "referral": Said((), ["example.org. 60 IN NS ns.example.org."]),
    "referral with glue": Said(
        (), ["example.org. 60 IN NS ns.example.org."], ["ns.example.org. 60 IN A 192.0.2.53"]
    ),
    "data beside": Said((), (), [a(60, 54)]),
}
DENIALS = {"NXDOMAIN": NXDOMAIN, "NODATA": NODATA}
OUT_OF_ORDER = {"SERVFAIL": SERVFAIL, "NOTIMP": Said(rcode="NOTIMP")}


@pytest.mark.parametrize("said", DENIALS.values(), ids=DENIALS)
def test_prefer_positive_serves_the_stale_answer_though_there_is_a_denial(said: Said) -> None:
    cached = Cached(f"cache {{;{POSITIVE};}}")
    cached.fill(OLD)
    cached.upstream.park()
    cached.ask(at_s=70)
    cached.resume(said, at_s=70, background=True)
    assert cached.entries == (1, 1), "the denial is kept, too"
    reply = cached.ask(at_s=71)
    assert address(reply) == a(0)
    assert cached.upstream.asked_in_background == 2


@pytest.mark.parametrize("mode", ["", "1h verify", "1h verify 1s"])
@pytest.mark.parametrize("said", OUT_OF_ORDER.values(), ids=OUT_OF_ORDER)
@pytest.mark.parametrize(
    "old", [OLD, *DENIALS.values(), *NON_ANSWERS.values()], ids=["answer", *DENIALS, *NON_ANSWERS]
)
def test_prefer_positive_does_not_prefer_a_failure_to_what_is_stale(old: Said, said: Said, mode: str) -> None:
    """It took the place of a stale denial, and clients got SERVFAIL."""
    cached = Cached(f"cache {{;serve_stale {mode};serve_stale_policy prefer_positive;}}")
    first = cached.fill(old)
    before = cached.entries
    cached.say(said)
    for at_s in (700, 701):
        reply = cached.ask(at_s=at_s)
        assert reply.rcode() == first.rcode()
        assert [len(section) for section in reply.sections] == [len(section) for section in first.sections]
    assert cached.entries == before
    assert cached.upstream.asked == 3, "each time"


def test_without_the_policy_the_denial_is_served() -> None:
    cached = Cached("cache {;serve_stale;}")
    cached.fill(OLD)
    cached.upstream.park()
    cached.ask(at_s=70)
    cached.resume(NXDOMAIN, at_s=70, background=True)
    assert cached.ask(at_s=71).rcode() == dns.rcode.NXDOMAIN


@pytest.mark.parametrize("said", DENIALS.values(), ids=DENIALS)
def test_prefer_positive_verify_passes_on_answers_only(said: Said) -> None:
    cached = Cached(f"cache {{;{VERIFY_POSITIVE};}}")
    cached.fill(OLD)
    cached.say(said)
    reply = cached.ask(at_s=70)
    assert address(reply) == a(0)
    assert reply.rcode() == dns.rcode.NOERROR
    assert cached.entries == (1, 1), "the denial is kept, too"
    cached.say(NEW)
    assert address(cached.ask(at_s=71)) == a(300, 2)
    assert cached.entries == (1, 0), "an answer is newer than the denial"


@pytest.mark.parametrize("said", NON_ANSWERS.values(), ids=NON_ANSWERS)
def test_prefer_positive_verify_of_what_is_no_answer(said: Said) -> None:
    cached = Cached(f"cache {{;{VERIFY_POSITIVE};}}")
    cached.fill(OLD)
    cached.say(said)
    assert address(cached.ask(at_s=70)) == a(0)
    assert cached.entries == (2, 0)


@pytest.mark.parametrize("timeout", ["", "1s"], ids=["verify", "verify 1s"])
@pytest.mark.parametrize("said", [FAILURES["truncated"], FAILURES["expired signature"]], ids=["TC", "expired"])
def test_prefer_positive_verify_of_an_answer_that_is_none(said: Said, timeout: str) -> None:
    cached = Cached(f"cache {{;serve_stale 1h verify {timeout};serve_stale_policy prefer_positive;}}")
    cached.fill(OLD, EDNS_DO)
    cached.upstream.park()
    cached.try_to_ask(EDNS_DO, at_s=70)
    reply = cached.resume(said, EDNS_DO, at_s=70)
    assert records(reply.answer) == [a(0)]
    assert cached.entries == (1, 0)


@pytest.mark.parametrize("said", NON_ANSWERS.values(), ids=NON_ANSWERS)
def test_prefer_positive_keeps_the_last_good_answer(said: Said) -> None:
    cached = Cached(f"cache {{;{POSITIVE};}}")
    cached.fill(OLD)
    cached.upstream.park()
    for at_s in (70, 80, 90):
        assert address(cached.ask(at_s=at_s)) == a(0)
        cached.resume(said, at_s=at_s, background=True)
    assert cached.entries == (2, 0), "what is no answer stands beside it"
    cached.ask(at_s=100)
    cached.resume(NEW, at_s=100, background=True)
    assert cached.entries == (1, 0), "a good one takes the place of both"
    assert address(cached.ask(at_s=101)) == a(299, 2)


def test_the_last_good_answer_is_not_served_for_ever() -> None:
    cached = Cached("cache {;serve_stale 100s;serve_stale_policy prefer_positive;}")
    cached.fill(OLD)
    cached.upstream.park()
    cached.ask(at_s=70)
    cached.resume(NXDOMAIN, at_s=70, background=True)
    assert address(cached.ask(at_s=159)) == a(0)
    assert cached.ask(at_s=160).rcode() == dns.rcode.NXDOMAIN


def test_what_is_no_answer_is_served_where_there_has_never_been_one() -> None:
    cached = Cached(f"cache {{;{POSITIVE};}}")
    cached.fill(NON_ANSWERS["data beside"])
    reply = cached.ask(at_s=10)
    assert records(reply.additional) == [a(50, 54)]
    assert cached.upstream.asked == 1


def test_a_denial_goes_before_what_is_no_answer() -> None:
    cached = Cached(f"cache {{;{POSITIVE};prefetch 1 1m 90%;}}")
    cached.fill(NON_ANSWERS["data beside"])
    cached.say(NXDOMAIN)
    cached.ask(at_s=20)
    assert cached.ask(at_s=21).rcode() == dns.rcode.NXDOMAIN


def test_without_the_policy_what_is_no_answer_takes_the_place_of_an_answer() -> None:
    cached = Cached("cache {;serve_stale;}")
    cached.fill(OLD)
    cached.upstream.park()
    cached.ask(at_s=70)
    cached.resume(NON_ANSWERS["data beside"], at_s=70, background=True)
    assert cached.ask(at_s=71).answer == []
    assert cached.entries == (1, 0)
