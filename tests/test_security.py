"""The bugs that this field repeats, as far as this version has what they need: one test or more for each class.

Those of upstreams are in tests/plugins/forward/engine (test_hostile, test_lies: IDs and ports, birthdays, replies
that displace the true one, UPDATE and NOTIFY), of the cache in tests/plugins/cache (test_answers: the key), of
streams in tests/transports and tests/plugins/forward, of the loop probe in tests/plugins/loop, of TSIG in
tests/plugins/tsig and tests/authoritative/test_transfer_signed, of zone transfers in tests/plugins/transfer and
tests/authoritative/test_transfer. Checks in the wrong order come with the plugins that could have them: acl,
rewrite.
"""

from __future__ import annotations

import random
import struct
from pathlib import Path

import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import pytest

from fastdns.transports._slow import SlowPath
from tests.dns._messages import parse_query
from tests.fuzz.packets import packets
from tests.fuzz.queries import make_worker

pytestmark = pytest.mark.native

WORKER = make_worker()
NAME = "kubernetes.default.svc.cluster.local."


def ask(wire: bytes, *, tcp: bool = False) -> bytes | None:
    return WORKER.serve(wire, tcp=tcp)


def records(owner: bytes, count: int = 1) -> bytes:
    """A query with additional records that are owned by owner."""
    question = dns.message.make_query("a.", "A").to_wire()[12:]
    head = struct.pack(">HHHHHH", 1, 0, 1, 0, 0, count)
    return head + question + (owner + struct.pack(">HHIH", 1, 1, 0, 0)) * count


@pytest.mark.parametrize(
    ("owner", "why"),
    [
        (b"\xc0\x13", "a pointer to itself"),
        (b"\xc0\x15\xc0\x13", "two pointers at each other"),
        (b"\xc0\xff", "a pointer past the end"),
        (b"\xc0\x30", "a pointer forward"),
        (b"\xc0\x00", "a pointer into the header"),
        (b"\x01a\xc0\x13", "a label and a pointer back to it"),
        (b"\x80a", "a reserved label type"),
        (b"\x41a\0", "an extended label type"),
        ((b"\x3f" + b"a" * 63) * 4 + b"\0", "257 bytes"),
    ],
)
def test_names_that_lead_nowhere_are_refused_and_end(owner: bytes, why: str) -> None:
    reply = ask(records(owner))
    assert reply is not None and reply[3] & 0xF == dns.rcode.FORMERR, why


@pytest.mark.parametrize("tcp", [False, True])
@pytest.mark.parametrize(
    ("opcode", "rcode"),
    [
        (dns.opcode.UPDATE, dns.rcode.NOTIMP),
        (dns.opcode.STATUS, dns.rcode.NOTIMP),
        (dns.opcode.IQUERY, dns.rcode.NOTIMP),
        (3, dns.rcode.NOTIMP),
        (15, dns.rcode.NOTIMP),
    ],
)
def test_no_transport_lets_another_opcode_through(opcode: int, rcode: int, tcp: bool) -> None:
    query = bytearray(dns.message.make_query(NAME, "A").to_wire())
    query[2] = (query[2] & 0x87) | opcode << 3
    reply = ask(bytes(query), tcp=tcp)
    assert reply is not None
    assert reply[3] & 0xF == rcode and (reply[2] >> 3) & 0xF == opcode
    assert reply[6:12] == b"\0" * 6, "no records"


def test_every_transport_gives_one_answer() -> None:
    """A check that one transport skips would show here: over TCP nothing differs but what UDP must leave out."""
    worker = make_worker(shuffle=False)
    slow = SlowPath([make_worker(shuffle=False)])
    for message in packets(4, 20_000):
        over_udp, over_tcp = worker.serve(message), worker.serve(message, tcp=True)
        assert slow.serve(0, message, b"\x7f\0\0\1", 53, print) == over_tcp, message.hex()
        if over_udp is not None and over_udp[2] & 0x02:
            continue
        assert over_udp == over_tcp, message.hex()


def test_a_reply_is_never_longer_than_the_client_said_it_reads() -> None:
    for udp in (0, 100, 511, 512, 600, 1232, 4096, 65535):
        query = dns.message.make_query("db.shop.svc.cluster.local.", "SRV", use_edns=0, payload=udp)
        reply = ask(query.to_wire())
        assert reply is not None and len(reply) <= max(512, udp)


def test_replies_are_never_answered() -> None:
    """Two servers would otherwise talk to each other for ever."""
    reply = ask(dns.message.make_query(NAME, "A").to_wire())
    assert reply is not None
    assert ask(reply) is None
    assert ask(reply, tcp=True) is None


def test_a_question_is_not_mistaken_for_another_class() -> None:
    for rdclass in ("CH", "HS", "ANY", "NONE"):
        reply = ask(dns.message.make_query(NAME, "A", rdclass=rdclass).to_wire())
        assert reply is not None
        message = dns.message.from_wire(reply)
        assert message.rcode() == dns.rcode.REFUSED and not message.answer


def test_client_subnet_is_not_told_back() -> None:
    """An option that the answer does not depend on is not echoed: it would invite caches to split on it."""
    subnet = dns.edns.ECSOption("192.0.2.0", 24)
    query = dns.message.make_query(NAME, "A", use_edns=0, options=[subnet])
    reply = ask(query.to_wire())
    assert reply is not None and not dns.message.from_wire(reply).options


PUBLIC_SUFFIX = """\
apiVersion: v1
kind: Namespace
metadata: {name: com}
---
apiVersion: v1
kind: Service
metadata: {name: example, namespace: com}
spec: {clusterIP: 10.96.9.9, clusterIPs: [10.96.9.9], ports: [{port: 443}]}
"""


def test_a_namespace_that_is_called_like_a_public_suffix(tmp_path: Path) -> None:
    """It has names in the cluster's zone, and takes none of anybody else's."""
    manifest = tmp_path / "cluster.yaml"
    manifest.write_text(PUBLIC_SUFFIX)
    worker = make_worker(manifest=manifest)
    for name, rcode in (
        ("example.com.svc.cluster.local.", dns.rcode.NOERROR),
        ("example.com.cluster.local.", dns.rcode.NXDOMAIN),
        ("example.com.", dns.rcode.REFUSED),
        ("example.com.svc.", dns.rcode.REFUSED),
        ("com.", dns.rcode.REFUSED),
    ):
        reply = worker.serve(dns.message.make_query(name, "A").to_wire())
        assert reply is not None
        message = dns.message.from_wire(reply)
        assert (message.rcode(), len(message.answer)) == (rcode, rcode == dns.rcode.NOERROR), name


def test_names_outside_the_zone_are_not_the_clusters() -> None:
    for name in ("kubernetes.default.svc.", "kubernetes.default.svc.local.", "default.svc.cluster.", "com."):
        reply = ask(dns.message.make_query(name, "A").to_wire())
        assert reply is not None and dns.message.from_wire(reply).rcode() == dns.rcode.REFUSED


def test_spoofed_clients_are_not_amplified_beyond_their_own_limit() -> None:
    """Without EDNS, 512 bytes: TC, not a big datagram to whoever the source address names."""
    query = dns.message.make_query("_postgres._tcp.db.shop.svc.cluster.local.", "SRV", use_edns=False)
    reply = ask(query.to_wire())
    assert reply is not None and len(reply) <= 512


def test_verdicts_do_not_depend_on_what_was_parsed_before() -> None:
    """Query state is reused between messages: nothing of one may show in the next."""
    sample = list(packets(11, 3_000))
    first = [parse_query(message) for message in sample]
    random.Random(1).shuffle(order := list(range(len(sample))))
    for index in order:
        assert parse_query(sample[index]) == first[index]
