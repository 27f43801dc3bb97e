"""Everything is listed anew, with a snapshot being kept: what the processes hold does not grow for it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fastdns.bench.apiserver import endpoint, namespace, service, slice_
from fastdns.bench.apiserver.process import Process
from fastdns.bench.cluster.memory import Memory, memory_mib, steady
from fastdns.bench.cluster.run import RESOURCES
from tests.integration.faults.support import seconds
from tests.support import COREFILE, Server, wait_until

pytestmark = pytest.mark.alone

# A cluster that is large beside what the processes themselves are.
SERVICES = 10_000 if seconds(0) else 1_000
PROMISE = 1.25
SETTLE_S = 1.5
RELISTS = "fastdns_kubernetes_relists_total"


@contextmanager
def relisted(api: Process, fastdns: Server) -> Iterator[Memory]:
    """Cut the watches off, refuse to resume them, and look at the memory until everything is listed anew.

    Nothing is asked for metrics meanwhile: they are rendered by one more process, whose memory would count.
    """
    listed = fastdns.total(RELISTS, why="gone")
    with Memory(fastdns.process.pid) as memory:
        for resource in RESOURCES:
            api.fault("gone", resource=resource, verb="watch", times=1)
        api.post("disconnect")
        # The last of each list: its address shows that all three have been read.
        last = [
            namespace("zz"),
            service("zz", "zz", cluster_ips=["None"]),
            slice_("zz-1", "zz", service="zz", endpoints=[endpoint("10.98.0.1")], headless=True),
        ]
        api.post("put", last)
        wait_until(lambda: fastdns.addresses("zz.zz.svc.cluster.local.") == ["10.98.0.1"], 60)
        time.sleep(SETTLE_S)
        yield memory
    wait_until(lambda: fastdns.total(RELISTS, why="gone") >= listed + len(RESOURCES), 60)


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
        fastdns.http("/metrics")
        before = steady(fastdns.process.pid)
        with relisted(api, fastdns) as memory:
            peak = memory_mib(memory.peak)
    ratio = peak["all"] / before["all"]
    print(f"{SERVICES} services: {before} steady, {peak} at most while listed anew, {ratio:.2f} of it")
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
        fastdns.http("/metrics")
        before = steady(fastdns.process.pid)
        for resource in RESOURCES:
            api.fault("expired_continue", resource=resource, verb="list")
            api.fault("no_streaming", resource=resource, verb="watch")
        with relisted(api, fastdns) as memory:
            peak = memory_mib(memory.peak)
        asked = [request["query"] for request in api.get("requests")]
        after = steady(fastdns.process.pid)
    print(f"{SERVICES} services: {before} steady, {peak} at most while listed whole, {after} after it")
    assert any("limit" not in query and "watch" not in query for query in asked), "nothing was listed whole"
    assert peak["all"] <= PROMISE * before["all"] and after["all"] <= PROMISE * before["all"]
