"""A start with a snapshot: served at once, API server or not, and brought up to date by difference.

And the guard, in the whole server: an API server that has lost everything is not believed at once.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fastdns.bench.apiserver import endpoint, namespace, service, slice_
from fastdns.bench.apiserver.process import Process
from tests.integration.faults.load import KnownAnswers, address_of
from tests.integration.faults.support import tell
from tests.support import COREFILE, Load, Server, children, wait_until

RATE = 2000
NAMES = 120
READY_S = 30.0


def known() -> list[Any]:
    """The objects of the names that the load asks for, and a headless service."""
    return [
        namespace("kube-system"),
        namespace("shop"),
        *(service(f"s{number}", "shop", cluster_ips=[address_of(number)]) for number in range(NAMES)),
        service("old", "shop", cluster_ips=["10.98.0.2"]),
        service("web", "shop"),
        web("10.244.0.1", "10.244.0.2"),
    ]


def web(*addresses: str) -> Any:
    """The slice of the headless service."""
    return slice_("web-1", "shop", service="web", endpoints=[endpoint(address) for address in addresses])


def corefile(folder: Path, more: str = "") -> str:
    """One block with a snapshot."""
    block = f'kubeconfig "{folder}/kubeconfig"\n        snapshot "{folder}/snapshot"\n        {more}'
    return COREFILE.replace('manifests "MANIFESTS"', block)


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Process]:
    """An API server with what is known."""
    with Process(services=5, endpoints=2, kubeconfig=tmp_path / "kubeconfig", bookmark_every=1) as api:
        api.post("put", known())
        yield api


def ready(server: Server) -> bool:
    """Whether all that is known is served, whatever from."""
    return server.http("/ready")[0] == 200


def synced(server: Server) -> bool:
    """Whether an API server has listed everything."""
    return server.http("/ready") == (200, "OK")


def written(server: Server, folder: Path, since: float = 0.0) -> None:
    """Wait until there is a snapshot that is younger."""
    path = folder / "snapshot"
    wait_until(lambda: path.exists() and path.stat().st_mtime_ns > since, 30, f"a snapshot:\n{server.log}")


def first_start(server: Server, folder: Path) -> None:
    """Serve once, and leave a snapshot."""
    with server:
        wait_until(lambda: synced(server), READY_S, server.log)
        written(server, folder)
        assert "there is no snapshot" in server.log
        server.stop()


def test_the_api_server_is_away_at_the_start_and_comes_back_different(tmp_path: Path, api: Process) -> None:
    server = Server(tmp_path, corefile(tmp_path))
    first_start(server, tmp_path)
    api.fault("refuse")
    with server:
        wait_until(lambda: ready(server), READY_S, server.log)
        status, text = server.http("/ready")
        assert (status, text.splitlines()[0]) == (200, "OK")
        assert "kubernetes: cluster.local. from a snapshot that is " in text
        assert "Services of cluster.local. as of " in server.log
        assert server.total("fastdns_kubernetes_snapshot_age_seconds", zone="cluster.local.") > 0
        wait_until(lambda: server.total("fastdns_kubernetes_snapshots_total", result="served") == 1)
        with KnownAnswers(server.port, RATE, NAMES) as load:
            assert server.addresses("web.shop.svc.cluster.local.") == ["10.244.0.1", "10.244.0.2"]
            # What is not known may be there by now: no denial, in any zone.
            for name, kind in (("new.shop.svc.cluster.local.", "A"), ("9.0.244.10.in-addr.arpa.", "PTR")):
                assert server.query(name, kind).rcode() == 2
            assert server.addresses("1.0.244.10.in-addr.arpa.", "PTR")
            # Meanwhile: one endpoint goes, another comes, a service comes and one goes.
            api.post("put", [web("10.244.0.2", "10.244.0.9"), service("new", "shop", cluster_ips=["10.98.0.1"])])
            api.post("delete", {"resource": "services", "namespace": "shop", "name": "old"})
            api.clear()
            wait_until(lambda: synced(server), READY_S, server.log)
            assert server.addresses("web.shop.svc.cluster.local.") == ["10.244.0.2", "10.244.0.9"]
            assert server.addresses("new.shop.svc.cluster.local.") == ["10.98.0.1"]
            assert server.query("1.0.244.10.in-addr.arpa.", "PTR").rcode() == 3
            for name in ("old", "none"):
                assert server.query(f"{name}.shop.svc.cluster.local.").rcode() == 3
        wait_until(lambda: "the snapshot is no longer served" in server.log)
        assert server.total("fastdns_kubernetes_snapshot_age_seconds", zone="cluster.local.") == 0
    tell(load.report, "start from a snapshot, and back to the API server")
    assert load.report.wrong == load.report.lost == 0


def test_the_supervisor_is_killed(tmp_path: Path, api: Process) -> None:
    """Its children end with it; its successor on the same ports answers from the snapshot before it has synced."""
    server = Server(tmp_path, corefile(tmp_path))
    with server:
        wait_until(lambda: synced(server), READY_S, server.log)
        written(server, tmp_path)
        orphans = list(children(server.process.pid))
        # Whoever lists now waits for ever: what is served is the snapshot's.
        api.fault("hang")
        server.process.send_signal(signal.SIGKILL)
        server.process.wait(10)
        wait_until(lambda: not any(Path(f"/proc/{pid}/fd").exists() for pid in orphans), 10)
    begun_s = time.monotonic()
    with server:
        wait_until(lambda: ready(server), READY_S, server.log)
        took_s = time.monotonic() - begun_s
        assert "from a snapshot" in server.http("/ready")[1]
        assert server.addresses("s7.shop.svc.cluster.local.") == [address_of(7)]
        # The watcher dies, too: its successor serves on, and reads no file.
        watcher = server.pids().watcher
        assert watcher is not None
        (tmp_path / "snapshot").write_bytes(b"spoilt meanwhile")
        os.kill(watcher, signal.SIGKILL)
        wait_until(lambda: server.pids().watcher not in (None, watcher), 10)
        time.sleep(0.2)
        assert "from a snapshot" in server.http("/ready")[1]
        assert server.addresses("s7.shop.svc.cluster.local.") == [address_of(7)]
        assert server.query("none.shop.svc.cluster.local.").rcode() == 2
        api.clear()
        api.post("disconnect")
        wait_until(lambda: synced(server), READY_S, server.log)
        written(server, tmp_path, (tmp_path / "snapshot").stat().st_mtime_ns)
    print(f"ready from a snapshot after {took_s:.2f} s")
    assert "is not used" not in server.log


def test_a_reload_waits_for_the_listing_and_not_for_the_snapshot(tmp_path: Path, api: Process) -> None:
    """The old generation knows what came after the file was written; the new one must, too, before it serves."""
    server = Server(tmp_path, corefile(tmp_path))
    with server:
        wait_until(lambda: synced(server), READY_S, server.log)
        written(server, tmp_path)
        old = (tmp_path / "snapshot").read_bytes()
        api.post("put", service("late", "shop", cluster_ips=["10.98.0.3"]))
        wait_until(lambda: server.addresses("late.shop.svc.cluster.local.") == ["10.98.0.3"], 20)
        # It may have been written again meanwhile.
        (tmp_path / "snapshot").write_bytes(old)
        server.write_corefile(corefile(tmp_path, "guard 60%"))
        with Load(server.port, 500, "late.shop.svc.cluster.local.") as load:
            server.reload()
            load.run_for(0.5)
        assert "as of " in server.log, "the new source began with the file"
        assert set(load.rcodes) == {0}
        assert load.lost == 0


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-100]), "is damaged or cut off"),
        (lambda path: (path.unlink(), path.mkdir()), "is not a regular file"),
    ],
    ids=["cut off", "a folder"],
)
def test_a_file_that_cannot_be_used(tmp_path: Path, api: Process, spoil: Any, says: str) -> None:
    """One line, and a start like any other. A folder in its place cannot be replaced, which is tried again."""
    server = Server(tmp_path, corefile(tmp_path))
    first_start(server, tmp_path)
    spoil(tmp_path / "snapshot")
    with server:
        wait_until(lambda: synced(server), READY_S, server.log)
        (line,) = [line for line in server.log.splitlines() if "the snapshot is not used" in line]
        assert says in line
        assert server.addresses("s7.shop.svc.cluster.local.") == [address_of(7)]
        result = "failed" if (tmp_path / "snapshot").is_dir() else "written"
        wait_until(lambda: server.total("fastdns_kubernetes_snapshots_total", result=result) >= 1, 30)
        assert server.total("fastdns_kubernetes_snapshots_total", result="refused") == 1


def test_everything_is_lost_for_a_moment(tmp_path: Path, api: Process) -> None:
    """What the API server has lost is served until it has it again; what it has is followed meanwhile."""
    server = Server(tmp_path, corefile(tmp_path, "guard 50% 2m"))
    with server:
        wait_until(lambda: synced(server), READY_S, server.log)
        with KnownAnswers(server.port, RATE, NAMES) as load:
            one = service("one", "shop", cluster_ips=["10.98.0.1"])
            replace(api, [namespace("kube-system"), namespace("shop"), one])
            wait_until(lambda: HELD in server.log, 20, server.log)
            wait_until(lambda: server.addresses("one.shop.svc.cluster.local.") == ["10.98.0.1"], 20, server.log)
            wait_until(lambda: server.total("fastdns_kubernetes_held_listings_total", resource="service") == 1)
            replace(api, known())
            wait_until(lambda: "the missing Services are listed again" in server.log, 20, server.log)
            wait_until(lambda: server.query("one.shop.svc.cluster.local.").rcode() == 3, 20, server.log)
        tell(load.report, "an API server that lost everything for a moment")
        assert load.report.wrong == load.report.lost == 0


def test_everything_is_lost_for_good(tmp_path: Path, api: Process) -> None:
    """A cluster that was emptied, or replaced by an empty one, is followed in the end."""
    server = Server(tmp_path, corefile(tmp_path, "guard 50% 4s"))
    with server:
        wait_until(lambda: synced(server), READY_S, server.log)
        replace(api, [namespace("kube-system"), namespace("shop")])
        wait_until(lambda: HELD in server.log, 20, server.log)
        wait_until(lambda: server.query("s7.shop.svc.cluster.local.").rcode() == 3, 30, server.log)
        assert "a second listing also lacks" in server.log or "they were not listed again within" in server.log


HELD = "Services: they are still served"


def replace(api: Process, objects: list[Any]) -> None:
    """Another cluster, of these objects."""
    api.fault("refuse")
    api.post("replace", {"services": 0, "endpoints": 0, "seed": time.monotonic_ns() & 0xFFFF})
    api.post("put", objects)
    api.clear()


def test_a_broken_account_ends_the_start_with_a_snapshot_too(tmp_path: Path, api: Process) -> None:
    """What the host lacks is said, and nothing was asked or served meanwhile."""
    server = Server(tmp_path, corefile(tmp_path))
    first_start(server, tmp_path)
    (tmp_path / "kubeconfig").write_text("clusters: []\n")
    broken = Server(tmp_path, corefile(tmp_path), wait=False)
    with broken:
        assert broken.process.wait(30) == 1
        assert "plugin/kubernetes: " in broken.log
        assert "serving" not in broken.log
        assert "cannot reach" not in broken.log
