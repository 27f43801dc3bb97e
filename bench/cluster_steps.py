"""CPU of a query through the steps of autopath, k8s_external and dns64, beside a hit; memory of a pod's address.

    python -m bench.cluster_steps [--rounds 9] [--queries 2000] [--pods 100000]

All is one thread of this process, without sockets: each row is the CPU time of a question and its answer, and its
ratio to ``hit`` of the same round: medians, with the spread. What Python takes to call the worker is in every row.
"""

from __future__ import annotations

import argparse
import ipaddress
import statistics
import struct
import time
from collections.abc import Sequence

from bench.limits import query, wire
from fastdns.memory._store import Store, Writer
from fastdns.plugins.autopath._step import AutopathStep
from fastdns.plugins.dns64._step import Dns64Step
from fastdns.plugins.k8s_external._step import ExternalStep
from fastdns.plugins.kubernetes._search import PodSearch
from fastdns.plugins.kubernetes._step import KubernetesStep
from fastdns.plugins.kubernetes.answers._options import AnswerOptions
from fastdns.plugins.kubernetes.objects import (
    Ingress,
    LoadBalancer,
    Metadata,
    Namespace,
    Pod,
    PodStatus,
    Port,
    Service,
    ServiceSpec,
    ServiceStatus,
)
from fastdns.plugins.kubernetes.records._sink import ClusterWriter
from fastdns.plugins.kubernetes.sink import Resource
from fastdns.serve._worker import Worker
from fastdns.serve._zones import NativeStep, ServerTable

POD = ipaddress.ip_address("10.128.0.1").packed
NOBODY = ipaddress.ip_address("192.0.2.1").packed
# Name, question and type, client.
ROWS = (
    ("hit", "plain", "s1.n1.svc.cluster.local", "A", POD),
    ("autopath: first suffix", "autopath", "s1.n1.svc.cluster.local", "A", POD),
    ("autopath: no pod", "autopath", "s1.n1.svc.cluster.local", "A", NOBODY),
    ("autopath: second suffix", "autopath", "s1.n2.n1.svc.cluster.local", "A", POD),
    ("autopath: third suffix", "autopath", "s1.n2.svc.n1.svc.cluster.local", "A", POD),
    ("autopath: denied everywhere", "autopath", "www.example.cluster.local.n1.svc.cluster.local", "A", POD),
    ("denied, without autopath", "plain", "www.example.cluster.local.n1.svc.cluster.local", "A", POD),
    ("k8s_external: A", "external", "s1.n1.example.org", "A", POD),
    ("k8s_external: SRV", "external", "s1.n1.example.org", "SRV", POD),
    ("AAAA, none", "plain", "s1.n1.svc.cluster.local", "AAAA", POD),
    ("dns64: AAAA of A", "dns64", "s1.n1.svc.cluster.local", "AAAA", POD),
)  # fmt: skip


def fill(pods: int) -> tuple[Store, float]:
    """A cluster of 1,000 Services and so many pods; and the bytes of the store that a pod takes."""
    store = Store(1 << 30)
    needed = [Resource.SERVICE, Resource.NAMESPACE, Resource.POD]
    writer = ClusterWriter(Writer(store), 0, needed, exposed=True)
    for resource in needed:
        writer.begin(resource)
    for number in range(100):
        writer.upsert(Resource.NAMESPACE, Namespace(Metadata(f"n{number}")))
    for number in range(1000):
        address = str(ipaddress.ip_address(0x0A600000 + number))
        spec = ServiceSpec("LoadBalancer", address, [address], None, [Port("http", "TCP", 80)])
        outside = ServiceStatus(LoadBalancer([Ingress(str(ipaddress.ip_address(0xC6120000 + number)))]))
        metadata = Metadata(f"s{number % 10}", f"n{number // 10}")
        writer.upsert(Resource.SERVICE, Service(metadata, spec, outside))
    before = store.used_bytes
    for number in range(pods):
        status = PodStatus(str(ipaddress.ip_address(0x0A800000 + number)), "Running")
        writer.upsert(Resource.POD, Pod(Metadata(f"app-7f9c6b7d4-{number}", f"n{number % 100}"), status))
    for resource in needed:
        writer.end(resource)
    return store, (store.used_bytes - before) / pods if pods else 0.0


def make_workers(store: Store) -> dict[str, Worker]:
    """A worker for each chain."""
    options = AnswerOptions(
        source=0,
        zones=[(wire("cluster.local"), False)],
        primary=wire("cluster.local"),
        ttl_s=5,
        pods="verified",
        fall=[],
        namespaces=[],
        local=[],
        ignore_empty_service=False,
        zonal=False,
    )
    kubernetes = KubernetesStep(options)
    external = ExternalStep(
        options, zones=[wire("example.org")], primary=wire("example.org"), apex=b"\3dns", ttl_s=5, headless=False,
        fall=[],
    )  # fmt: skip
    chains: dict[str, list[NativeStep]] = {
        "plain": [kubernetes],
        "autopath": [AutopathStep([wire("cluster.local")], PodSearch(options, ())), kubernetes],
        "external": [external, kubernetes],
        "dns64": [Dns64Step(b"\0\x64\xff\x9b" + bytes(12), 96, allow_ipv4=True), kubernetes],
    }
    zones: list[tuple[str, int, int | None]] = [("cluster.local.", 0, None), ("example.org.", 0, None)]
    return {
        name: Worker(ServerTable(zones, [steps]), store, number)
        for number, (name, steps) in enumerate(chains.items())
    }


def cpu_ns(worker: Worker, message: bytes, client: bytes, queries: int) -> float:
    """The CPU time of one query."""
    begun = time.thread_time_ns()
    for _ in range(queries):
        worker.serve(message, client=client)
    return (time.thread_time_ns() - begun) / queries


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.cluster_steps", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--queries", type=int, default=2000)
    parser.add_argument("--pods", type=int, default=100_000)
    how = parser.parse_args(arguments)
    store, bytes_a_pod = fill(how.pods)
    workers = make_workers(store)
    took: dict[str, list[float]] = {row[0]: [] for row in ROWS}
    for _ in range(how.rounds):
        for row, chain, name, kind, client in ROWS:
            took[row].append(cpu_ns(workers[chain], query(name, kind), client, how.queries))
    print(f"{'':30} {'ns':>8} {'of a hit':>9} {'spread':>13} {'code':>5} {'records':>8}")
    for row, chain, name, kind, client in ROWS:
        ratios = [one / hit for one, hit in zip(took[row], took["hit"], strict=True)]
        reply = workers[chain].serve(query(name, kind), client=client)
        assert reply is not None
        code, answers = reply[3] & 15, struct.unpack_from("!H", reply, 6)[0]
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
        print(
            f"{row:30} {statistics.median(took[row]):8.0f} {statistics.median(ratios):9.2f} {spread:>13} "
            f"{code:5} {answers:8}"
        )
    print(f"a pod takes {bytes_a_pod:.1f} bytes of the store: {how.pods} pods")


if __name__ == "__main__":
    main()
