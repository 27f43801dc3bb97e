"""An API server that goes away, lies, stalls and is replaced: names that existed throughout are answered.

Each fault lasts a moment in which the cluster changes; a query for a name that has come tells when all is well.
What the source does with each is tested in tests/plugins/kubernetes/api; here the whole server is tested.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fastdns.bench.apiserver import namespace, service
from fastdns.bench.apiserver.process import Process
from tests.integration.faults.load import KnownAnswers, address_of, name_of
from tests.integration.faults.support import CHAOS_S, NAMES, SLACK, seconds, tell
from tests.support import COREFILE, Server, wait_until

HEALED_S = 5.0 * SLACK
LASTS_S = 1.0
# Of faults that strike the API server alone: the names are asked for to see what is answered, not how fast.
RATE = 2000 if CHAOS_S else 500

FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("refuse", {}),
    ("hang", {}),
    ("silent", {}),
    ("stall", {}),
    ("slow", {"chunk": 200}),
    ("cut", {}),
    ("garbage", {}),
    ("too_many", {}),
    ("error", {"code": 503}),
    ("not_found", {}),
    ("unauthorized", {}),
    ("forbidden", {}),
    ("gone", {}),
    ("gone_event", {}),
    ("error_event", {}),
    ("close", {}),
    ("duplicate", {}),
    ("wrong_version", {}),
]

# These strike when something is asked for, and nothing is while a watch stands.
AT_REQUESTS = {
    "hang",
    "silent",
    "too_many",
    "error",
    "not_found",
    "unauthorized",
    "forbidden",
    "gone",
    "wrong_version",
}


def known() -> list[Any]:
    """The objects of the names that the load asks for."""
    return [service(f"s{number}", "shop", cluster_ips=[address_of(number)]) for number in range(NAMES)]


class Cluster:
    """A server on an API server that is under the test's control."""

    def __init__(self, api: Process, fastdns: Server) -> None:
        self.api = api
        self.fastdns = fastdns
        self.made = 0

    def change(self) -> tuple[str, str]:
        """One Service more; its name and address."""
        self.made += 1
        address = f"10.98.{self.made >> 8}.{self.made & 255}"
        self.api.post("put", service(f"new{self.made}", "shop", cluster_ips=[address]))
        return f"new{self.made}.shop.svc.cluster.local.", address

    def seen_after(self, name: str, address: str, limit_s: float = 60.0) -> float:
        """Wait until a name has its address. Returns how long that took, in seconds."""
        begun_s = time.monotonic()
        wait_until(lambda: self.fastdns.addresses(name) == [address], limit_s, name)
        return time.monotonic() - begun_s


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One for all faults: whatever the last one has left behind, the next one has to live with."""
    folder = tmp_path_factory.mktemp("api")
    corefile = COREFILE.replace('manifests "MANIFESTS"', f'kubeconfig "{folder}/kubeconfig"')
    with Process(services=50, endpoints=5, kubeconfig=folder / "kubeconfig", bookmark_every=1) as api:
        api.post("put", [namespace("kube-system"), namespace("shop"), *known()])
        with Server(folder, corefile) as fastdns:
            wait_until(lambda: fastdns.http("/ready")[0] == 200, 30)
            yield Cluster(api, fastdns)


@pytest.mark.parametrize(("fault", "how"), FAULTS, ids=[name for name, _ in FAULTS])
def test_a_fault(cluster: Cluster, fault: str, how: dict[str, Any]) -> None:
    with KnownAnswers(cluster.fastdns.port, RATE, NAMES) as load:
        cluster.api.post("churn", {"per_second": 20, "seed": 1})
        struck = cluster.api.get("state")["hits"].get(fault, 0)
        cluster.api.fault(fault, **how)
        if fault in AT_REQUESTS:
            cluster.api.post("disconnect")
        before = cluster.change()
        time.sleep(min(10.0, seconds(LASTS_S)))
        # Of one that nobody has met nothing would be known. (refuse closes what is open.)
        assert fault == "refuse" or cluster.api.get("state")["hits"].get(fault, 0) > struck, "it has not struck"
        during = cluster.change()
        cluster.api.clear()
        at_s = time.monotonic()
        cluster.seen_after(*before)
        cluster.seen_after(*during)
        healed_s = time.monotonic() - at_s
        cluster.api.post("churn", {"per_second": 0})
    tell(load.report, f"API server: {fault}", healed_s)
    assert load.report.wrong == 0
    assert load.report.lost == 0
    assert healed_s < HEALED_S


def test_connections_are_cut_again_and_again(cluster: Cluster) -> None:
    with KnownAnswers(cluster.fastdns.port, RATE, NAMES) as load:
        for _ in range(10):
            name = cluster.change()
            cluster.api.post("disconnect")
            time.sleep(0.1)
        healed_s = cluster.seen_after(*name)
    tell(load.report, "API server: connections cut", healed_s)
    assert load.report.wrong == load.report.lost == 0
    assert healed_s < HEALED_S


@pytest.mark.parametrize("away_s", [LASTS_S, 0.0], ids=["after a while", "at once"])
def test_another_cluster_with_the_same_names(cluster: Cluster, away_s: float) -> None:
    """Restored from scratch: other uids, lower resourceVersions, and what the load asks for."""
    with KnownAnswers(cluster.fastdns.port, RATE, NAMES) as load:
        old = cluster.change()
        cluster.seen_after(*old)
        cluster.api.fault("refuse")
        cluster.api.post("replace", {"services": 50, "endpoints": 5, "seed": 3 + bool(away_s)})
        cluster.api.post("put", [namespace("kube-system"), namespace("shop"), *known()])
        time.sleep(away_s)
        new = cluster.change()
        cluster.api.clear()
        healed_s = cluster.seen_after(*new)
        wait_until(lambda: not cluster.fastdns.addresses(old[0]), 30)
    tell(load.report, "API server: replaced", healed_s)
    assert load.report.wrong == load.report.lost == 0
    assert healed_s < HEALED_S
    assert cluster.fastdns.addresses(name_of(5)) == [address_of(5)]


def test_it_is_silent_at_start(tmp_path: Path) -> None:
    """It accepts and never answers. The next connection came after 10 s, so that ready took 11.3 s."""
    corefile = COREFILE.replace('manifests "MANIFESTS"', f'kubeconfig "{tmp_path}/kubeconfig"')
    with Process(services=50, endpoints=5, kubeconfig=tmp_path / "kubeconfig") as api:
        api.post("put", [namespace("kube-system"), namespace("shop"), *known()])
        api.fault("silent")
        with Server(tmp_path, corefile) as fastdns:
            taken = api.get("state")["hits"].get("silent", 0)
            # It begins to answer at the worst moment: just after it was asked once more.
            wait_until(lambda: api.get("state")["hits"].get("silent", 0) > taken, 30)
            api.clear()
            at_s = time.monotonic()
            wait_until(lambda: fastdns.http("/ready")[0] == 200, 30)
            healed_s = time.monotonic() - at_s
            assert fastdns.addresses(name_of(5)) == [address_of(5)]
    print(f"ready {healed_s:.2f} s after it began to answer")
    # A shared machine is slower, but not as slow as it would be without asking again.
    assert healed_s < (HEALED_S if seconds(0) else 8.0)


def test_its_open_connections_are_dead(cluster: Cluster) -> None:
    """Half-open: no sign of it, and new ones are answered. A change was not seen in 60 s."""
    if not seconds(0):
        pytest.skip("takes up to a minute; make chaos does it")
    with KnownAnswers(cluster.fastdns.port, RATE, NAMES) as load:
        cluster.api.fault("freeze")
        name = cluster.change()
        cluster.api.clear()
        healed_s = cluster.seen_after(*name, limit_s=90)
        # And all is well again.
        assert cluster.seen_after(*cluster.change()) < HEALED_S
    tell(load.report, "API server: open connections are dead", healed_s)
    assert load.report.wrong == load.report.lost == 0
    assert healed_s < 60


def test_an_event_is_lost(cluster: Cluster) -> None:
    """The watch never says it. Within 60 s the comparison with the server does."""
    if not seconds(0):
        pytest.skip("takes up to a minute; make chaos does it")
    with KnownAnswers(cluster.fastdns.port, RATE, NAMES) as load:
        cluster.api.fault("drop")
        name = cluster.change()
        cluster.api.clear()
        healed_s = cluster.seen_after(*name, limit_s=90)
    tell(load.report, "API server: one event lost", healed_s)
    assert load.report.wrong == load.report.lost == 0
    assert healed_s < 60
