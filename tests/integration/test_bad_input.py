"""What users and the network get wrong: said in one line, and never the end of what served before."""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path

import dns.message
import dns.rcode
import pytest

from fastdns.plugins.prometheus.processes import proportional_bytes
from tests.support import MANIFESTS, WEB, Server, occupied, service, wait_until

WHOAMI = ".:DNS_PORT {\n    bind 127.0.0.1\n    whoami\n}\n"


def ends(server: Server, limit_s: float = 20.0) -> str:
    """The output of a server that cannot start: exit code 1, one line without a traceback."""
    with server:
        assert server.process.wait(limit_s) == 1
    assert "Traceback" not in server.log
    return server.log


# --------------------------------------------------------------------------------------------------- ports


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM], ids=["udp", "tcp"])
def test_the_dns_port_is_taken(tmp_path: Path, kind: int) -> None:
    with occupied(kind) as port:
        server = Server(tmp_path, WHOAMI.replace("DNS_PORT", str(port)), wait=False)
        network = "udp" if kind == socket.SOCK_DGRAM else "tcp"
        says = f"listen {network} 127.0.0.1:{port}: Address already in use (another program holds it)"
        assert ends(server) == f"fastdns: {says}\n"


@pytest.mark.parametrize("plugin", ["health", "ready", "prometheus"])
def test_the_port_of_an_endpoint_is_taken(tmp_path: Path, plugin: str) -> None:
    with occupied() as port:
        server = Server(tmp_path, WHOAMI.replace("whoami", f"{plugin} 127.0.0.1:{port}\n    whoami"), wait=False)
        assert ends(server) == f"fastdns: listen tcp 127.0.0.1:{port}: Address already in use\n"


def test_no_permission_for_port_53(tmp_path: Path) -> None:
    """As somebody who may not: root steps down, and gives up the capability."""
    try:
        limit = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    except OSError:
        limit = 1024
    if limit <= 53:
        pytest.skip("here everybody may listen on port 53")
    prefix: tuple[str, ...] = ()
    if os.geteuid() == 0:
        # setpriv keeps root's sight of this checkout, and takes only what it takes to bind.
        dropped = "-net_bind_service"
        prefix = ("setpriv", "--bounding-set", dropped, "--inh-caps", dropped)
        try:
            subprocess.run([*prefix, "true"], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"setpriv cannot be used: {error}")
    server = Server(tmp_path, WHOAMI.replace("DNS_PORT", "53"), wait=False, prefix=prefix)
    assert ends(server) == (
        "fastdns: listen udp 127.0.0.1:53: Permission denied "
        "(a port below 1024 needs CAP_NET_BIND_SERVICE or root)\n"
    )


def test_an_address_that_is_not_ours(tmp_path: Path) -> None:
    server = Server(tmp_path, WHOAMI.replace("127.0.0.1", "192.0.2.1"), wait=False)
    assert "192.0.2.1" in ends(server)


# --------------------------------------------------------------------------------------------------- files


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", " with cert_file and key_file expected"),
        ("tls_server_config: {cert_file: absent, key_file: absent}\n", ".cert_file: FileNotFoundError: "),
    ],
)
def test_a_bad_tls_file(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "web.yaml").write_text(text)
    corefile = WHOAMI.replace("whoami", "prometheus 127.0.0.1:METRICS_PORT {\n  tls web.yaml\n }\n whoami")
    assert f"web.yaml: tls_server_config{says}" in ends(Server(tmp_path, corefile, wait=False))


WEIGHTED = WHOAMI.replace("whoami", "loadbalance weighted weights {\n        reload 100ms\n    }\n    whoami")
FROM_API = "cluster.local:DNS_PORT {\n    bind 127.0.0.1\n    kubernetes {\n        OPTION\n    }\n}\n"
NOWHERE = {"KUBERNETES_SERVICE_HOST": "", "KUBERNETES_SERVICE_PORT": ""}


@pytest.mark.parametrize(
    ("corefile", "says"),
    [
        pytest.param(
            WEIGHTED,
            'plugin/loadbalance: Corefile:3 - wrong weight value:"300" in weight file weights:2; 1 to 255 expected'
            "; the line is skipped, and no other is left: correct the file, or empty it",
            id="weights",
        ),
        pytest.param(
            FROM_API.replace("OPTION", "kubeconfig absent"),
            "plugin/kubernetes: Corefile:3 - open absent: no such file or directory; expected a kubeconfig",
            id="kubeconfig",
        ),
        pytest.param(
            FROM_API.replace("OPTION", "endpoint https://127.0.0.1:1\n        tls absent absent absent"),
            "plugin/kubernetes: Corefile:3 - invalid configuration: unable to read client-cert absent due to "
            "open absent: no such file or directory; expected a PEM client certificate",
            id="tls",
        ),
        pytest.param(
            FROM_API.replace("OPTION", "ttl 5"),
            "plugin/kubernetes: Corefile:3 - unable to load in-cluster configuration, KUBERNETES_SERVICE_HOST and "
            "KUBERNETES_SERVICE_PORT must be defined; outside of a cluster set endpoint, kubeconfig or manifests",
            id="in cluster",
        ),
    ],
)
def test_what_coredns_fails_at_when_it_sets_up(tmp_path: Path, corefile: str, says: str) -> None:
    """It ends the start; a reload leaves the old configuration, and counts."""
    (tmp_path / "weights").write_text("www.example.org\n192.0.2.1 300\n")
    assert ends(Server(tmp_path, corefile, wait=False, environ=NOWHERE)) == f"fastdns: {says}\n"
    with Server(tmp_path, environ=NOWHERE) as server:
        before = server.pids()
        server.write_corefile(corefile)
        server.send_signal(signal.SIGUSR1)
        server.wait_for_log(f"[ERROR] Restart failed: {says}; the running configuration is kept\n")
        assert server.addresses() == ["10.96.0.20"]
        assert server.pids() == before
        assert server.total("coredns_reload_failed_total") == 1


def test_a_missing_weight_file_is_waited_for(tmp_path: Path) -> None:
    with Server(tmp_path, WEIGHTED) as server:
        says = "weight file open error: weights: No such file or directory. Will try again in 0.1s"
        assert f"[WARNING] plugin/loadbalance: Failed to open weight file:{says}\n" in server.log
        assert server.query("a.example.org").rcode() == dns.rcode.NOERROR
        (tmp_path / "weights").write_text("www.example.org\n192.0.2.1 300\n")
        server.wait_for_log('[WARNING] plugin/loadbalance: wrong weight value:"300" in weight file weights:2')
        assert server.query("a.example.org").rcode() == dns.rcode.NOERROR


def test_an_api_server_that_nobody_runs_is_waited_for(tmp_path: Path) -> None:
    option = "endpoint http://127.0.0.1:OTHER_PORT\n        startup_timeout 1s"
    with Server(tmp_path, FROM_API.replace("OPTION", option)) as server:
        assert "[WARNING] plugin/kubernetes: starting server with unsynced Kubernetes API" in server.log
        assert server.query().rcode() == dns.rcode.SERVFAIL


def test_a_kubeconfig_is_checked_at_each_reload(tmp_path: Path) -> None:
    """The child that reads it is the supervisor's own, too: both ways of waiting for it get along."""
    option = f"kubeconfig {tmp_path}/config\n        startup_timeout 1s"
    (tmp_path / "config").write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]\n"
        "contexts: [{name: c, context: {cluster: c, user: u}}]\nusers: [{name: u, user: {}}]\n"
    )
    with Server(tmp_path, FROM_API.replace("OPTION", option)) as server:
        for turn in range(1, 4):
            server.reload(turn)
        assert server.query().rcode() == dns.rcode.SERVFAIL
        assert "has died" not in server.log and "Unknown child" not in server.log
        (tmp_path / "config").write_text("clusters: {")
        server.send_signal(signal.SIGUSR1)
        server.wait_for_log(f"[ERROR] Restart failed: plugin/kubernetes: Corefile:3 - {tmp_path}/config: ")
        assert server.query().rcode() == dns.rcode.SERVFAIL


def test_the_store_is_too_small(tmp_path: Path) -> None:
    """What fits goes on being served; the log says what to do, and serving goes on."""
    much = MANIFESTS + "".join(
        service(f"service-{n}-{'x' * 40}", f"10.{97 + n // 65536}.{n // 256 % 256}.{n % 256}") for n in range(6000)
    )
    with Server(tmp_path, environ={"FASTDNS_STORE_MIB": "1"}) as server:
        assert server.addresses() == ["10.96.0.20"]
        server.manifests.write_text(much)
        wait_until(lambda: "store" in server.log.lower(), 30, "the log says that the store is full")
        assert "FASTDNS_STORE_MIB" in server.log
        for _ in range(20):
            assert server.addresses() == ["10.96.0.20"]
            assert server.addresses(tcp=True) == ["10.96.0.20"]
        assert server.http("/health") == (200, "OK")
        assert server.total("fastdns_store_bytes") <= server.total("fastdns_store_max_bytes")
        # And it recovers once there is room again.
        server.manifests.write_text(MANIFESTS + service("new", "10.96.0.30"))
        wait_until(lambda: server.addresses("new.shop.svc.cluster.local") == ["10.96.0.30"], 20)
        assert server.addresses() == ["10.96.0.20"]


def test_manifests_that_break_while_serving(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        server.manifests.write_text("kind: [")
        server.wait_for_log("cluster.yaml:2 - not valid YAML")
        assert server.addresses() == ["10.96.0.20"]
        server.manifests.write_bytes(MANIFESTS.replace("web", "wéb").encode("latin-1"))
        server.wait_for_log("cluster.yaml:3 - not UTF-8: invalid continuation byte, 0xe9")
        assert server.addresses() == ["10.96.0.20"]
        server.manifests.write_text(MANIFESTS + "status: " + "[" * 200_000)
        server.wait_for_log("cluster.yaml:8 - not valid YAML: nested deeper than 100")
        assert server.addresses() == ["10.96.0.20"]
        server.manifests.unlink()
        server.wait_for_log("cannot be read")
        assert server.addresses() == ["10.96.0.20"]
        assert "has died" not in server.log
        assert server.http("/ready") == (200, "OK")
        server.manifests.write_text(MANIFESTS + service("new", "10.96.0.30"))
        wait_until(lambda: server.addresses("new.shop.svc.cluster.local"))


# ------------------------------------------------------------------------------------------------- packets


def mangled(seed: random.Random) -> bytes:
    """A query with bytes changed, cut, added, or nothing of a query at all."""
    kind = seed.randrange(4)
    if kind == 0:
        return seed.randbytes(seed.randrange(0, 600))
    wire = bytearray(dns.message.make_query(WEB, seed.choice(["A", "SRV", "ANY"]), use_edns=0).to_wire())
    for _ in range(seed.randrange(1, 5)):
        at = seed.randrange(len(wire))
        if kind == 1:
            wire[at] = seed.randrange(256)
        elif kind == 2:
            del wire[at : at + seed.randrange(1, 8)]
        else:
            wire[at:at] = seed.randbytes(seed.randrange(1, 40))
        if not wire:
            break
    return bytes(wire)


def test_ten_thousand_mangled_packets(tmp_path: Path) -> None:
    number = random.SystemRandom().randrange(2**32)
    print(f"seed {number}")
    seed = random.Random(number)
    with Server(tmp_path) as server:
        before = server.pids()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.connect(("127.0.0.1", server.port))
            for count in range(8000):
                client.send(mangled(seed))
                if count % 500 == 0:
                    assert server.addresses() == ["10.96.0.20"]
        for _ in range(100):
            with socket.create_connection(("127.0.0.1", server.port), 5) as connection:
                for _ in range(20):
                    message = mangled(seed)
                    length = len(message) if seed.random() < 0.9 else seed.randrange(65536)
                    try:
                        connection.sendall(struct.pack(">H", length) + message)
                    except OSError:
                        break
        assert server.addresses() == server.addresses(tcp=True) == ["10.96.0.20"]
        assert server.pids() == before, "nobody has died of it"
        assert server.http("/health") == (200, "OK")
        assert server.total("fastdns_queries_total") > 8000
        assert "Traceback" not in server.log


def test_more_connections_than_allowed(tmp_path: Path) -> None:
    """Those that ask last are served: idle ones make room."""
    with Server(tmp_path, workers=1, environ={"FASTDNS_MAX_TCP_CONNECTIONS": "20"}) as server:
        idle = [socket.create_connection(("127.0.0.1", server.port), 5) for _ in range(60)]
        for _ in range(5):
            assert server.addresses(tcp=True) == ["10.96.0.20"]
        for one in idle:
            one.close()


def test_half_messages_take_bounded_memory(tmp_path: Path) -> None:
    """300 connections of one client, each with all of a query but its end, took 20 MiB here. As many as a worker
    takes took 264 MiB."""
    with Server(tmp_path, workers=1, environ={"FASTDNS_MAX_TCP_MIB": "4"}) as server:
        assert server.total("fastdns_tcp_max_held_bytes") == 4 << 20
        worker = server.pids().workers["worker 1"]
        assert server.addresses(tcp=True) == ["10.96.0.20"]
        before = proportional_bytes(worker)
        assert before is not None
        half = []
        for _ in range(300):
            half.append(socket.create_connection(("127.0.0.1", server.port), 5))
            with contextlib.suppress(OSError):
                half[-1].sendall(b"\xff\xff" + b"x" * 65_500)
        closed = "fastdns_tcp_connections_closed_total"
        wait_until(lambda: server.total(closed, reason="held_bytes") > 230)
        wait_until(lambda: 2 << 20 < server.total("fastdns_tcp_held_bytes") <= 4 << 20)
        after = proportional_bytes(worker)
        assert after is not None and after - before < 9 << 20
        assert server.addresses(tcp=True) == ["10.96.0.20"]
        for one in half:
            one.close()


@pytest.mark.skipif(shutil.which("prlimit") is None, reason="prlimit is not installed")
def test_few_file_descriptors(tmp_path: Path) -> None:
    """What is allowed is taken, and bounds the connections: a new one finds its place."""
    prefix = ("prlimit", "--nofile=100:260")
    with Server(tmp_path, workers=1, prefix=prefix) as server:
        assert server.total("process_max_fds") == 260
        idle = [socket.create_connection(("127.0.0.1", server.port), 5) for _ in range(300)]
        for _ in range(5):
            assert server.addresses(tcp=True) == server.addresses() == ["10.96.0.20"]
        for one in idle:
            one.close()
        assert "[ERROR]" not in server.log


def test_nobody_reads_the_log(tmp_path: Path) -> None:
    """A full pipe costs lines, not answers, and not the server's other duties."""
    server = Server(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-m", "fastdns.cli"],
        cwd=tmp_path,
        env=server.environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    ) as process:
        try:
            assert process.stdout is not None
            lines = iter(process.stdout)
            while not next(lines).startswith(b"fastdns-"):
                pass
            # One page, and a handful of lines fill it.
            fcntl.fcntl(process.stdout.fileno(), 1031, 4096)  # F_SETPIPE_SZ
            for turn in range(150):
                server.manifests.write_text(MANIFESTS + f"---\nkind: [{turn}\n")
                process.send_signal(signal.SIGUSR1)
                assert server.addresses() == ["10.96.0.20"]
                if turn % 10 == 0:
                    assert server.http("/health") == (200, "OK")
            server.manifests.write_text(MANIFESTS + service("new", "10.96.0.30"))
            wait_until(lambda: server.addresses("new.shop.svc.cluster.local") == ["10.96.0.30"])
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        finally:
            # Else the with statement waits for it.
            process.kill()
