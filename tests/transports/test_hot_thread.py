"""The hot thread with a cluster's chain: a batch says what its messages say one by one, and no Python runs.

The GIL is held by a sleep that does not let it go, as any long call of Python's might. Clients and the upstream are
another process meanwhile; what they are told, the hot thread says alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dns.message
import pytest

from fastdns.corefile import load
from fastdns.metrics._stats import Stats
from fastdns.plugins.api import Runtime
from fastdns.plugins.cache.shared import passing_zones, share_caches
from fastdns.plugins.forward.engine._engine import ForwardEngine
from fastdns.plugins.forward.routes import RouteTable
from fastdns.process.assembly import build_tables
from fastdns.serve._worker import Worker
from fastdns.transports._udp import HotLoop
from tests.plugins.kubernetes.support import Cluster
from tests.transports import hot_thread_peer

pytestmark = [pytest.mark.alone, pytest.mark.native]

HOST = "127.0.0.1"
HOLD_US = 1_000_000
# Of each kind, begun and ended while the GIL is held.
LEAST = 3
OBJECTS = """
apiVersion: v1
kind: Namespace
metadata: {name: ns, uid: n}
---
apiVersion: v1
kind: Service
metadata: {name: svc, namespace: ns, uid: s}
spec: {clusterIP: 10.0.0.1, clusterIPs: [10.0.0.1], ports: [{name: http, port: 80, protocol: TCP}]}
---
apiVersion: v1
kind: Service
metadata: {name: headless, namespace: ns, uid: h}
spec: {clusterIP: None, clusterIPs: [None]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: headless-1, namespace: ns, uid: e, labels: {kubernetes.io/service-name: headless}}
addressType: IPv4
ports: [{name: http, port: 80, protocol: TCP}]
endpoints: [{addresses: [10.1.0.1], conditions: {ready: true}}]
"""
COREFILE = """
.:1053 {{
    errors
    prometheus
    cache 300
    kubernetes cluster.local {{
        manifests unread.yaml
    }}
    loadbalance
    forward . {HOST}:{upstream}
}}
fails:1053 {{
    errors
}}
"""


@dataclass
class Serving:
    """What serves: one worker, its socket, and another worker on the same tables."""

    port: int
    hot: HotLoop
    single: Worker


@contextlib.contextmanager
def serving(upstream: int) -> Iterator[Serving]:
    """The chain of COREFILE on a port of the loopback, ready to run."""
    config = load(COREFILE.format(HOST=HOST, upstream=upstream), environ={})
    cluster = Cluster(objects=OBJECTS)
    table = RouteTable()
    routes = asyncio.run(table.find(config))
    prepared = {"forward": routes, "cache": share_caches(config)}
    tables, _ = build_tables(config, Runtime({("kubernetes", 0): 0}, (), prepared), {})
    stats = Stats(2)
    worker = Worker(tables[0], cluster.store, 0, stats, 0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        udp.bind((HOST, 0))
        engine = ForwardEngine(routes.table(), table.shared, stats, 0, 1024)
        hot = HotLoop(worker, [(udp.fileno(), tables[0], False)], [engine])
        yield Serving(udp.getsockname()[1], hot, Worker(tables[0], cluster.store, 1, stats, 1))


@contextlib.contextmanager
def running(hot: HotLoop) -> Iterator[None]:
    thread = threading.Thread(target=hot.run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        hot.stop()
        thread.join(10)


def test_nothing_waits_for_the_gil() -> None:
    """Hits, negative answers, misses forwarded over UDP, cached answers and errors go on while Python cannot."""
    peer = subprocess.Popen(
        [sys.executable, hot_thread_peer.__file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        cwd=Path(__file__).parent.parent,
    )  # fmt: skip
    assert peer.stdin is not None and peer.stdout is not None
    try:
        upstream = int(peer.stdout.readline())
        with serving(upstream) as server, running(server.hot):
            peer.stdin.write(f"{server.port}\n")
            peer.stdin.flush()
            assert peer.stdout.readline() == "every kind is answered\n"
            # PyDLL, unlike CDLL, keeps the GIL during the call.
            usleep = ctypes.PyDLL(None).usleep
            begin = time.monotonic()
            usleep(HOLD_US)
            end = time.monotonic()
            told, _ = peer.communicate("enough\n", timeout=30)
    finally:
        peer.kill()
        peer.wait()
    assert end - begin >= HOLD_US / 1e6
    seen = json.loads(told)
    within = {
        kind: sum(begin < asked and answered < end for asked, answered in times) for kind, times in seen.items()
    }
    assert set(within) == set(hot_thread_peer.KINDS)
    assert min(within.values()) >= LEAST, within


def messages(rng: random.Random) -> list[bytes]:
    """Queries of every kind that needs no upstream, and what is no query, in random order."""
    names = (
        [("svc.ns.svc.cluster.local", kind) for kind in ("A", "AAAA", "SRV", "TXT", "DS")]
        + [("headless.ns.svc.cluster.local", kind) for kind in ("A", "SRV")]
        + [("_http._tcp.svc.ns.svc.cluster.local", "SRV"), ("www.example.org.ns.svc.cluster.local", "A")]
        + [("svc.none.svc.cluster.local", "A"), ("svc.cluster.local", "A"), ("cluster.local", "SOA")]
        + [("SVC.ns.SVC.cluster.LOCAL", "A"), ("any.fails", "A"), ("10-0-0-1.ns.pod.cluster.local", "A")]
    )
    made = []
    for number in range(300):
        name, kind = rng.choice(names)
        query = dns.message.make_query(name, kind, id=number, use_edns=rng.choice((False, 0)))
        wire = bytearray(query.to_wire())
        match rng.randrange(10):
            case 0:
                wire = wire[: rng.randrange(len(wire))]
            case 1:
                # In the header: the name stays the cluster's, so that nothing goes upstream.
                wire[rng.randrange(2, 12)] ^= 1 << rng.randrange(8)
        made.append(bytes(wire))
    return made


@pytest.mark.parametrize("seed", range(4))
def test_a_batch_says_what_single_messages_say(seed: int) -> None:
    """Messages of a batch are looked at ahead of being served, in groups."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nobody, serving(1) as server:
        asked = [(one, server.single.serve(one)) for one in messages(random.Random(seed))]
        nobody.bind((HOST, 0))
        nobody.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        nobody.connect((HOST, server.port))
        # All of them wait in the socket before it is read.
        for one, _ in asked:
            nobody.send(one)
        expected = [reply for _, reply in asked if reply is not None]
        assert len(expected) > 200
        nobody.settimeout(10)
        with running(server.hot):
            got = [nobody.recv(65535) for _ in expected]
    # Sockets keep the order.
    assert got == expected


@pytest.mark.parametrize(
    ("plugins", "zones"),
    [
        ("cache\nkubernetes cluster.local", ("cluster.local.",)),
        ("cache\nkubernetes cluster.local in-addr.arpa {\nfallthrough in-addr.arpa\n}", ("cluster.local.",)),
        ("cache\nkubernetes cluster.local in-addr.arpa {\nfallthrough\n}", ()),
        ("cache\nkubernetes cluster.local {\nfallthrough a.cluster.local\n}", ()),
        ("cache\nforward . 192.0.2.1", ()),
    ],
)
def test_what_a_cache_never_holds(plugins: str, zones: tuple[str, ...]) -> None:
    """Names that kubernetes answers, whatever they are, need not be looked up in the cache before it."""
    (block,) = load(f". {{\n{plugins}\n}}\n", environ={}).blocks
    assert passing_zones(block) == zones
