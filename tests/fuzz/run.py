"""Sends mangled queries through the whole way of a message, and checks every reply.

    python -m tests.fuzz.run [--packets 1000000] [--seed N]

``make fuzz`` runs it on a build with address and undefined-behaviour sanitizers. The seed is printed; a finding
prints the message in hex.
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import time
from pathlib import Path

import dns.exception
import dns.message

from fastdns._chain import ServerTable, Worker
from fastdns._stats import Stats
from fastdns._store import Store, Writer
from fastdns._wire import parse_query
from fastdns.plugins.errors._step import ErrorsStep
from fastdns.plugins.kubernetes._records import ClusterWriter
from fastdns.plugins.kubernetes._step import KubernetesStep
from fastdns.plugins.loadbalance._step import LoadbalanceStep
from fastdns.plugins.prometheus._step import PrometheusStep
from fastdns.sources.base import Resource
from fastdns.sources.manifests import ManifestSource
from fastdns.wire_names import wire_name
from tests.fuzz.packets import packets

EXAMPLE = Path(__file__).parents[2] / "deploy" / "example" / "cluster.yaml"
RESOURCES = (Resource.SERVICE, Resource.SLICE, Resource.NAMESPACE, Resource.POD)
# Memory may grow by so much while the allocator settles; a leak of a few bytes a packet is far more.
MAX_GROWTH_KIB = 16 * 1024


class Finding(Exception):
    """A message that was answered wrongly."""


def make_worker(*, shuffle: bool = True) -> Worker:
    """A worker with every step of this version, over the example cluster. Without shuffle, answers repeat."""
    store = Store(1 << 24)
    writer = Writer(store)
    ManifestSource([str(EXAMPLE)], ClusterWriter(writer, 0, RESOURCES), resources=RESOURCES).refresh()
    zones = ["cluster.local.", "in-addr.arpa.", "ip6.arpa."]
    steps = [
        PrometheusStep(),
        ErrorsStep(0),
        *([LoadbalanceStep("round_robin")] if shuffle else []),
        KubernetesStep(
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
        ),
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


def fuzz(count: int, seed: int, *, strict_share: float = 0.05, progress: bool = False) -> int:
    """Send count messages; returns how many were answered. Raises Finding with the message's hex."""
    worker = make_worker()
    rng = random.Random(seed)
    answered = 0
    settled_kib = 0
    for number, message in enumerate(packets(seed, count)):
        tcp = rng.random() < 0.3
        client = b"\x7f\0\0\x01" if rng.random() < 0.5 else b"\x20\x01" + bytes(14)
        reply = worker.serve(message, client=client, client_port=53, tcp=tcp)
        try:
            check(message, reply, tcp=tcp)
            if reply is not None:
                answered += 1
                if rng.random() < strict_share:
                    parse_strictly(reply)
        except Finding as finding:
            raise Finding(f"{finding}: message {number} of seed {seed}: {message.hex()}") from None
        if number % 10000 == 9999:
            worker.take_errors()
            used_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            if number == 9999:
                settled_kib = used_kib
            elif used_kib - settled_kib > MAX_GROWTH_KIB:
                raise Finding(f"memory has grown by {used_kib - settled_kib} KiB in {number} messages")
            if progress and number % 100000 == 99999:
                print(f"{number + 1} messages, {answered} answered", flush=True)
    return answered


def main() -> int:
    """The command; exit code 1 for a finding."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packets", type=int, default=1_000_000, help="messages to send (default 1000000)")
    parser.add_argument("--seed", type=int, default=None, help="default: from the clock")
    options = parser.parse_args()
    seed = int(time.time()) if options.seed is None else options.seed
    print(f"seed {seed}", flush=True)
    begun = time.monotonic()
    try:
        answered = fuzz(options.packets, seed, progress=True)
    except Finding as finding:
        print(f"FINDING: {finding}", file=sys.stderr)
        return 1
    took = time.monotonic() - begun
    print(f"{options.packets} messages, {answered} answered, no finding, {took:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
