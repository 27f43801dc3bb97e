"""What people use to ask: each gets its answers, over UDP and TCP."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import dns.resolver
import pytest

from tests.support import COREFILE, MANIFESTS, WEB, Server

HEADLESS = """\
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: shop}
spec: {clusterIP: None, ports: [{name: sql, port: 5432, protocol: TCP}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: db-1, namespace: shop, labels: {kubernetes.io/service-name: db}}
addressType: IPv4
ports: [{name: sql, port: 5432, protocol: TCP}]
endpoints:
- {addresses: [10.244.1.20], hostname: db-0}
- {addresses: [10.244.1.21], hostname: db-1}
---
apiVersion: v1
kind: Service
metadata: {name: dual, namespace: shop}
spec: {clusterIP: 10.96.0.21, clusterIPs: [10.96.0.21, "fd00:96::21"], ports: [{port: 80}]}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("clients"), manifests=MANIFESTS + HEADLESS) as running:
        yield running


def run(*words: str, **options: object) -> str:
    """The output of a tool, or a skip where this host has none."""
    if shutil.which(words[0]) is None:
        pytest.skip(f"{words[0]} is not installed")
    ended = subprocess.run(words, capture_output=True, text=True, timeout=60, **options)  # type: ignore[call-overload]
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return str(ended.stdout)


def dig(server: Server, *words: str) -> str:
    return run("dig", "@127.0.0.1", "-p", str(server.port), *words)


def kdig(server: Server, *words: str) -> str:
    return run("kdig", "@127.0.0.1", "-p", str(server.port), *words)


def drill(server: Server, *words: str) -> str:
    translated = ["-t" if word == "+tcp" else word for word in words if word != "+short"]
    output = run("drill", "-p", str(server.port), *translated, "@127.0.0.1")
    answer = output.partition(";; ANSWER SECTION:\n")[2].partition(";; AUTHORITY SECTION:")[0]
    return "".join(line.split(None, 4)[4] + "\n" for line in answer.splitlines() if line)


@pytest.mark.parametrize("ask", [dig, kdig, drill], ids=lambda ask: ask.__name__)
@pytest.mark.parametrize("transport", [(), ("+tcp",)], ids=["udp", "tcp"])
@pytest.mark.parametrize(
    ("words", "wants"),
    [
        ((WEB, "A"), ["10.96.0.20"]),
        (("dual.shop.svc.cluster.local", "AAAA"), ["fd00:96::21"]),
        (("db.shop.svc.cluster.local", "A"), ["10.244.1.20", "10.244.1.21"]),
        (("_http._tcp.web.shop.svc.cluster.local", "SRV"), ["0 100 80 web.shop.svc.cluster.local."]),
        (
            ("_sql._tcp.db.shop.svc.cluster.local", "SRV"),
            ["0 50 5432 db-0.db.shop.svc.cluster.local.", "0 50 5432 db-1.db.shop.svc.cluster.local."],
        ),
        (("20.0.96.10.in-addr.arpa", "PTR"), ["web.shop.svc.cluster.local."]),
        (("absent.shop.svc.cluster.local", "A"), []),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_command_line_tools(
    server: Server,
    ask: Callable[..., str],
    transport: tuple[str, ...],
    words: tuple[str, ...],
    wants: list[str],
) -> None:
    assert sorted(ask(server, *words, "+short", *transport).split("\n")[:-1]) == wants


def test_dig_has_nothing_to_complain_of(server: Server) -> None:
    output = dig(server, WEB, "A", "+dnssec", "+cookie", "+bufsize=4096", "+tries=1")
    assert "status: NOERROR" in output
    assert "flags: qr aa rd" in output
    for options in ((), ("+noedns",), ("+edns=1", "+noednsnegotiation"), ("+subnet=192.0.2.0/24",), ("+nsid",)):
        output = dig(server, WEB, "A", "+tries=1", *options)
        assert not [word for word in ("bad packet", "malformed", "mismatch", "parser") if word in output]


def test_dnspython(server: Server) -> None:
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers, resolver.port = ["127.0.0.1"], server.port
    resolver.ndots = 5
    resolver.search = [dns.name.from_text(zone) for zone in ("shop.svc.cluster.local", "svc.cluster.local")]
    assert [str(data) for data in resolver.resolve("web", search=True)] == ["10.96.0.20"]
    assert [str(data) for data in resolver.resolve("web.shop", search=True)] == ["10.96.0.20"]
    assert [str(data) for data in resolver.resolve(WEB, tcp=True)] == ["10.96.0.20"]
    with pytest.raises(dns.resolver.NXDOMAIN):
        resolver.resolve("absent.shop.svc.cluster.local")
    with pytest.raises(dns.resolver.NoAnswer):
        resolver.resolve(WEB, "AAAA")


# -------------------------------------------------------------------- resolvers that know port 53 only

# In namespaces of its own: an own loopback with port 53 free, and an own resolv.conf over the host's.
ENTER = """\
set -e
ip link set lo up
mount --bind "$1" /etc/resolv.conf
"$2" -m fastdns.cli -conf "$3" >"$4" 2>&1 &
server=$!
for _ in $(seq 200); do grep -q ^fastdns- "$4" && break; sleep 0.05; done
shift 4
status=0
"$@" || status=$?
kill -TERM $server
wait $server
exit $status
"""

GETADDRINFO = """\
import socket
def ask(name, family=0):
    try:
        return sorted({item[4][0] for item in socket.getaddrinfo(name, 80, family, socket.SOCK_STREAM)})
    except socket.gaierror as error:
        return errors.get(error.errno, str(error))
errors = {socket.EAI_NONAME: "NONAME", socket.EAI_NODATA: "NODATA", socket.EAI_AGAIN: "AGAIN"}
print(ask("web"), ask("web.shop"), ask("web.shop.svc.cluster.local."), ask("dual"), ask("db"), ask("absent"))
print(ask("web", socket.AF_INET6))
print(socket.gethostbyaddr("10.96.0.20")[0])
"""

GO = """\
package main

import (
	"context"
	"fmt"
	"net"
	"sort"
)

func main() {
	resolver := &net.Resolver{PreferGo: true}
	for _, name := range []string{"web", "web.shop", "dual", "db", "absent"} {
		found, err := resolver.LookupHost(context.Background(), name)
		sort.Strings(found)
		fmt.Println(name, found, err != nil)
	}
	_, records, err := resolver.LookupSRV(context.Background(), "sql", "tcp", "db.shop.svc.cluster.local")
	fmt.Println(len(records), records[0].Port, err)
	names, err := resolver.LookupAddr(context.Background(), "10.96.0.20")
	fmt.Println(names, err)
}
"""


# As musl does it: A and AAAA at once from one socket, and whichever reply comes is told by its ID alone.
PAIRS = """\
import select, socket, struct, sys, time
import dns.message

def pair(name, number):
    return [dns.message.make_query(name, kind, id=number + i).to_wire() for i, kind in enumerate(("A", "AAAA"))]

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
    one.connect(("127.0.0.1", int(sys.argv[1])))
    for turn in range(0, 400, 2):
        asked = pair("dual.shop.svc.cluster.local." if turn % 4 else "web.shop.svc.cluster.local.", turn)
        for query in asked:
            one.send(query)
        missing = {turn: asked[0], turn + 1: asked[1]}
        while missing:
            assert select.select([one], [], [], 5)[0], f"no reply to {missing}"
            reply = dns.message.from_wire(one.recv(4096))
            query = dns.message.from_wire(missing.pop(reply.id))
            assert query.is_response(reply), reply
            kinds = {str(data) for rrset in reply.answer for data in rrset}
            if turn % 4:
                assert kinds == ({"10.96.0.21"} if reply.id == turn else {"fd00:96::21"})
            else:
                assert kinds == ({"10.96.0.20"} if reply.id == turn else set())
"""


def in_namespace(folder: Path, *command: str, options: str = "ndots:5") -> list[str]:
    """Run a command where fastdns is the only name server. Skips where this process may make no namespaces.

    What was asked stands in the folder's file ``log`` afterwards.
    """
    enter = ["unshare", "--net", "--mount", *(["--map-root-user", "--user"] if os.geteuid() else [])]
    try:
        allowed = subprocess.run([*enter, "ip", "link", "set", "lo", "up"], capture_output=True, timeout=10)
    except FileNotFoundError:
        pytest.skip("unshare or ip is not installed")
    if allowed.returncode:
        pytest.skip(f"no network namespace: {allowed.stderr.decode().strip()}")
    (folder / "resolv.conf").write_text(
        "nameserver 127.0.0.1\nsearch shop.svc.cluster.local svc.cluster.local cluster.local\n"
        f"options {options}\n"
    )
    (folder / "cluster.yaml").write_text(MANIFESTS + HEADLESS)
    replaced = {"DNS_PORT": "53", "HEALTH_PORT": "8080", "READY_PORT": "8181", "METRICS_PORT": "9153"}
    corefile = COREFILE.replace("MANIFESTS", str(folder / "cluster.yaml")).replace("errors", "errors\n    log")
    for name, port in replaced.items():
        corefile = corefile.replace(name, port)
    (folder / "Corefile").write_text(corefile)
    words = [folder / "resolv.conf", sys.executable, folder / "Corefile", folder / "log"]
    return run(*enter, "sh", "-c", ENTER, "sh", *map(str, words), *command).splitlines()


def transports(folder: Path) -> set[str]:
    """Over what the server was asked."""
    lines = [line.split() for line in (folder / "log").read_text().splitlines() if " IN " in line]
    assert lines
    return {words[words.index("IN") + 2] for words in lines}


# use-vc: both libraries ask over TCP only.
TRANSPORTS = pytest.mark.parametrize(("options", "used"), [("ndots:5", "udp"), ("ndots:5 use-vc", "tcp")])


@TRANSPORTS
def test_getaddrinfo_of_the_c_library(tmp_path: Path, options: str, used: str) -> None:
    web = ["10.96.0.20"]
    # In the end the name is tried as it stands, and refused: no zone is served but the cluster's. To glibc that is
    # a reason to ask another server over UDP, and a name that is not there over TCP.
    refused = {"udp": "AGAIN", "tcp": "NONAME"}[used]
    first, second, third = in_namespace(tmp_path, sys.executable, "-c", GETADDRINFO, options=options)
    assert transports(tmp_path) == {used}
    assert first == f"{web} {web} {web} {['10.96.0.21', 'fd00:96::21']} {['10.244.1.20', '10.244.1.21']} {refused}"
    assert second in ("NODATA", "NONAME")
    assert third == "web.shop.svc.cluster.local"


def test_a_and_aaaa_at_once_from_one_socket(server: Server) -> None:
    subprocess.run([sys.executable, "-c", PAIRS, str(server.port)], check=True, timeout=60)


@TRANSPORTS
def test_the_resolver_of_go(tmp_path: Path, options: str, used: str) -> None:
    if shutil.which("go") is None:
        pytest.skip("go is not installed")
    (tmp_path / "main.go").write_text(GO)
    run("go", "build", "-o", str(tmp_path / "resolve"), str(tmp_path / "main.go"))
    assert in_namespace(tmp_path, str(tmp_path / "resolve"), options=options) == [
        "web [10.96.0.20] false",
        "web.shop [10.96.0.20] false",
        "dual [10.96.0.21 fd00:96::21] false",
        "db [10.244.1.20 10.244.1.21] false",
        "absent [] true",
        "2 5432 <nil>",
        "[web.shop.svc.cluster.local.] <nil>",
    ]
    assert transports(tmp_path) == {used}
