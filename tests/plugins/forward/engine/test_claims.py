"""Questions that other threads ask: who finds a mark in the cache's memory follows it, for as long as it counts."""

from __future__ import annotations

import mmap
import struct
import time
from dataclasses import dataclass

import dns.rcode
import pytest

from tests.plugins.forward.engine.support import Forwarder, Upstream, a, addresses, forward, response, with_rcode
from tests.support import wait_until

pytestmark = pytest.mark.native

GIVEN_BACK = 1 << 32
WEEKS_MS = 30 * 86_400_000
# sizeof(CacheHeader) without its claims; and how many there are.
CLAIMS_AT, CLAIMS = 64 + 2 * 128, 4096


class Marks:
    """The claims of a cache, as any thread could write them."""

    def __init__(self, forwarder: Forwarder) -> None:
        cache = forwarder.caches[0].cache
        self.memory = mmap.mmap(cache.fd, CLAIMS_AT + CLAIMS * 8)

    def only(self) -> tuple[int, int]:
        """Where the only mark is, and what it is."""
        values = struct.unpack_from(f"={CLAIMS}Q", self.memory, CLAIMS_AT)
        ((place, mark),) = [(place, value) for place, value in enumerate(values) if value]
        return place, mark

    def write(self, place: int, mark: int, age_ms: int, *, given_back: bool) -> None:
        """The same question's mark, so old."""
        at_ms = time.monotonic_ns() // 1_000_000 - age_ms & 0xFFFFFFFF
        mark = mark >> 33 << 33 | (GIVEN_BACK if given_back else 0) | at_ms
        struct.pack_into("=Q", self.memory, CLAIMS_AT + place * 8, mark)


@dataclass(frozen=True)
class Case:
    age_ms: int
    given_back: bool
    follows: bool
    why: str


CASES = [
    Case(20, False, True, "another thread asks"),
    Case(-20, False, True, "another thread asks, and its clock is ahead"),
    Case(1500, False, False, "who asked has died, or takes too long"),
    Case(WEEKS_MS, False, False, "who asked died weeks ago: half of 32 bits of milliseconds"),
    Case(1500, True, False, "answered before this query came"),
    Case(-20, True, True, "answered since this query came: it is in the cache"),
    Case(WEEKS_MS, True, False, "answered weeks ago"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.why)
def test_who_follows(case: Case) -> None:
    with (
        Upstream(with_rcode(dns.rcode.REFUSED)) as up,
        Forwarder(forward(up.to, max_fails=0) + "\ncache") as forwarder,
    ):
        assert forwarder.ask().rcode() == dns.rcode.REFUSED
        marks = Marks(forwarder)
        place, mark = marks.only()
        assert mark & GIVEN_BACK, "what has been answered is given back"
        up.script = lambda asked: a(response(asked.message), "192.0.2.7")
        marks.write(place, mark, case.age_ms, given_back=case.given_back)
        begun = time.monotonic()
        # Who follows in vain asks after a second at most.
        assert addresses(forwarder.ask()) == ["192.0.2.7"]
        assert forwarder.count("joined") == case.follows
        if case.follows and not case.given_back:
            assert time.monotonic() - begun > 0.9
        wait_until(lambda: forwarder.out == 0)
