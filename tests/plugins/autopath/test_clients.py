"""Resolvers of pods, each as its library has it: what one round trip for each type of address gets them.

Each client runs in a network of the test's own, where the server has port 53, and with a resolv.conf as kubelet
writes it.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.namespaces import Namespace, missing
from tests.plugins.forward.engine.support import Upstream
from tests.plugins.upstream import from_table
from tests.support import Server, wait_until

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing() or "a network of its own")

COREFILE = """\
.:DNS_PORT {
    bind 127.0.0.1
    prometheus 127.0.0.1:METRICS_PORT
    AUTOPATH
    kubernetes cluster.local {
        manifests "MANIFESTS"
        pods verified
    }
    forward . 127.0.0.1:UPSTREAM
}
"""
MANIFESTS = """\
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {clusterIP: 10.96.0.20, clusterIPs: [10.96.0.20], ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: mine, namespace: other}
spec: {clusterIP: 10.96.0.21, clusterIPs: [10.96.0.21], ports: [{port: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: client, namespace: shop}
status: {phase: Running, podIP: 127.0.0.1}
"""
RESOLV_CONF = """\
nameserver 127.0.0.1
search shop.svc.cluster.local svc.cluster.local cluster.local
options ndots:5
"""
RECORDS = {
    "four.example.test. A": ["four.example.test. 60 IN A 198.51.100.4"],
    "six.example.test. AAAA": ["six.example.test. 60 IN AAAA 2001:db8::6"],
    "both.example.test. A": ["both.example.test. 60 IN A 198.51.100.7"],
    "both.example.test. AAAA": ["both.example.test. 60 IN AAAA 2001:db8::7"],
}
# Name, and the addresses that it has.
NAMES = [
    ("web", "10.96.0.20"),
    ("mine.other", "10.96.0.21"),
    ("four.example.test", "198.51.100.4"),
    ("six.example.test", "2001:db8::6"),
    ("both.example.test", "198.51.100.7 2001:db8::7"),
    ("gone.example.test", ""),
]
IN_A_POD = 'mount --bind "$1" /etc/resolv.conf; shift; exec "$@"'

# Each prints the addresses of its arguments, a line for each: sorted, in canonical form; nothing if there are none.
PYTHON = """
import socket, sys
for name in sys.argv[1:]:
    try:
        found = socket.getaddrinfo(name, 80, type=socket.SOCK_STREAM)
    except socket.gaierror:
        found = []
    print(*sorted({one[4][0] for one in found}))
"""
C = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <netdb.h>
#include <arpa/inet.h>
static int by_text(const void *a, const void *b) { return strcmp(a, b); }
int main(int count, char **names) {
    for (int i = 1; i < count; i++) {
        struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL, *one;
        char texts[16][64];
        int n = 0;
        if (getaddrinfo(names[i], "80", &hints, &found) == 0)
            for (one = found; one && n < 16; one = one->ai_next)
                getnameinfo(one->ai_addr, one->ai_addrlen, texts[n++], 64, NULL, 0, NI_NUMERICHOST);
        qsort(texts, n, 64, by_text);
        for (int j = 0; j < n; j++) printf("%s%s", j ? " " : "", texts[j]);
        printf("\n");
    }
}
"""
GO = """
package main

import ("context"; "fmt"; "net"; "os"; "sort"; "strings")

func main() {
    resolver := &net.Resolver{PreferGo: true}
    for _, name := range os.Args[1:] {
        found, _ := resolver.LookupHost(context.Background(), name)
        sort.Strings(found)
        fmt.Println(strings.Join(found, " "))
    }
}
"""
JAVA = """
import java.net.InetAddress;
import java.util.TreeSet;

public class Resolve {
    public static void main(String[] names) throws Exception {
        for (String name : names) {
            TreeSet<String> found = new TreeSet<>();
            try {
                for (InetAddress one : InetAddress.getAllByName(name))
                    found.add(one.getHostAddress().replaceAll("(^|:)0(:0)+(:|$)", "::"));
            } catch (java.net.UnknownHostException error) {
            }
            System.out.println(String.join(" ", found));
        }
    }
}
"""


@dataclass
class Pod:
    """The server, and what a client in a pod is started with."""

    server: Server
    folder: Path

    def run(self, command: list[str]) -> list[str]:
        """The lines that a client prints."""
        words = ["unshare", "--mount", "sh", "-ec", IN_A_POD, "sh", str(self.folder / "resolv.conf"), *command]
        ended = subprocess.run(words, capture_output=True, text=True, timeout=60)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout.splitlines()

    def queries(self) -> float:
        """How many queries have come so far."""
        return self.server.total("coredns_dns_requests_total")


@contextlib.contextmanager
def pod(folder: Path, autopath: str) -> Iterator[Pod]:
    """A network with a server that has, or has not, autopath."""
    network = Namespace()
    try:
        with network.inside(), Upstream(from_table(RECORDS)) as upstream:
            (folder / "resolv.conf").write_text(RESOLV_CONF)
            corefile = COREFILE.replace("AUTOPATH", autopath).replace("UPSTREAM", str(upstream.port))
            server = Server(folder, "", manifests=MANIFESTS, workers=1)
            server.ports["DNS_PORT"] = 53
            server.write_corefile(corefile)
            with server:
                yield Pod(server, folder)
    finally:
        network.close()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pod]:
    with pod(tmp_path_factory.mktemp("autopath"), "autopath @kubernetes") as found:
        yield found


def built(folder: Path, name: str, text: str, *command: str) -> str:
    """A program in folder, made by command; a test without the tool is skipped."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    (folder / name).write_text(text)
    subprocess.run([*command, name], cwd=folder, check=True, capture_output=True, timeout=120)
    return str(folder / name.partition(".")[0])


def glibc(folder: Path) -> list[str]:
    return [sys.executable, "-c", PYTHON]


def musl(folder: Path) -> list[str]:
    return [built(folder, "resolve.c", C, "musl-gcc", "-static", "-o", "resolve")]


def go(folder: Path) -> list[str]:
    return [built(folder, "main.go", GO, "go", "build", "-o", "main")]


def java(folder: Path) -> list[str]:
    built(folder, "Resolve.java", JAVA, "javac")
    return ["java", "-Xshare:auto", "-cp", str(folder), "Resolve"]


@pytest.mark.parametrize("client", [glibc, musl, go, java], ids=lambda client: client.__name__)
def test_each_name_takes_a_query_for_each_type(shop: Pod, client, tmp_path: Path) -> None:
    """The last name is nowhere: all clients then search for themselves."""
    command = client(tmp_path)
    before = shop.queries()
    found = shop.run([*command, *(name for name, _ in NAMES[:-1])])
    assert found == [addresses for _, addresses in NAMES[:-1]]
    wait_until(lambda: shop.queries() >= before + 2 * len(found))
    assert shop.queries() == before + 2 * len(found)
    assert shop.run([*command, NAMES[-1][0]]) in ([""], [])


def test_without_it_a_client_asks_eight_times(tmp_path: Path) -> None:
    with pod(tmp_path, "") as plain:
        before = plain.queries()
        assert plain.run([*glibc(tmp_path), "both.example.test"]) == [NAMES[4][1]]
        wait_until(lambda: plain.queries() >= before + 8)
        assert plain.queries() == before + 8
