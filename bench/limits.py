"""CPU of queries for the largest and oddest objects that the API accepts: no query may take over 1 ms.

    python -m bench.limits [WORD …]      only the shapes that have a word in their names

Each line is the least CPU time of a question's answer over TCP (the largest answer) and over UDP, in microseconds,
with the size of the reply and TC. The exit status is 1 where one takes over a millisecond.
"""

from __future__ import annotations

import ipaddress
import struct
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from fastdns.memory._store import Store, Writer
from fastdns.plugins.kubernetes._step import KubernetesStep
from fastdns.plugins.kubernetes.answers._options import AnswerOptions
from fastdns.plugins.kubernetes.objects import (
    Endpoint,
    EndpointSlice,
    Metadata,
    Namespace,
    Port,
    Service,
    ServiceSpec,
)
from fastdns.plugins.kubernetes.records._names import address_bytes
from fastdns.plugins.kubernetes.records._sink import ClusterWriter
from fastdns.plugins.kubernetes.sink import Resource
from fastdns.plugins.loadbalance._step import LoadbalanceStep
from fastdns.serve._worker import Worker
from fastdns.serve._zones import NativeStep, ServerTable

LIMIT_US = 1000
TYPES = {"A": 1, "NS": 2, "CNAME": 5, "PTR": 12, "AAAA": 28, "SRV": 33}
LOCAL = "10.9.9.9"
HTTP = [Port("http", "TCP", 80)]


def wire(name: str) -> bytes:
    """A name in wire form."""
    return b"".join(bytes((len(one),)) + one.encode() for one in name.rstrip(".").split(".")) + b"\0"


def query(name: str, kind: str) -> bytes:
    """A question as a client sends it, with EDNS and 1232 bytes."""
    return (
        struct.pack("!6H", 7, 0x0100, 1, 0, 0, 1)
        + wire(name)
        + struct.pack("!HH", TYPES[kind], 1)
        + struct.pack("!BHHIH", 0, 41, 1232, 0, 0)
    )


class Cluster:
    """A namespace ``n`` and the objects that a shape puts into it."""

    def __init__(self, after: list[NativeStep]) -> None:
        self.store = Store(1 << 30)
        self.writer = ClusterWriter(Writer(self.store), 0, [Resource.SERVICE], zonal=True)
        options = AnswerOptions(
            source=0,
            zones=[(wire("cluster.local"), False), (wire("in-addr.arpa"), False)],
            primary=wire("cluster.local"),
            ttl_s=5,
            pods="disabled",
            fall=[],
            namespaces=[],
            local=[address_bytes(LOCAL)],
            ignore_empty_service=False,
            zonal=True,
        )
        zones: list[tuple[str, int, int | None]] = [("cluster.local.", 0, None), ("in-addr.arpa.", 0, None)]
        self.worker = Worker(
            ServerTable(zones, [[*after, KubernetesStep(options)]]), self.store, 0
        )
        self.writer.begin(Resource.SERVICE)
        self.writer.upsert(Resource.NAMESPACE, Namespace(Metadata("n")))
        self.writer.end(Resource.SERVICE)

    def service(self, name: str = "s", ip: str = "None", ports: list[Port] = HTTP) -> None:
        """A Service, headless unless it has an address."""
        self.writer.upsert(
            Resource.SERVICE, Service(Metadata(name, "n"), ServiceSpec("ClusterIP", ip, [ip], None, ports))
        )

    def slice(self, number: int, endpoints: list[Endpoint], ports: list[Port] = HTTP, **more: Any) -> None:
        """One slice of a Service."""
        labels = {"kubernetes.io/service-name": more.pop("service", "s")}
        self.writer.upsert(
            Resource.SLICE,
            EndpointSlice(Metadata(f"s-{number}", "n", labels=labels), "IPv4", endpoints, ports, **more),
        )
        self.writer.flush()


def addresses(first: int, count: int) -> list[str]:
    """Addresses in a row."""
    return [str(ipaddress.IPv4Address((10 << 24) + first + i)) for i in range(count)]


def full_slices(cluster: Cluster, count: int, hostname: str | None = "h", *, same: bool = False) -> None:
    """Slices of 1,000 endpoints with 100 addresses each: the most that the API accepts."""
    cluster.service()
    for number in range(count):
        first = 0 if same else 100_000 * number
        cluster.slice(number, [Endpoint(addresses(first + 100 * i, 100), hostname=hostname) for i in range(1000)])


def one_address(cluster: Cluster, count: int, names: Callable[[int], str | None]) -> None:
    """Slices of 1,000 endpoints that list one address 100 times each."""
    cluster.service()
    for number in range(count):
        cluster.slice(number, [Endpoint(["10.1.2.3"] * 100, hostname=names(i)) for i in range(1000)])


def many_ports(cluster: Cluster, count: int, ports: int, endpoints: int) -> None:
    """Slices with ports of 56-character names."""
    table = [Port(f"{n:056}", "TCP", n % 65535 + 1) for n in range(ports)]
    cluster.service(ports=table)
    for number in range(count):
        cluster.slice(number, [Endpoint([one]) for one in addresses(1000 * number, endpoints)], table)


def zones(cluster: Cluster, count: int, different: int) -> None:
    """Slices whose endpoints are in different zones."""
    cluster.service()
    for number in range(count):
        cluster.slice(
            number,
            [
                Endpoint(addresses(100_000 * number + 100 * i, 100), zone=f"zone-{i % different}")
                for i in range(1000)
            ],
        )


def ordinary(cluster: Cluster) -> None:
    """100,000 endpoints as Kubernetes writes them: 1,000 slices of 100."""
    cluster.service()
    for number in range(1000):
        cluster.slice(number, [Endpoint([one], zone="a") for one in addresses(100 * number, 100)])


def shared_address(cluster: Cluster, count: int, ip: bool) -> None:
    """Services with one endpoint each, the same for all."""
    for number in range(count):
        name = f"s{number}"
        cluster.service(name, f"10.{200 + (number >> 16)}.{number >> 8 & 255}.{number & 255}" if ip else "None")
        cluster.slice(number, [Endpoint([LOCAL])], service=name)


def small(cluster: Cluster) -> None:
    """One ordinary slice."""
    cluster.service()
    cluster.slice(0, [Endpoint([one]) for one in addresses(2 << 16, 100)])


def repeated(cluster: Cluster) -> None:
    """Equal slices."""
    cluster.service()
    for number in range(500):
        cluster.slice(number, [Endpoint(addresses(100 * i, 100)) for i in range(40)])


def ports_of_one_name(cluster: Cluster) -> None:
    """One target with many ports, which each of its endpoints has."""
    table = [Port(f"p{n}", "TCP", n + 1) for n in range(1024)]
    cluster.service(ports=table)
    cluster.slice(0, [Endpoint([one], hostname="h") for one in addresses(0, 1000)], table)


def preferred(cluster: Cluster) -> None:
    """A full message of addresses, of which a part is preferred."""
    cluster.service()
    for number in range(5):
        cluster.slice(number, [Endpoint([one]) for one in addresses(840 * number, 840)])


S = "s.n.svc.cluster.local"
SHAPES: list[tuple[str, Callable[[Cluster], None], list[tuple[str, str]]]] = [
    ("1 slice of 100 endpoints", small, [(S, "A"), (S, "SRV"), ("4.3.2.10.in-addr.arpa", "PTR")]),
    (
        "100,000 endpoints in 1,000 slices",
        ordinary,
        [
            (S, "A"),
            (S, "AAAA"),
            (S, "SRV"),
            (f"10-1-2-3.{S}", "A"),
            (f"none.{S}", "A"),
            ("3.2.1.10.in-addr.arpa", "PTR"),
            (f"a.pin._zone.{S}", "A"),
            (f"none.pin._zone.{S}", "A"),
        ],
    ),
    (
        "an address 100,000 times in each of 5 slices",
        lambda c: one_address(c, 5, lambda i: "h"),
        [("3.2.1.10.in-addr.arpa", "PTR"), (f"h.{S}", "A"), (f"h.{S}", "SRV"), (S, "A")],
    ),
    (
        "an address under 1,000 names in each of 20 slices",
        lambda c: one_address(c, 20, lambda i: f"h-{i}"),
        [("3.2.1.10.in-addr.arpa", "PTR"), (S, "A"), (S, "SRV")],
    ),
    (
        "20 slices of 100,000 addresses, one hostname",
        lambda c: full_slices(c, 20),
        [(S, "A"), (S, "AAAA"), (f"h.{S}", "A"), (f"h.{S}", "AAAA"), (f"h.{S}", "SRV"), (f"none.{S}", "A")]  # noqa: RUF005
        + [(f"10-0-0-1.{S}", "A"), ("1.0.0.10.in-addr.arpa", "PTR")],
    ),
    (
        "20 slices of the same 100,000 addresses",
        lambda c: full_slices(c, 20, None, same=True),
        [(S, "A"), (S, "SRV"), (f"10-0-0-1.{S}", "A"), ("1.0.0.10.in-addr.arpa", "PTR")],
    ),
    ("500 slices of the same 4,000 addresses", repeated, [(S, "A"), (S, "SRV")]),
    (
        "1,024 ports, 1,000 endpoints of one name",
        ports_of_one_name,
        [(S, "SRV"), (S, "A"), (f"h.{S}", "SRV")],
    ),
    (
        "10 slices of 5,400 ports",
        lambda c: many_ports(c, 10, 5400, 100),
        [(S, "A"), (S, "SRV"), (f"_{5000:056}._tcp.{S}", "A"), (f"_{5000:056}._tcp.{S}", "SRV")]  # noqa: RUF005
        + [(f"_._tcp.{S}", "A"), (f"_none._tcp.{S}", "A")],
    ),
    (
        "20 slices of 20,000 ports",
        lambda c: many_ports(c, 20, 20000, 1000),
        [(S, "A"), (S, "SRV"), (f"_{5000:056}._tcp.{S}", "A"), (f"_{5000:056}._tcp.{S}", "SRV")]  # noqa: RUF005
        + [(f"_._tcp.{S}", "A"), (f"_none._tcp.{S}", "A"), (f"_._udp.{S}", "SRV")],
    ),
    (
        "20 slices of 100,000 addresses in 1,000 zones",
        lambda c: zones(c, 20, 1000),
        [(f"zone-{n}.{how}._zone.{S}", kind) for n in (0, 999, "x") for how in ("pin", "prefer") for kind in ("A",)]
        + [(f"zone-999.pin._zone.{S}", "SRV")],
    ),
    (
        "20,000 headless Services share an address",
        lambda c: shared_address(c, 20000, False),
        [("9.9.9.10.in-addr.arpa", "PTR"), ("cluster.local", "NS"), ("ns.dns.cluster.local", "A")],
    ),
    (
        "20,000 Services share an endpoint",
        lambda c: shared_address(c, 20000, True),
        [("9.9.9.10.in-addr.arpa", "PTR"), ("cluster.local", "NS"), ("ns.dns.cluster.local", "A")],
    ),
]

NETWORKS = [(address_bytes(f"10.0.{n}.0"), 24) for n in range(15, 0, -1)]


def least_us(worker: Worker, message: bytes, *, tcp: bool) -> tuple[float, bytes]:
    """The least CPU time of an answer, and the answer."""
    best = float("inf")
    reply = b""
    spent = 0.0
    turns = 0
    while turns < 5 or (spent < 0.05 and turns < 200):
        began = time.thread_time_ns()
        reply = worker.serve(message, tcp=tcp) or b""
        took = (time.thread_time_ns() - began) / 1000
        best = min(best, took)
        spent += took / 1e6
        turns += 1
    return best, reply


def run(words: list[str]) -> Iterator[tuple[str, float]]:
    """Print a line for each question; yields its name and the larger of its times."""
    shapes = [(*shape, []) for shape in SHAPES]
    prefer = LoadbalanceStep("prefer", NETWORKS)
    shapes.append(("prefer 15 networks, 4,200 endpoints", preferred, [(S, "A")], [prefer]))
    shapes.append(("round_robin, 4,200 endpoints", preferred, [(S, "A")], [LoadbalanceStep("round_robin")]))
    print(f"{'':64} {'TCP us':>8} {'UDP us':>8} {'bytes':>6}  answers")
    for name, fill, questions, steps in shapes:
        if words and not any(word in name for word in words):
            continue
        cluster = Cluster(list(steps))
        fill(cluster)
        print(name)
        for qname, kind in questions:
            message = query(qname, kind)
            tcp, reply = least_us(cluster.worker, message, tcp=True)
            udp, _ = least_us(cluster.worker, message, tcp=False)
            flags, answers, additional = reply[2:4], reply[6:8], reply[10:12]
            said = f"rcode {flags[1] & 15}, {int.from_bytes(answers)} + {int.from_bytes(additional)}"
            shown = f"{qname[:55]} {kind}"
            print(f"  {shown:62} {tcp:8.1f} {udp:8.1f} {len(reply):6}  {said}{', TC' if flags[0] & 2 else ''}")
            yield f"{name}: {qname} {kind}", max(tcp, udp)


def main() -> int:
    """Returns 1 if a query takes over a millisecond."""
    slow = [(name, took) for name, took in run(sys.argv[1:]) if took > LIMIT_US]
    for name, took in slow:
        print(f"over {LIMIT_US} us: {name}: {took:.0f}", file=sys.stderr)
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
