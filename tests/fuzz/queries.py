"""Mangled queries through the whole way of a message: what comes out is checked."""

from __future__ import annotations

import random
from pathlib import Path

import dns.exception
import dns.message

from fastdns.dns.names import wire_name
from fastdns.memory._store import Store, Writer
from fastdns.metrics._stats import Stats
from fastdns.plugins.errors._step import ErrorsStep
from fastdns.plugins.kubernetes._step import KubernetesStep
from fastdns.plugins.kubernetes.answers._options import AnswerOptions
from fastdns.plugins.kubernetes.manifests.source import ManifestSource
from fastdns.plugins.kubernetes.records._sink import ClusterWriter
from fastdns.plugins.kubernetes.sink import Resource
from fastdns.plugins.loadbalance._step import LoadbalanceStep
from fastdns.plugins.prometheus._step import PrometheusStep
from fastdns.serve._worker import Worker
from fastdns.serve._zones import ServerTable
from tests.dns._messages import parse_query
from tests.fuzz.findings import Finding, Memory
from tests.fuzz.packets import packets

EXAMPLE = Path(__file__).parents[2] / "deploy" / "example" / "cluster.yaml"
RESOURCES = (Resource.SERVICE, Resource.SLICE, Resource.NAMESPACE, Resource.POD)
STRICT_SHARE = 0.05


def make_worker(*, shuffle: bool = True, manifest: Path = EXAMPLE) -> Worker:
    """A worker over an example cluster. Without shuffle, answers repeat."""
    store = Store(1 << 24)
    writer = Writer(store)
    # A clock that stands: workers that are made in two seconds say the same serial.
    sink = ClusterWriter(writer, 0, RESOURCES, clock=lambda: 1.0)
    ManifestSource([str(manifest)], sink, resources=RESOURCES).refresh()
    zones = ["cluster.local.", "in-addr.arpa.", "ip6.arpa."]
    options = AnswerOptions(
        source=0,
        zones=[(wire_name(zone), False) for zone in zones],
        primary=wire_name(zones[0]),
        ttl_s=5,
        pods="insecure",
        fall=[],
        namespaces=[],
        local=[b"\x0a\0\0\x01"],
        ignore_empty_service=False,
        zonal=False,
    )
    steps = [
        PrometheusStep(),
        ErrorsStep(0),
        *([LoadbalanceStep("round_robin")] if shuffle else []),
        KubernetesStep(options),
    ]
    table = ServerTable([(zone, 0, index) for index, zone in enumerate(zones)], [steps], 3)
    return Worker(table, store, 1, Stats(2), 1)


def check(message: bytes, reply: bytes | None, *, tcp: bool) -> None:
    """What must hold for every message. Raises Finding."""
    verdict, details = parse_query(message)
    if reply is None:
        if verdict != "ignored":
            raise Finding("no reply to a message that is not ignored")
        return
    if verdict == "ignored":
        raise Finding("a reply to a message that is to be ignored")
    if reply[:2] != message[:2]:
        raise Finding("the ID is not the query's")
    if not reply[2] & 0x80:
        raise Finding("QR is not set")
    if not tcp and len(reply) > max(512, details.get("udp_bytes", 512)):
        raise Finding(f"{len(reply)} bytes over UDP")
    if verdict == "rejected" and reply[3] & 0xF != details["rcode"]:
        raise Finding(f"rcode {reply[3] & 0xF} to a rejected message")


def parse_strictly(reply: bytes) -> None:
    """The reply must be a message that dnspython reads to its end. Raises Finding."""
    try:
        dns.message.from_wire(reply, ignore_trailing=False)
    except dns.exception.DNSException as error:
        raise Finding(f"the reply is not a message: {error!r}") from None


def fuzz_queries(count: int, seed: int) -> int:
    """Send count messages; returns how many were answered. Raises Finding with the message's hex."""
    worker = make_worker()
    rng = random.Random(seed)
    memory = Memory(10_000)
    answered = 0
    for number, message in enumerate(packets(seed, count)):
        tcp = rng.random() < 0.3
        client = b"\x7f\0\0\x01" if rng.random() < 0.5 else b"\x20\x01" + bytes(14)
        reply = worker.serve(message, client=client, client_port=53, tcp=tcp)
        try:
            check(message, reply, tcp=tcp)
            if reply is not None:
                answered += 1
                if rng.random() < STRICT_SHARE:
                    parse_strictly(reply)
        except Finding as finding:
            raise Finding(f"{finding}: message {number} of seed {seed}: {message.hex()}") from None
        if number % 10_000 == 9_999:
            worker.take_errors()
        memory.look(number)
    return answered
