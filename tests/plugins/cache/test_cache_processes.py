"""The shared cache while processes write and read it on all cores, and die at every point."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import struct
import time

import pytest

from fastdns.plugins.cache._cache import MIN_RING_BYTES, Cache, Draft
from tests.plugins.cache.ring import record_bytes
from tests.support import in_child

pytestmark = [pytest.mark.alone, pytest.mark.native]

NS = 1_000_000_000


def payload_of(key: bytes, number: int, stored_ns: int, ttl_s: int) -> bytes:
    """What a reader can check: when it was stored, and bytes that follow from that and from the key."""
    head = struct.pack("=QQI", number, stored_ns, ttl_s)
    return head + hashlib.shake_128(key + head).digest(number * 7919 % 1500)


def check(cache: Cache, key: bytes, now_ns: int) -> bool:
    """Whether the key is there. Fails where it is torn, another's, or expired."""
    got = cache.get("success", key, now_ns)
    if got is None:
        return False
    number, stored_ns, ttl_s = struct.unpack_from("=QQI", got[0])
    assert got[0] == payload_of(key, number, stored_ns, ttl_s), "torn or mixed"
    assert now_ns < stored_ns + ttl_s * NS, "expired"
    return True


POINTS = ("reserved", "header", "half", "all but a byte", "written", "published")


def insert_and_die(cache: Cache, key: bytes, payload: bytes, ttl_s: int, now_ns: int, point: str) -> None:
    """Insert until a named point, then end as if by kill -9."""
    draft = Draft(cache, "success", key, payload, ttl_s, now_ns)
    size = record_bytes(key, payload)
    assert draft.reserve()
    if point != "reserved":
        draft.write({"header": 40 / size, "half": 0.5, "all but a byte": 1 - 1 / size}.get(point, 1.0))
    if point == "published":
        draft.publish()
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("point", POINTS)
def test_a_writer_may_die_at_any_point(point: str) -> None:
    cache = Cache(64, 8, MIN_RING_BYTES, MIN_RING_BYTES)
    old = payload_of(b"key", 3, time.monotonic_ns(), 60)
    new = payload_of(b"key", 4, time.monotonic_ns(), 60)
    cache.put("success", b"key", old, 60, time.monotonic_ns())
    for _ in range(3):
        pid = in_child(lambda: insert_and_die(cache, b"key", new, 60, time.monotonic_ns(), point))
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
        expected = new if point == "published" else old
        assert cache.get("success", b"key", time.monotonic_ns()) == (expected, 60)
    # Everybody goes on as if nothing had been.
    for n in range(2000):
        key = b"key-%d" % (n % 32)
        assert cache.put("success", key, payload_of(key, n, time.monotonic_ns(), 60), 60, time.monotonic_ns())
        assert check(cache, key, time.monotonic_ns())


def write_for_ever(cache: Cache, seed: int) -> None:
    chance = random.Random(seed)
    while True:
        key = b"key-%d" % chance.randrange(60)
        number = chance.randrange(1 << 30)
        ttl_s = chance.choice((0, 1, 1, 60))
        now_ns = time.monotonic_ns()
        payload = payload_of(key, number, now_ns, ttl_s)
        if chance.random() < 0.001:
            insert_and_die(cache, key, payload, ttl_s, now_ns, chance.choice(POINTS))
        if chance.random() < 0.05:
            cache.remove("success", key)
        cache.put("success", key, payload, ttl_s, now_ns)


def read_for(cache: Cache, seed: int, seconds: float) -> None:
    chance = random.Random(seed)
    ends = time.monotonic() + seconds
    found = 0
    while time.monotonic() < ends:
        for _ in range(200):
            found += check(cache, b"key-%d" % chance.randrange(60), time.monotonic_ns())
    assert found > 1000, f"only {found} found"


def test_no_torn_mixed_or_expired_record_while_writers_die_on_all_cores() -> None:
    """Rings and index are so small that everything is overwritten all the time."""
    cache = Cache(32, 8, MIN_RING_BYTES, MIN_RING_BYTES)
    seeds = iter(range(1_000_000))
    cores = os.cpu_count() or 1
    readers = {in_child(lambda: read_for(cache, next(seeds), 6.0)) for _ in range(cores)}
    writers: set[int] = set()
    results = []
    deaths = 0
    while readers:
        while len(writers) < cores + 1:
            seed = next(seeds)
            writers.add(in_child(lambda seed=seed: write_for_ever(cache, seed)))  # type: ignore[misc]
        time.sleep(0.01)
        if random.random() < 0.2:
            os.kill(random.choice(sorted(writers)), signal.SIGKILL)
        for pid in sorted(readers | writers):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended and pid in writers:
                assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL
                writers.discard(pid)
                deaths += 1
            elif ended:
                results.append(os.waitstatus_to_exitcode(status))
                readers.discard(pid)
    for pid in writers:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert results == [0] * cores
    assert deaths > 20
