"""Everything is listed anew, with a snapshot being kept: what the processes hold does not grow for it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from fastdns.bench import cluster
from fastdns.bench.apiserver import service
from fastdns.bench.apiserver.process import Process
from tests.integration.faults.support import seconds
from tests.support import COREFILE, Server, wait_until

pytestmark = pytest.mark.alone

# A cluster that is large beside what the processes themselves are.
SERVICES = 10_000 if seconds(0) else 1_000
PROMISE = 1.25
SETTLE_S = 1.5
RELISTS = "fastdns_kubernetes_relists_total"


def test_a_full_relist_takes_a_quarter_more_at_most(tmp_path: Path) -> None:
    source = f'kubeconfig "{tmp_path}/kubeconfig"\n        snapshot "{tmp_path}/snapshot"'
    corefile = COREFILE.replace('manifests "MANIFESTS"', source)
    with (
        Process(services=SERVICES, endpoints=10, kubeconfig=tmp_path / "kubeconfig") as api,
        Server(tmp_path, corefile) as fastdns,
    ):
        wait_until(lambda: fastdns.http("/ready") == (200, "OK"), 60)
        wait_until((tmp_path / "snapshot").exists, 60)
        # The first scrape imports what writes metrics.
        listed = fastdns.total(RELISTS, why="gone")
        steady = cluster.steady(fastdns.process.pid)
        with cluster.Memory(fastdns.process.pid) as memory:
            for resource in cluster.RESOURCES:
                api.fault("gone", resource=resource, verb="watch", times=1)
            api.post("disconnect")
            wait_until(lambda: fastdns.total(RELISTS, why="gone") >= listed + 3, 60)
            api.post("put", service("last", "default", cluster_ips=["10.98.0.1"]))
            wait_until(lambda: fastdns.addresses("last.default.svc.cluster.local.") == ["10.98.0.1"], 60)
            time.sleep(SETTLE_S)
        peak = cluster.memory_mib(memory.peak)
        ratio = peak["all"] / steady["all"]
    print(f"{SERVICES} services: {steady} steady, {peak} at most while listed anew, {ratio:.2f} of it")
    assert memory.looks > 5
    assert ratio <= PROMISE


def test_an_expired_continue_token_takes_a_quarter_more_at_most(tmp_path: Path) -> None:
    """The third try lists everything in one answer, which was held whole and decoded whole."""
    corefile = COREFILE.replace('manifests "MANIFESTS"', f'kubeconfig "{tmp_path}/kubeconfig"')
    with (
        Process(services=SERVICES, endpoints=10, kubeconfig=tmp_path / "kubeconfig") as api,
        Server(tmp_path, corefile) as fastdns,
    ):
        wait_until(lambda: fastdns.http("/ready") == (200, "OK"), 60)
        listed = fastdns.total(RELISTS, why="gone")
        steady = cluster.steady(fastdns.process.pid)
        with cluster.Memory(fastdns.process.pid) as memory:
            for resource in cluster.RESOURCES:
                api.fault("expired_continue", resource=resource, verb="list")
                api.fault("no_streaming", resource=resource, verb="watch")
                api.fault("gone", resource=resource, verb="watch", times=1)
            api.post("disconnect")
            wait_until(lambda: fastdns.total(RELISTS, why="gone") >= listed + 3, 60)
            api.post("put", service("last", "default", cluster_ips=["10.98.0.1"]))
            wait_until(lambda: fastdns.addresses("last.default.svc.cluster.local.") == ["10.98.0.1"], 60)
            time.sleep(SETTLE_S)
        asked = [request["query"] for request in api.get("requests")]
        after = cluster.steady(fastdns.process.pid)
    peak = cluster.memory_mib(memory.peak)
    print(f"{SERVICES} services: {steady} steady, {peak} at most while listed whole, {after} after it")
    assert any("limit" not in query and "watch" not in query for query in asked), "nothing was listed whole"
    assert peak["all"] <= PROMISE * steady["all"] and after["all"] <= PROMISE * steady["all"]
