"""The server killed at any moment, over and over, while its cluster changes: each start has a good snapshot."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

import pytest

from fastdns.bench.apiserver import namespace, service
from fastdns.bench.apiserver.process import Process
from tests.integration.faults.load import address_of, name_of
from tests.integration.faults.support import CHAOS_S, NAMES, chance
from tests.support import COREFILE, Server, alive, children, wait_until

pytestmark = pytest.mark.alone


def ask_all(fastdns: Server, rng: random.Random) -> None:
    """Names that have existed throughout, some of them."""
    for number in rng.sample(range(NAMES), 20):
        assert fastdns.addresses(name_of(number)) == [address_of(number)], fastdns.log


def test_killed_at_any_moment(tmp_path: Path) -> None:
    if not CHAOS_S:
        pytest.skip("tests/integration/test_snapshot.py kills it once; make chaos goes on")
    rng = chance("snapshots")
    source = f'kubeconfig "{tmp_path}/kubeconfig"\n        snapshot "{tmp_path}/snapshot"'
    starts, slowest_s = 0, 0.0
    with Process(services=2000, endpoints=10, kubeconfig=tmp_path / "kubeconfig", bookmark_every=1) as api:
        names = [service(f"s{number}", "shop", cluster_ips=[address_of(number)]) for number in range(NAMES)]
        api.post("put", [namespace("kube-system"), namespace("shop"), *names])
        api.post("churn", {"per_second": 50, "seed": 1})
        fastdns = Server(tmp_path, COREFILE.replace('manifests "MANIFESTS"', source))
        ends_s = time.monotonic() + CHAOS_S
        while time.monotonic() < ends_s:
            known = (tmp_path / "snapshot").exists()
            away = known and rng.random() < 0.5
            api.clear()
            if away:
                api.fault("refuse")
            begun_s = time.monotonic()
            with fastdns:
                wait_until(lambda: fastdns.http("/ready")[0] == 200, 60, fastdns.log)
                if known:
                    slowest_s = max(slowest_s, time.monotonic() - begun_s)
                    assert "from the snapshot" in fastdns.log
                assert "is not used" not in fastdns.log
                ask_all(fastdns, rng)
                time.sleep(rng.uniform(0, 4) if known else 2)
                # A listing that is under way, and a file that is being written, are cut off now and then.
                ask_all(fastdns, rng)
                orphans = list(children(fastdns.process.pid))
                fastdns.process.send_signal(signal.SIGKILL)
                fastdns.process.wait(10)
                wait_until(lambda pids=orphans: not any(map(alive, pids)), 10)  # type: ignore[misc]
            starts += 1
    print(f"{starts} starts, the slowest from a snapshot ready after {slowest_s:.2f} s")
    assert starts > 1
