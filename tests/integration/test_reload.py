"""A changed configuration is taken up without losing a query; one that cannot be served changes nothing."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from pathlib import Path

import dns.exception
import dns.message
import dns.rcode
import pytest

from fastdns.bench.apiserver import namespace
from fastdns.bench.apiserver import service as object_of
from fastdns.bench.apiserver.process import Process
from tests.integration.faults.load import KnownAnswers, manifests
from tests.support import COREFILE, MANIFESTS, WEB, Load, Server, occupied, service, wait_until

WATCHED = COREFILE.replace("    errors\n", "    errors\n    reload 2s 1s\n")
WHOAMI = """\
example.org:OTHER_PORT {
    bind 127.0.0.1
    whoami
}
"""


def test_a_changed_corefile_is_taken_up(tmp_path: Path) -> None:
    with Server(tmp_path, WATCHED) as server:
        assert "[INFO] plugin/reload: Running configuration SHA512 = " in server.log
        samples = server.samples()
        assert not [name for name, _ in samples if name == "coredns_reload_version_info"]
        assert server.query().answer[0].ttl == 5
        server.write_corefile(WATCHED.replace("    errors\n", "    errors # the same tokens on the same lines\n"))
        time.sleep(0.1)
        server.write_corefile(WATCHED.replace('"MANIFESTS"', '"MANIFESTS"\n        ttl 30'))
        server.wait_for_log("Reloading complete")
        assert server.query().answer[0].ttl == 30
        assert server.log.count("[INFO] Reloading\n") == 1
        assert server.total("coredns_reload_failed_total") == 0
        digest = server.log.rpartition("SHA512 = ")[2].split()[0]
        assert server.total("coredns_reload_version_info", hash="sha512", value=digest) == 1


@pytest.mark.parametrize(
    ("change", "says"),
    [
        pytest.param(("    errors\n", "    errs\n"), "Corefile:3 - Error during parsing: ", id="an unknown plugin"),
        pytest.param(("    errors\n", "    errors {\n"), "Error during parsing: ", id="a brace too many"),
        pytest.param(
            ("manifests", "ttl 99999\n        manifests"), "plugin/kubernetes: ", id="a value out of range"
        ),
    ],
)
def test_a_broken_corefile_changes_nothing(tmp_path: Path, change: tuple[str, str], says: str) -> None:
    with Server(tmp_path, COREFILE) as server:
        before = server.pids()
        server.write_corefile(COREFILE.replace(*change))
        server.send_signal(signal.SIGUSR1)
        server.wait_for_log("[ERROR] Restart failed: ")
        assert says in server.log
        assert server.addresses() == ["10.96.0.20"]
        assert server.pids() == before
        assert server.total("coredns_reload_failed_total") == 1
        server.write_corefile(COREFILE)
        server.reload()


def test_the_reload_plugin_warns_of_a_broken_corefile_and_takes_the_next(tmp_path: Path) -> None:
    with Server(tmp_path, WATCHED) as server:
        server.write_corefile(WATCHED.replace("    errors\n", "    errs\n"))
        server.wait_for_log("[WARNING] plugin/reload: Corefile parse failed: ")
        assert server.addresses() == ["10.96.0.20"]
        server.write_corefile(WATCHED + WHOAMI)
        server.wait_for_log("Reloading complete")
        assert server.query("a.example.org", port=server.ports["OTHER_PORT"]).rcode() == dns.rcode.NOERROR


def test_what_could_not_be_served_is_tried_again_after_a_change_only(tmp_path: Path) -> None:
    with occupied() as port, Server(tmp_path, WATCHED) as server:
        server.ports["OTHER_PORT"] = port
        server.write_corefile(WATCHED + WHOAMI)
        server.wait_for_log("[ERROR] Restart failed: ")
        assert f"listen tcp 127.0.0.1:{port}: Address already in use" in server.log
        time.sleep(3)
        assert server.log.count("Restart failed") == 1
        assert server.total("coredns_reload_failed_total") == 1


@pytest.mark.parametrize("kind", ["dns", "health", "metrics"])
def test_a_port_in_use_changes_nothing(tmp_path: Path, kind: str) -> None:
    with Server(tmp_path) as server, occupied() as port:
        before = server.pids()
        server.ports["OTHER_PORT"] = port
        changed = {
            "dns": COREFILE + WHOAMI,
            "health": COREFILE.replace("HEALTH_PORT", "OTHER_PORT"),
            "metrics": COREFILE.replace("METRICS_PORT", "OTHER_PORT") + WHOAMI.replace("OTHER_PORT", "DNS_PORT"),
        }[kind]
        server.write_corefile(changed)
        server.send_signal(signal.SIGUSR1)
        server.wait_for_log("[ERROR] Restart failed: ")
        assert f"listen tcp 127.0.0.1:{port}: Address already in use" in server.log
        assert server.pids() == before
        assert server.addresses() == ["10.96.0.20"]
        assert server.http("/health") == (200, "OK")
        assert server.total("coredns_reload_failed_total") == 1
        assert server.query("a.example.org").rcode() == dns.rcode.REFUSED


def test_a_listener_comes_and_goes(tmp_path: Path) -> None:
    with Server(tmp_path, COREFILE + WHOAMI) as server:
        other = server.ports["OTHER_PORT"]
        assert server.query("a.example.org", port=other).rcode() == dns.rcode.NOERROR
        server.write_corefile(COREFILE)
        server.reload()
        with pytest.raises((dns.exception.Timeout, OSError)):
            server.query("a.example.org", port=other, timeout_s=0.5)
        with pytest.raises(OSError):
            server.query("a.example.org", port=other, tcp=True, timeout_s=0.5)
        server.write_corefile(COREFILE + WHOAMI)
        server.reload(2)
        assert server.query("a.example.org", port=other).rcode() == dns.rcode.NOERROR
        assert server.query("a.example.org", port=other, tcp=True).rcode() == dns.rcode.NOERROR


def test_endpoints_come_and_go(tmp_path: Path) -> None:
    without = "\n".join(
        line for line in COREFILE.splitlines() if "health" not in line and "prometheus" not in line
    )
    with Server(tmp_path, without) as server:
        assert server.http("/health")[0] == server.http("/metrics")[0] == 0
        assert server.http("/health", "READY_PORT") == (200, "OK")
        server.write_corefile(COREFILE)
        server.reload()
        assert server.http("/health") == (200, "OK")
        assert server.http("/metrics")[0] == 200
        server.write_corefile(without)
        server.reload(2)
        assert server.http("/health")[0] == server.http("/metrics")[0] == 0
        assert server.http("/ready") == (200, "OK")


def test_the_manifests_of_another_corefile(tmp_path: Path) -> None:
    """One cluster goes, another comes; the records of the first are not served under the second's number."""
    other = tmp_path / "other.yaml"
    other.write_text(service("db", "10.96.0.30"))
    third = tmp_path / "third.yaml"
    third.write_text(service("mail", "10.96.0.40"))
    with Server(tmp_path) as server:
        for path, name, address in (
            (other, "db", "10.96.0.30"),
            (third, "mail", "10.96.0.40"),
            (server.manifests, "web", "10.96.0.20"),
        ):
            server.write_corefile(COREFILE.replace("MANIFESTS", str(path)))
            server.reload(server.log.count("Reloading complete") + 1)
            for asked in ("web", "db", "mail"):
                reply = server.query(f"{asked}.shop.svc.cluster.local")
                wanted = [address] if asked == name else []
                assert [str(data) for rrset in reply.answer for data in rrset] == wanted
                assert reply.rcode() == (dns.rcode.NOERROR if wanted else dns.rcode.NXDOMAIN)
        server.wait_for_log("Reloading complete", count=3)
        wait_until(lambda: server.total("fastdns_store_records") < 20, why="what is gone leaves the store")


def test_a_number_is_not_served_before_its_new_holder_is_listed(tmp_path: Path) -> None:
    """The manifests of the second Corefile cannot be read: its zone has SERVFAIL, not the first one's names."""
    with Server(tmp_path) as server:
        no_cluster = "\n".join(
            line for line in COREFILE.splitlines() if "kubernetes" not in line and "manifests" not in line
        ).replace("    }\n    prometheus", "    prometheus")
        server.write_corefile(no_cluster)
        server.reload()
        assert server.pids().watcher is None
        server.write_corefile(
            COREFILE.replace('manifests "MANIFESTS"', 'manifests "absent.yaml"\n        startup_timeout 1s')
        )
        server.reload(2)
        assert "[WARNING] plugin/kubernetes: starting server with unsynced Kubernetes API" in server.log
        assert server.query().rcode() == dns.rcode.SERVFAIL
        assert server.http("/ready") == (503, "kubernetes")


def test_reloads_lose_nothing(tmp_path: Path) -> None:
    with Server(tmp_path) as server, Load(server.port, 2000) as load:
        for turn in range(1, 4):
            load.run_for(0.3)
            server.reload(turn)
        load.run_for(0.3)
    assert load.lost == load.strange == 0
    assert set(load.rcodes) == {0}
    assert load.answered == load.sent > 1800


def test_reloads_lose_nothing_over_tcp(tmp_path: Path) -> None:
    """A connection is answered by whoever has taken it; one that is open is closed between queries only."""
    failed: list[str] = []
    asked = 0
    done = threading.Event()

    def ask_and_ask() -> None:
        nonlocal asked
        while not done.is_set():
            try:
                assert server.addresses(tcp=True) == ["10.96.0.20"]
                asked += 1
            except (OSError, EOFError, dns.exception.DNSException, AssertionError) as error:
                failed.append(repr(error))

    with Server(tmp_path) as server:
        thread = threading.Thread(target=ask_and_ask)
        thread.start()
        try:
            for turn in range(1, 4):
                time.sleep(0.2)
                server.reload(turn)
        finally:
            done.set()
            thread.join()
    assert not failed
    assert asked > 50


def test_fewer_and_more_workers_lose_nothing(tmp_path: Path) -> None:
    """Sockets that are given up are answered to their end; TCP connections that stay open do not delay that."""
    corefile = COREFILE.replace("    errors\n", "    errors\n    multisocket 4\n")
    with Server(tmp_path, corefile, environ={"FASTDNS_WORKERS": ""}) as server:
        asked = dns.message.make_query(WEB, "A").to_wire()
        with Load(server.port, 2000) as load:
            idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(12)]
            # Half a message: the old workers wait for the rest.
            for one in idle:
                one.sendall(len(asked).to_bytes(2, "big") + asked[:5])
            load.run_for(0.2)
            for turn, workers in enumerate((1, 3, 2), 1):
                server.write_corefile(corefile.replace("multisocket 4", f"multisocket {workers}"))
                server.send_signal(signal.SIGUSR1)
                wait_until(
                    lambda turn=turn, workers=workers: server.log.count("Reloading complete") == turn
                    and len(server.pids().workers) == workers,
                    20,
                )
                load.run_for(0.2)
            for one in idle:
                one.close()
        assert load.lost == load.strange == 0
        assert load.answered == load.sent


def test_what_is_known_is_not_given_for_what_cannot_be_listed(tmp_path: Path) -> None:
    """An option of the cluster changes while its API server is away: what is known is served until it is listed."""
    options = f'kubeconfig "{tmp_path}/kubeconfig"\n        startup_timeout 1s'
    block = COREFILE.replace('manifests "MANIFESTS"', options)
    with Process(services=5, endpoints=2, kubeconfig=tmp_path / "kubeconfig", bookmark_every=1) as api:
        api.post("put", [namespace("shop"), object_of("web", "shop", cluster_ips=["10.96.0.20"])])
        with Server(tmp_path, block) as server:
            wait_until(lambda: server.http("/ready")[0] == 200, 30)
            with Load(server.port, 500) as load:
                api.fault("refuse")
                server.write_corefile(block.replace("startup_timeout", "guard 40%\n        startup_timeout"))
                server.send_signal(signal.SIGUSR1)
                server.wait_for_log("starting server with unsynced Kubernetes API")
                # Longer than the workers of a new generation take.
                load.run_for(2.0)
                assert "Reloading complete" not in server.log
                api.clear()
                server.wait_for_log("Reloading complete")
                load.run_for(0.5)
    assert load.lost == load.strange == 0
    assert set(load.rcodes) == {dns.rcode.NOERROR}


# A minute is long for a test.
IMPATIENT = """
import sys
from fastdns import cli
from fastdns.process import syncing
syncing.RELOAD_SYNC_S = 1.0
sys.exit(cli.main(sys.argv[1:]))
"""


def test_what_could_not_be_listed_is_tried_again(tmp_path: Path) -> None:
    """With the next look, though the Corefile has not changed: it is not the Corefile that was wrong."""
    options = f'kubeconfig "{tmp_path}/kubeconfig"\n        startup_timeout 0s'
    block = WATCHED.replace('manifests "MANIFESTS"', options)
    with Process(services=5, endpoints=2, kubeconfig=tmp_path / "kubeconfig", bookmark_every=1) as api:
        api.post("put", [namespace("shop"), object_of("web", "shop", cluster_ips=["10.96.0.20"])])
        server = Server(tmp_path, block)
        server.command[-4:-2] = ["-c", IMPATIENT]
        with server:
            wait_until(lambda: server.http("/ready")[0] == 200, 30)
            api.fault("refuse")
            server.write_corefile(block.replace("startup_timeout", "guard 40%\n        startup_timeout"))
            says = "cluster.local. could not be listed in time with the options of the new Corefile; the running"
            server.wait_for_log(says)
            assert server.addresses() == ["10.96.0.20"]
            api.clear()
            server.wait_for_log("Reloading complete", 20)
            assert server.total("coredns_reload_failed_total") >= 1
            assert server.addresses() == ["10.96.0.20"]


def test_new_sockets_do_not_wait_for_a_source(tmp_path: Path) -> None:
    """The kernel gives them their part from the moment they are open, whoever is there to read it."""
    corefile = COREFILE.replace("    errors\n", "    errors\n    multisocket 1\n")
    environ = {"FASTDNS_WORKERS": ""}
    with occupied() as port, Server(tmp_path, corefile, manifests=manifests(20), environ=environ) as server:
        # An API server that takes connections and says nothing.
        options = f"endpoint http://127.0.0.1:{port}\n        startup_timeout 2s"
        other = f"other.local:DNS_PORT {{\n    bind 127.0.0.1\n    kubernetes {{\n        {options}\n    }}\n}}\n"
        changed = corefile.replace("multisocket 1", "multisocket 3") + other
        with KnownAnswers(server.port, 1000, 20) as load:
            time.sleep(0.2)
            server.write_corefile(changed)
            server.reload()
            assert len(server.pids().workers) == 3
            time.sleep(0.2)
        assert "starting server with unsynced Kubernetes API" in server.log
    assert load.report.lost == load.report.wrong == 0
    assert load.report.sent > 1500
    assert load.report.worst_s < 1.5, "as long as the source was waited for"


def test_counters_survive(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        for _ in range(20):
            server.query()
        before = server.total("coredns_dns_requests_total", type="A")
        assert before == 20
        server.reload()
        assert server.total("coredns_dns_requests_total", type="A") == before
        os.kill(server.pids().workers["worker 1"], signal.SIGKILL)
        server.wait_for_log("has died")
        server.query()
        assert server.total("coredns_dns_requests_total", type="A") == before + 1
        histogram = server.total("coredns_dns_request_duration_seconds_count")
        assert histogram == before + 1


def test_sigusr1_while_a_reload_is_under_way(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        for _ in range(5):
            server.send_signal(signal.SIGUSR1)
            time.sleep(0.02)
        server.wait_for_log("Reloading complete")
        server.manifests.write_text(MANIFESTS + service("db", "10.96.0.30"))
        wait_until(lambda: server.addresses("db.shop.svc.cluster.local"))
        wait_until(lambda: server.log.count("Reloading\n") == server.log.count("Reloading complete"))
        assert len(server.pids().workers) == 2
        assert server.total("coredns_reload_failed_total") == 0


def test_sigterm_in_the_middle_of_a_reload(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        server.write_corefile(
            COREFILE.replace('manifests "MANIFESTS"', 'manifests "absent.yaml"\n        startup_timeout 60s')
        )
        server.send_signal(signal.SIGUSR1)
        server.wait_for_log("waiting for Kubernetes API before starting server")
        assert server.addresses() == ["10.96.0.20"]
        assert server.stop(signal.SIGTERM, 8) == 0
