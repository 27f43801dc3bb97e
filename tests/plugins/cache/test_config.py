"""Every option of cache: what it becomes, and what it refuses, with the place of the mistake."""

from __future__ import annotations

from typing import Any

import pytest

from fastdns.plugins.cache.config import Half, Prefetch, Stale
from tests.corefile.test_plugin_options import Bad, Case, bad, good

SUCCESS, DENIAL = Half(), Half(max_ttl_s=1800)
DEFAULTS: dict[str, Any] = {
    "zones": (".",),
    "success": SUCCESS,
    "denial": DENIAL,
    "servfail_s": 5.0,
    "prefetch": None,
    "stale": None,
    "keep_ttl": False,
}


def stale(text: str, why: str, **fields: Any) -> Case:
    return Case(f"cache {{;serve_stale {text};}}", {"stale": Stale(**fields)}, why=why)


GOOD = [
    Case("cache", DEFAULTS, why="defaults"),
    Case("cache {;}", DEFAULTS, why="an empty block"),
    # cache [TTL] [ZONES...]
    Case("cache 25", {"success": Half(max_ttl_s=25), "denial": Half(max_ttl_s=25)}, why="a TTL caps both"),
    Case("cache +25", {"success": Half(max_ttl_s=25)}, why="a TTL with a sign"),
    Case("cache 2147483647", {"success": Half(max_ttl_s=2**31 - 1)}, why="the longest TTL"),
    Case("cache 25 example.nl", {"zones": ("example.nl.",), "success": Half(max_ttl_s=25)}, why="a TTL and a zone"),
    Case("cache example.nl", {"zones": ("example.nl.",), "success": SUCCESS}, why="a zone"),
    Case("cache aaa Example.nl", {"zones": ("aaa.", "example.nl.")}, why="zones"),
    Case("cache 10.0.0.0/15", {"zones": ("0.10.in-addr.arpa.", "1.10.in-addr.arpa.")}, why="a network"),
    Case("cache", {"zones": ("a.", "b.")}, zones="a b", why="the zones of the block"),
    Case("cache c", {"zones": ("c.",)}, zones="a b", why="other zones than the block's"),
    # success, denial
    Case("cache {;success 10;}", {"success": Half(10), "denial": DENIAL}, why="a capacity"),
    Case("cache {;success 0;}", {"success": Half(0)}, why="no capacity, which is the least"),
    Case("cache {;success 10 1800;}", {"success": Half(10, max_ttl_s=1800)}, why="a capacity and a TTL"),
    Case("cache {;success 10 1800 30;}", {"success": Half(10, None, 1800, 30)}, why="and a least TTL"),
    Case("cache {;success 10 1800 0;}", {"success": Half(10, None, 1800, 0)}, why="no least TTL"),
    Case("cache {;denial 10 15 2;}", {"success": SUCCESS, "denial": Half(10, None, 15, 2)}, why="denial"),
    Case(
        "cache 25 example.nl {;success 10;denial 10 15;}",
        {"success": Half(10, max_ttl_s=25), "denial": Half(10, max_ttl_s=15)},
        why="a TTL of its own goes before the common one",
    ),
    Case("cache {;success 5;success 10;}", {"success": Half(10)}, why="the last one counts"),
    # max_bytes
    Case(
        "cache {;max_bytes 1000000;}",
        {"success": Half(max_bytes=10**6), "denial": Half(max_bytes=10**6, max_ttl_s=1800)},
        why="bytes of both",
    ),
    Case(
        "cache {;max_bytes 64Mi 500k;}",
        {"success": Half(max_bytes=64 << 20), "denial": Half(max_bytes=500_000, max_ttl_s=1800)},
        why="bytes of each",
    ),
    *(
        Case(f"cache {{;max_bytes {text};}}", {"success": Half(max_bytes=size)}, why=f"a size of {text}")
        for text, size in (("65536", 65536), ("100k", 100_000), ("1M", 10**6), ("1G", 10**9), ("64Ki", 65536),
                           ("1Mi", 1 << 20), ("1Gi", 1 << 30), ("1024Gi", 1 << 40))
    ),
    Case("cache {;success 5;max_bytes 1M;success 10;}", {"success": Half(10, 10**6)}, why="capacity and bytes"),
    # prefetch
    Case("cache {;prefetch 10;}", {"prefetch": Prefetch(10, 60.0, 10)}, why="prefetch"),
    Case("cache {;prefetch 10 5m;}", {"prefetch": Prefetch(10, 300.0, 10)}, why="prefetch with a duration"),
    Case("cache {;prefetch 1 0 90%;}", {"prefetch": Prefetch(1, 0.0, 90)}, why="prefetch with a percentage"),
    Case("cache {;prefetch 1 1m 10%;}", {"prefetch": Prefetch(1, 60.0, 10)}, why="the least percentage"),
    Case("cache {;prefetch 0;}", {"prefetch": None}, why="no prefetch"),
    Case("cache {;prefetch 5;prefetch 0 1m;}", {"prefetch": None}, why="no prefetch after all"),
    # serve_stale
    stale("", "for an hour", limit_s=3600.0),
    stale("20m", "for a duration", limit_s=1200.0),
    stale("1h20m", "for a longer duration", limit_s=4800.0),
    stale("0m", "not at all", limit_s=0.0),
    stale("0", "not at all, without a unit", limit_s=0.0),
    stale("0 verify", "verify", limit_s=0.0, verify=True),
    stale("0 immediate", "immediate", limit_s=0.0),
    stale("1h VERIFY", "in capitals", verify=True),
    stale("1h immediate 30s", "with a TTL", ttl_s=30),
    stale("1h immediate 30s 30s", "with a TTL and a recheck", ttl_s=30, recheck_s=30.0),
    stale("1h immediate 4294967295s", "with the longest TTL", ttl_s=2**32 - 1),
    stale("1h immediate 0 0", "with neither", ttl_s=0),
    stale("1h verify 100ms", "verify with a timeout", verify=True, timeout_s=0.1),
    stale("1h verify 100ms 30s", "verify with a TTL", verify=True, timeout_s=0.1, ttl_s=30),
    stale("1h verify 100ms 30s 250ms", "verify, recheck", verify=True, timeout_s=0.1, ttl_s=30, recheck_s=0.25),
    stale("1h verify 0", "verify without a timeout", verify=True),
    stale("1h verify 0 1m", "verify with a TTL alone", verify=True, ttl_s=60),
    stale("1h verify 0 0 5m", "the longest recheck", verify=True, recheck_s=300.0),
    Case("cache {;serve_stale 1h verify 1s;serve_stale 2h;}", {"stale": Stale(7200.0)}, why="the last one counts"),
    # serve_stale_policy
    Case(
        "cache {;serve_stale;serve_stale_policy prefer_positive;}",
        {"stale": Stale(prefer_positive=True)},
        why="a policy",
    ),
    Case(
        "cache {;serve_stale_policy PREFER_POSITIVE;serve_stale 1m verify;}",
        {"stale": Stale(60.0, verify=True, prefer_positive=True)},
        why="a policy in capitals, before serve_stale",
    ),
    # servfail
    *(
        Case(f"cache {{;servfail {text};}}", {"servfail_s": seconds}, why=f"servfail {text}")
        for text, seconds in (("1s", 1.0), ("5m", 300.0), ("0s", 0.0), ("0", 0.0), ("500ms", 0.5))
    ),
    # disable
    Case(
        "cache {;disable denial example.com Example.org;}",
        {"denial": Half(max_ttl_s=1800, disabled=("example.com.", "example.org.")), "success": SUCCESS},
        why="disable denial",
    ),
    Case(
        "cache {;disable success example.com;disable denial;}",
        {"success": Half(disabled=("example.com.",)), "denial": Half(max_ttl_s=1800, disabled=(".",))},
        why="disable both",
    ),
    Case("cache {;disable success;}", {"success": Half(disabled=(".",))}, why="disable for all names"),
    Case("cache {;disable success a;disable success b;}", {"success": Half(disabled=("b.",))}, why="the last one"),
    # keepttl
    Case("cache {;keepttl;}", {"keep_ttl": True}, why="keepttl"),
]  # fmt: skip

BAD = [
    Bad("cache;cache", "only once", line=3, why="repeated"),
    Bad("cache 0", "from 1 to 2147483647, got 0", why="TTL 0"),
    Bad("cache 0 example.nl", "from 1", why="TTL 0 and a zone"),
    Bad("cache -1 example.nl", "from 1", why="a negative TTL"),
    Bad("cache 2147483648", "from 1 to 2147483647", why="a TTL over RFC 2181's"),
    Bad("cache 99999999999999999999", "from 1 to 2147483647", why="a TTL beyond all bounds"),
    Bad("cache a..b", "not a valid domain name", why="a bad zone"),
    Bad("cache {;positive 15;}", "unknown option 'positive'", line=3, why="an unknown option"),
    Bad("cache {;keeptll;}", "did you mean 'keepttl'?", line=3, why="a misspelt option"),
    # success, denial
    Bad("cache {;success;denial 10 15;}", "a capacity", line=3, why="no capacity"),
    Bad("cache {;success 15;denial aaa;}", "the capacity of denial must be", line=4, why="no number"),
    Bad("cache {;success -1;}", "from 0 to 100000000", line=3, why="a negative capacity"),
    Bad("cache {;success 100000001;}", "from 0 to 100000000", line=3, why="a capacity that no memory has"),
    Bad("cache {;success 1 0;}", "from 1", line=3, why="TTL 0 of success"),
    Bad("cache {;denial 1 -5;}", "from 1", line=3, why="a negative TTL of denial"),
    Bad("cache {;success 1 aaa;}", "the TTL must be a whole number", line=3, why="no TTL"),
    Bad("cache {;success 1 5s;}", "got '5s'", line=3, why="a TTL with a unit"),
    Bad("cache {;success 1 5 -1;}", "the least TTL must be", line=3, why="a negative least TTL"),
    Bad("cache {;success 1 5 x;}", "the least TTL must be", line=3, why="no least TTL"),
    Bad("cache {;success 1 5 1 2;}", "a least TTL", line=3, why="one argument too many"),
    # max_bytes
    Bad("cache {;max_bytes;}", "the bytes of success", line=3, why="no bytes"),
    Bad("cache {;max_bytes 1M 1M 1M;}", "the bytes of success", line=3, why="three sizes"),
    Bad("cache {;max_bytes 1T;}", "no size; one looks like 64Mi", line=3, why="an unknown unit"),
    Bad("cache {;max_bytes 1m;}", "no size", line=3, why="a unit of thousandths"),
    Bad("cache {;max_bytes 1.5M;}", "no size", line=3, why="a fraction"),
    Bad("cache {;max_bytes -1M;}", "no size", line=3, why="a negative size"),
    Bad("cache {;max_bytes 65535;}", "must be 65536 to 1099511627776 bytes, got 65535", line=3, why="too little"),
    Bad("cache {;max_bytes 1M 1;}", "must be 65536", line=3, why="too little for denial"),
    Bad("cache {;max_bytes 1025Gi;}", "must be 65536", line=3, why="too much"),
    # prefetch
    Bad("cache {;prefetch;}", "a number of hits", line=3, why="prefetch without a number"),
    Bad("cache {;prefetch 1 1m 10% x;}", "a number of hits", line=3, why="prefetch with too much"),
    Bad("cache {;prefetch -1;}", "the hits of prefetch must be a whole number from 0", line=3, why="negative hits"),
    Bad("cache {;prefetch 16777216;}", "to 16777215", line=3, why="more hits than are counted"),
    Bad("cache {;prefetch x;}", "the hits of prefetch", line=3, why="no hits"),
    Bad("cache {;prefetch 0 blurp;}", "the duration of prefetch", line=3, why="a bad duration"),
    Bad("cache {;prefetch 1 -1m;}", "at least 0s", line=3, why="a negative duration"),
    Bad("cache {;prefetch 1 1m 10;}", "ends in %, got '10'", line=3, why="a percentage without its sign"),
    Bad("cache {;prefetch 1 1m 9%;}", "from 10 to 90", line=3, why="too small a percentage"),
    Bad("cache {;prefetch 1 1m 91%;}", "from 10 to 90", line=3, why="too large a percentage"),
    Bad("cache {;prefetch 1 1m %;}", "the percentage of prefetch", line=3, why="no percentage"),
    # serve_stale
    Bad("cache {;serve_stale 20;}", "no duration", line=3, why="a duration without a unit"),
    Bad("cache {;serve_stale -20m;}", "at least 0s", line=3, why="a negative duration of staleness"),
    Bad("cache {;serve_stale aa;}", "no duration", line=3, why="no duration of staleness"),
    Bad("cache {;serve_stale 1m nono;}", "it is immediate or verify", line=3, why="an unknown mode"),
    Bad("cache {;serve_stale 0 after nono;}", "it is immediate or verify", line=3, why="another unknown mode"),
    Bad("cache {;serve_stale 1h immediate 100ms;}", "must be whole seconds", line=3, why="a fractional TTL"),
    Bad("cache {;serve_stale 1h immediate 4294967296s;}", "the TTL of serve_stale", line=3, why="too long a TTL"),
    Bad("cache {;serve_stale 1h immediate -1s;}", "the TTL of serve_stale", line=3, why="a negative stale TTL"),
    Bad("cache {;serve_stale 1h immediate x;}", "the TTL of serve_stale", line=3, why="no stale TTL"),
    Bad("cache {;serve_stale 1h immediate 30s x;}", "the recheck of serve_stale", line=3, why="no recheck"),
    Bad("cache {;serve_stale 1h immediate 30s -1s;}", "from 0s to 300s", line=3, why="a negative recheck"),
    Bad("cache {;serve_stale 1h immediate 30s 5m1s;}", "from 0s to 300s", line=3, why="too long a recheck"),
    Bad("cache {;serve_stale 1h immediate 1s 1s x;}", "expected a duration", line=3, why="too much for immediate"),
    Bad("cache {;serve_stale 1h verify -1ms;}", "the timeout of verify", line=3, why="a negative timeout"),
    Bad("cache {;serve_stale 1h verify x;}", "the timeout of verify", line=3, why="no timeout"),
    Bad("cache {;serve_stale 1h verify 1s 500ms;}", "whole seconds", line=3, why="a fractional TTL after verify"),
    Bad("cache {;serve_stale 1h verify 1s 1s -1s;}", "the recheck", line=3, why="a negative recheck after verify"),
    Bad("cache {;serve_stale 1h verify 1s 1s 1s x;}", "expected a duration", line=3, why="too much after verify"),
    # serve_stale_policy
    Bad("cache {;serve_stale_policy prefer_positive;}", "needs serve_stale", line=3, why="a policy alone"),
    Bad("cache {;serve_stale;serve_stale_policy;}", "one argument", line=4, why="no policy"),
    Bad("cache {;serve_stale;serve_stale_policy prefer_positive x;}", "one argument", line=4, why="two policies"),
    Bad("cache {;serve_stale;serve_stale_policy x;}", "it is prefer_positive", line=4, why="an unknown policy"),
    Bad(
        "cache {;serve_stale;serve_stale_policy prefer_positive;serve_stale_policy prefer_positive;}",
        "only once", line=5, why="a policy, twice",
    ),
    # servfail
    Bad("cache {;servfail;}", "one argument", line=3, why="servfail without a duration"),
    Bad("cache {;servfail 6m;}", "from 0s to 300s", line=3, why="servfail over RFC 2308's five minutes"),
    Bad("cache {;servfail 20;}", "no duration", line=3, why="servfail without a unit"),
    Bad("cache {;servfail -1s;}", "from 0s", line=3, why="negative servfail"),
    Bad("cache {;servfail 1m x;}", "one argument", line=3, why="servfail with too much"),
    # disable
    Bad("cache {;disable;}", "success or denial", line=3, why="disable nothing"),
    Bad("cache {;disable invalid example.com;}", "success or denial", line=3, why="disable something else"),
    Bad("cache {;disable denial a..b;}", "not a valid domain name", line=3, why="disable a bad zone"),
    # keepttl
    Bad("cache {;keepttl x;}", "no argument", line=3, why="keepttl with a value"),
]  # fmt: skip


@pytest.mark.parametrize("case", GOOD, ids=[case.why for case in GOOD])
def test_good_options(case: Case) -> None:
    good(case, "cache")


@pytest.mark.parametrize("case", BAD, ids=[case.why for case in BAD])
def test_bad_options(case: Bad) -> None:
    bad(case, "cache")
