"""Prefetch: when it begins, and what becomes of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from tests.plugins.cache._trial import PARKED
from tests.plugins.cache.support import (
    NAME,
    NEW,
    NXDOMAIN,
    OLD,
    REFERRAL,
    Cached,
    Said,
    a,
    address,
    question,
    soa,
)

pytestmark = pytest.mark.native


@dataclass(frozen=True)
class Fetch:
    """hits: when a client asks, seconds after the first one has. fetches: how often below was asked meanwhile."""

    why: str
    directive: str
    ttl_s: int
    hits: tuple[float, ...]
    fetches: int


FETCHES = [
    Fetch("not before ten percent are left", "prefetch 1", 80, (71.9,), 0),
    Fetch("at ten percent", "prefetch 1", 80, (72,), 1),
    Fetch("at the last second, of a short TTL", "prefetch 1", 5, (4,), 1),
    Fetch("not before the last second of a short TTL", "prefetch 1", 5, (3.9,), 0),
    Fetch("rounded up", "prefetch 1", 21, (17.9,), 0),
    Fetch("rounded up to three seconds", "prefetch 1", 21, (18,), 1),
    Fetch("at another percentage", "prefetch 1 1m 50%", 80, (40,), 1),
    Fetch("not before another percentage", "prefetch 1 1m 50%", 80, (39.9,), 0),
    Fetch("too few hits", "prefetch 3", 80, (70, 71, 71.5), 0),
    Fetch("hits enough, but early", "prefetch 3", 80, (1, 2, 3, 4), 0),
    Fetch("hits enough, the last one late", "prefetch 3", 80, (50, 60, 75), 1),
    Fetch("a gap begins to count anew", "prefetch 3", 300, (10, 20, 280, 285), 0),
    Fetch("a gap that is just none", "prefetch 3", 100, (10, 70, 95), 1),
    Fetch("a gap of a duration of its own", "prefetch 3 10s", 100, (80, 91, 92), 0),
    Fetch("no gap of a duration of its own", "prefetch 3 10s", 100, (80, 90, 92), 1),
    Fetch("the first answer is no hit", "prefetch 1", 5, (), 0),
    Fetch("off", "prefetch 0", 80, (75, 76, 77), 0),
    Fetch("off by default", "", 80, (75, 76, 77), 0),
]


@pytest.mark.parametrize("case", FETCHES, ids=[case.why for case in FETCHES])
def test_prefetch_begins(case: Fetch) -> None:
    cached = Cached(f"cache {{;{case.directive};}}")
    cached.fill(Said([a(case.ttl_s)]))
    cached.upstream.park()
    for at_s in case.hits:
        assert address(cached.ask(at_s=at_s)) == a(case.ttl_s - int(at_s)), "the client never waits"
    assert cached.upstream.asked_in_background == case.fetches
    assert cached.counters.get("prefetches", 0) == case.fetches
    assert cached.upstream.asked == 1 + case.fetches


def test_prefetch_takes_the_new_answer() -> None:
    cached = Cached("cache {;prefetch 1;}")
    cached.fill(OLD)
    cached.upstream.park()
    cached.ask(at_s=55)
    assert cached.resume(NEW, at_s=56, background=True) is None
    assert address(cached.ask(at_s=57)) == a(299, 2)
    assert cached.counters == {"requests": 3, "misses": 1, "hits_success": 2, "prefetches": 1}
    assert cached.upstream.asked_with_ad == 2


def test_prefetch_from_below_at_once() -> None:
    """Whoever answers below does not always need to wait."""
    cached = Cached("cache {;prefetch 1;}")
    cached.fill(OLD)
    cached.say(NEW)
    assert address(cached.ask(at_s=55)) == a(5)
    assert address(cached.ask(at_s=55)) == a(300, 2)


def test_one_prefetch_at_a_time() -> None:
    cached = Cached("cache {;prefetch 1 1m 50%;}")
    cached.fill(OLD)
    cached.upstream.park()
    for n in range(20):
        cached.ask(at_s=40 + n / 10)
    assert cached.upstream.asked_in_background == 1


def test_a_prefetch_that_died_is_not_waited_for_for_ever() -> None:
    cached = Cached("cache {;prefetch 1 1m 50%;}")
    cached.fill(OLD)
    cached.upstream.park()
    cached.ask(at_s=40)
    cached.ask(at_s=49.9)
    assert cached.upstream.asked_in_background == 1
    cached.ask(at_s=50)
    assert cached.upstream.asked_in_background == 2


@pytest.mark.parametrize(
    "said", [None, Said([a(60)], flags="TC"), Said(rcode="REFUSED")], ids=["no", "TC", "REFUSED"]
)
def test_a_prefetch_that_brings_nothing_leaves_what_is_there(said: Said | None) -> None:
    cached = Cached("cache {;prefetch 1 1m 50%;}")
    cached.fill(OLD)
    cached.upstream.park()
    cached.ask(at_s=40)
    cached.resume(said, at_s=41, background=True)
    assert address(cached.ask(at_s=42)) == a(18)
    assert cached.upstream.asked_in_background == 2, "and is tried again"


def test_hits_are_carried_over_by_a_prefetch() -> None:
    cached = Cached("cache {;prefetch 3 1m 50%;}")
    cached.fill(OLD)
    cached.upstream.park()
    for at_s in (10, 20, 35):
        cached.ask(at_s=at_s)
    cached.resume(OLD, at_s=36, background=True)
    cached.ask(at_s=70)
    assert cached.upstream.asked_in_background == 2, "the fourth hit without a gap"


def test_hits_are_not_carried_over_by_a_miss() -> None:
    cached = Cached("cache {;prefetch 3 1m 50%;}")
    cached.fill(OLD)
    for at_s in (10, 20):
        cached.ask(at_s=at_s)
    cached.fill(OLD, at_s=60)
    cached.upstream.park()
    cached.ask(at_s=95)
    assert cached.upstream.asked_in_background == 0


def test_a_denial_is_prefetched_too() -> None:
    cached = Cached("cache {;prefetch 1;}")
    cached.fill(replace(NXDOMAIN, authority=[soa(60)]))
    cached.upstream.park()
    cached.ask(at_s=55)
    cached.resume(NEW, at_s=56, background=True)
    assert cached.entries == (1, 0), "the answer is not hidden behind the denial"
    assert address(cached.ask(at_s=57)) == a(299, 2)


@pytest.mark.parametrize(
    "flags",
    [{"do": True}, {"cd": True}, {"subnet": "192.0.2.0/24"}, {"rd": False}],
    ids=["DO", "CD", "subnet", "no RD"],
)
def test_a_prefetch_is_for_the_same_key(flags: dict[str, bool]) -> None:
    cached = Cached("cache {;prefetch 1;}")
    query = question(**flags)
    cached.fill(OLD, query)
    cached.upstream.park()
    cached.ask(query, at_s=55)
    cached.resume(NEW, query, at_s=56, background=True)
    assert address(cached.ask(query, at_s=57)) == a(299, 2)
    assert cached.try_to_ask(at_s=57) is PARKED, "without them it is another question"


@pytest.mark.parametrize("mode", ["prefetch 1", "serve_stale"])
def test_who_wants_no_recursion_refreshes_nobody_elses_answer(mode: str) -> None:
    """A refresh asks as the client does that sets it off: a referral took the place of a popular answer."""
    cached = Cached(f"cache {{;{mode};}}")
    without = question(rd=False)
    cached.fill(OLD)
    cached.say(REFERRAL, without)
    at_s = 55 if mode == "prefetch 1" else 65
    assert cached.ask(without, at_s=at_s).answer == [], "the upstream has been asked"
    assert cached.upstream.asked_in_background == 0
    cached.say(NEW)
    assert address(cached.ask(at_s=at_s)) == a(60 - at_s if at_s < 60 else 0)
    assert address(cached.ask(at_s=at_s + 1)) == a(299, 2)


# Lookups that other steps start


def test_an_inner_question_is_looked_up_for_itself() -> None:
    """A query that waited for one question may come to another one while it is served again."""
    cached = Cached()
    cached.fill(OLD)
    cached.upstream.park()
    other = question("other.example.org.")
    assert cached.try_to_ask(other, at_s=1) is PARKED
    assert address(cached.ask(at_s=1)) == a(59)
    assert cached.resume(Said([a(60, 1, "other.example.org.")]), other, at_s=2).answer[0].name.to_text() != NAME
