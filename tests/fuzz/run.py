"""Sends mangled queries through the whole way of a message, and damaged replies of upstreams to clients and through
the table of questions in flight; matches random texts with random patterns; checks everything that comes out.

    python -m tests.fuzz.run [--packets 1000000] [--seed N]

``make fuzz`` runs it on a build with address and undefined-behaviour sanitizers. The seed is printed; a finding
prints the message in hex.
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import threading
import time
from pathlib import Path

import dns.exception
import dns.flags
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
from tests.dns._messages import copy_reply, parse_query
from tests.fuzz.expressions import fuzz_expressions
from tests.fuzz.packets import packets
from tests.fuzz.patterns import PatternFinding, fuzz_patterns
from tests.fuzz.replies import Broken, damaged, exchange, exchanges, expected, view, walk

EXAMPLE = Path(__file__).parents[2] / "deploy" / "example" / "cluster.yaml"
RESOURCES = (Resource.SERVICE, Resource.SLICE, Resource.NAMESPACE, Resource.POD)
# Memory may grow by so much while the allocator settles; a leak of a few bytes a packet is far more.
MAX_GROWTH_KIB = 16 * 1024
SERVFAIL = 2


class Finding(Exception):
    """A message that was answered wrongly."""


def make_worker(*, shuffle: bool = True, manifest: Path = EXAMPLE) -> Worker:
    """A worker with every step of this version, over an example cluster. Without shuffle, answers repeat."""
    store = Store(1 << 24)
    writer = Writer(store)
    ManifestSource([str(manifest)], ClusterWriter(writer, 0, RESOURCES), resources=RESOURCES).refresh()
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


def fuzz_replies(
    count: int, seed: int, *, compared_share: float = 0.05, progress: bool = False, settle: int = 2000
) -> int:
    """Copy count replies of upstreams for their clients; returns how many were accepted. Raises Finding.

    A well-formed reply is accepted. What is accepted gives a whole message, with the client's ID and question, that
    fits; and means what dnspython reads in the upstream's, where it does.
    """
    rng = random.Random(seed)
    accepted = 0
    settled_kib = 0
    for number, (query, reply, well_formed) in enumerate(exchanges(seed, count)):
        ttl_s = rng.choice((None, None, 30))
        max_bytes = rng.choice((512, 1232, 65535, 65535))
        try:
            copied = copy_reply(query, reply, ttl_s=ttl_s, max_bytes=max_bytes)
            if copied is not None:
                accepted += 1
                check_copy(query, copied, max_bytes)
                if rng.random() < compared_share:
                    compare(query, reply, copied, ttl_s)
            elif well_formed and ttl_s is None:
                raise Finding("a well-formed reply is refused")
        except Finding as finding:
            raise Finding(
                f"{finding}: reply {number} of seed {seed}, ttl_s {ttl_s}, max_bytes {max_bytes}: "
                f"query {query.hex()} reply {reply.hex()}"
            ) from None
        if number % settle == settle - 1:
            used_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            settled_kib = settled_kib or used_kib
            if used_kib - settled_kib > MAX_GROWTH_KIB:
                raise Finding(f"memory has grown by {used_kib - settled_kib} KiB in {number} replies")
            if progress and number % 100000 == 99999:
                print(f"{number + 1} replies, {accepted} accepted", flush=True)
    return accepted


def check_copy(query: bytes, copied: bytes, max_bytes: int) -> None:
    """What must hold for every reply that a client gets. Raises Finding."""
    question_end = len(query) - (11 if query[11] else 0)
    if len(copied) > max_bytes:
        raise Finding(f"{len(copied)} bytes")
    if copied[:2] != query[:2] or not copied[2] & 0x80:
        raise Finding("no reply to this query")
    if query[11] == 0 and copied[12:question_end] != query[12:question_end]:
        raise Finding("another question than the client's")
    try:
        walk(copied)
    except Broken as broken:
        raise Finding(f"the client's reply is no message: {broken}") from None


def compare(query: bytes, reply: bytes, copied: bytes, ttl_s: int | None) -> None:
    """A whole copy means what dnspython reads in the upstream's reply. Raises Finding."""
    try:
        wanted = expected(query, view(reply), ttl_s)
        seen = view(copied)
    except dns.exception.DNSException:
        return
    if seen != wanted and not seen.flags & dns.flags.TC:
        raise Finding(f"{seen} is not {wanted}")


def fuzz_table(count: int, seed: int) -> int:
    """Let an upstream answer count questions with damaged replies, over UDP. Returns how many had an answer.

    Each client gets one reply, which is a message to its question; nothing stays in flight. Raises Finding.
    """
    # What these import is not wanted for the rest.
    from tests.plugins.forward.engine.support import Asked, Forwarder, Upstream, forward

    rng = random.Random(seed)
    corpus = [exchange(rng) for _ in range(min(500, count))]
    by_question = {one.query[12:]: one for one in corpus}
    lock = threading.Lock()

    def script(asked: Asked) -> list[bytes]:
        one = by_question[asked.wire[12:]]
        with lock:
            replies = [damaged(rng, one) for _ in range(rng.randrange(1, 4))]
        return [asked.wire[:2] + reply[2:] for reply in replies]

    answered = 0
    options = {"max_fails": 0, "read_timeout": "100ms", "max_connect_attempts": 1}
    with Upstream(script) as up, Forwarder(forward(up.to, **options)) as forwarder:
        client = forwarder.client()
        for first in range(0, count, 200):
            asked = list({one.query[12:]: one for one in rng.choices(corpus, k=200)}.values())
            for place, one in enumerate(asked):
                client.send(place.to_bytes(2, "big") + one.query[2:])
            missing = set(range(len(asked)))
            while missing:
                try:
                    reply = client.receive_wire(5)
                except TimeoutError:
                    raise Finding(f"{len(missing)} clients have no reply: round {first} of seed {seed}") from None
                place = int.from_bytes(reply[:2], "big")
                if place not in missing:
                    raise Finding(f"a second reply: round {first} of seed {seed}")
                missing.discard(place)
                answered += reply[3] & 0xF != SERVFAIL
                query = asked[place].query
                check_copy(reply[:2] + query[2:], reply, max(512, 1232 if query[11] else 0))
            up.asked.clear()
        try:
            forwarder.settles()
        except AssertionError as error:
            raise Finding(f"{forwarder.out} questions stay in flight: {error}") from None
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
        accepted = fuzz_replies(options.packets, seed, progress=True)
        through = fuzz_table(options.packets // 50, seed)
        taken = fuzz_patterns(options.packets // 20, seed)
        evaluated = fuzz_expressions(options.packets // 50, seed)
    except (Finding, PatternFinding) as finding:
        print(f"FINDING: {finding}", file=sys.stderr)
        return 1
    took = time.monotonic() - begun
    print(f"{options.packets} messages, {answered} answered; as many replies, {accepted} accepted;")
    print(f"{options.packets // 50} questions, {through} answered; as many expressions, {evaluated} evaluated;")
    print(f"{options.packets // 20} patterns, {taken} taken; no finding, {took:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
