"""Names that another step looks up through the whole server: the target of an ExternalName service."""

from __future__ import annotations

import dns.message
import pytest

from fastdns.plugins.cache._cache import Cache
from fastdns.plugins.cache._step import CacheStep
from tests.plugins.cache._trial import PARKED, ScriptedUpstream, Trial
from tests.plugins.cache.support import NS, START_NS, Cached, Said, a, block_of, question, records, soa
from tests.plugins.kubernetes.support import Cluster, Options

pytestmark = pytest.mark.native

SERVICE = """
kind: Service
metadata: {name: ext, namespace: ns1}
spec: {type: ExternalName, externalName: target.example.org}
---
kind: Namespace
metadata: {name: ns1}
"""
NAME = "ext.ns1.svc.cluster.local."
TARGET = "target.example.org."
CNAME = f"{NAME} 5 IN CNAME {TARGET}"
INNER = question(TARGET)


class External:
    """A cluster zone without a cache, and the rest of the world with one."""

    def __init__(self, directive: str = "cache") -> None:
        config = block_of(directive).plugins["cache"]
        self.cache = Cache(1024, 1024)
        self.upstream = ScriptedUpstream()
        self.cluster = Cluster(
            Options(zones=("cluster.local.",)),
            SERVICE,
            extra_zones={".": [CacheStep(self.cache, config), self.upstream]},
        )
        self.trial = Trial(self.cluster.worker, self.upstream)

    def ask(self, at_s: float = 0.0) -> dns.message.Message | object:
        query = question(NAME)
        return Cached.parsed(query, self.trial.ask(query.to_wire(), START_NS + int(at_s * NS)))

    def entries(self) -> tuple[int, int]:
        return self.cache.entries("success"), self.cache.entries("denial")


def test_the_targets_address_is_kept_and_the_alias_is_not() -> None:
    external = External()
    external.upstream.answer(Said([a(300, 1, TARGET)]).to(INNER))
    assert records(external.ask().answer) == [CNAME, a(300, 1, TARGET)]
    external.upstream.answer(None)
    assert records(external.ask(100).answer) == [CNAME, a(200, 1, TARGET)]
    assert external.entries() == (1, 0)
    assert external.upstream.asked == 1


def test_the_targets_absence_is_kept() -> None:
    external = External()
    external.upstream.answer(Said((), [soa(300)], rcode="NXDOMAIN").to(INNER))
    for at_s in (0, 100):
        assert records(external.ask(at_s).answer) == [CNAME]
    assert external.entries() == (0, 1)
    assert external.upstream.asked == 1


def test_a_target_that_has_to_be_waited_for() -> None:
    external = External()
    external.upstream.park()
    assert external.ask() is PARKED
    external.upstream.answer(Said([a(300, 1, TARGET)]).to(INNER))
    assert records(external.ask(1).answer) == [CNAME, a(300, 1, TARGET)]


@pytest.mark.parametrize("directive", ["cache {;prefetch 1;}", "cache {;serve_stale;}"], ids=["prefetch", "stale"])
def test_a_refresh_of_the_target_leaves_the_answer_whole(directive: str) -> None:
    """The refresh runs in the midst of the outer answer."""
    external = External(directive)
    external.upstream.answer(Said([a(60, 1, TARGET)]).to(INNER))
    external.ask()
    at_s, left_s = (55, 5) if "prefetch" in directive else (61, 0)
    external.upstream.park()
    assert records(external.ask(at_s).answer) == [CNAME, a(left_s, 1, TARGET)]
    assert external.upstream.asked_in_background == 1


def test_a_stale_target_with_an_answer_at_hand() -> None:
    external = External("cache {;serve_stale;}")
    external.upstream.answer(Said([a(60, 1, TARGET)]).to(INNER))
    external.ask()
    external.upstream.answer(Said([a(300, 2, TARGET)]).to(INNER))
    assert records(external.ask(61).answer) == [CNAME, a(0, 1, TARGET)]
    assert records(external.ask(61).answer) == [CNAME, a(300, 2, TARGET)]


def test_a_stale_target_where_the_upstream_fails() -> None:
    external = External("cache {;serve_stale 1h verify;}")
    external.upstream.answer(Said([a(60, 1, TARGET)]).to(INNER))
    external.ask()
    external.upstream.answer(None)
    assert records(external.ask(61).answer) == [CNAME, a(0, 1, TARGET)]
