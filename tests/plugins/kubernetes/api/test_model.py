"""Random writes under random faults: when the faults are over, the sink equals the store."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest

from fastdns.bench.apiserver import ApiServer, Store, endpoint, fill, namespace, service, slice_
from tests.plugins.kubernetes.api.support import OFTEN, SELDOM, running, until, until_equal

FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("gone", {"times": 2, "verb": "watch"}),
    ("gone_event", {"times": 2}),
    ("error_event", {"times": 2}),
    ("close", {"times": 3}),
    ("cut", {"times": 2}),
    ("cut", {"times": 2, "after": 50}),
    ("cut", {"times": 2, "after": 5000}),
    ("too_many", {"times": 2, "retry_after_s": 0}),
    ("error", {"times": 2}),
    ("unauthorized", {"times": 1}),
    ("forbidden", {"times": 2}),
    ("expired_continue", {"times": 2}),
    ("no_streaming", {"form": "invalid"}),
    ("no_streaming", {"form": "event"}),
    ("duplicate", {"times": 5}),
    ("garbage", {"times": 1}),
    ("slow", {"chunk": 500, "pause_s": 0.001}),
    ("stall", {"verb": "watch"}),
    ("refuse", {}),
    ("hang", {"verb": "list"}),
]


LIES: list[tuple[str, dict[str, Any]]] = [("drop", {"times": 3}), ("wrong_version", {"times": 3})]


def write(store: Store, rng: random.Random) -> None:
    """One random write."""
    plural = rng.choice(["services", "endpointslices", "endpointslices", "namespaces"])
    name, where = f"o-{rng.randrange(30)}", f"ns-{rng.randrange(3)}"
    held = name if plural == "namespaces" else f"{where}/{name}"
    if held in store.tables[plural].current and rng.random() < 0.4:
        store.delete(plural, "" if plural == "namespaces" else where, name)
    elif plural == "services":
        store.put(service(name, where, cluster_ips=[f"10.0.0.{rng.randrange(250)}"]))
    elif plural == "endpointslices":
        ready = rng.choice([True, False, None])
        store.put(slice_(name, where, service=name, endpoints=[endpoint("10.1.0.1", ready=ready)]))
    else:
        store.put(namespace(name, labels={"n": str(rng.randrange(9))}))


@pytest.mark.parametrize("seed", range(6))
async def test_the_sink_equals_the_store_in_the_end(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    store = Store(seed=seed)
    fill(store, services=30, endpoints=3, seed=seed)
    # Lying servers are part of it where checks run.
    checks, faults = (OFTEN, [*FAULTS, *LIES]) if seed % 2 else (SELDOM, FAULTS)
    async with (
        ApiServer(store, tls=False, bookmark_every_s=0.1) as server,
        running(server, tmp_path, checks=checks, endpoint=server.url, pods="insecure") as run,
    ):
        server.auth = False
        for _ in range(60):
            if rng.random() < 0.3:
                name, more = rng.choice(faults)
                server.faults.set(name, **more)
            elif rng.random() < 0.4:
                server.faults.clear()
            if rng.random() < 0.05:
                server.disconnect()
            if rng.random() < 0.05:
                store.compact()
            for _ in range(rng.randrange(6)):
                write(store, rng)
            await asyncio.sleep(rng.random() * 0.03)
        server.faults.clear()
        await until_equal(server, run.sink, 10.0)
        await until(lambda: run.source.connected)
