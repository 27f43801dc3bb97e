"""The local step without a server: random names beside an obvious reference."""

from __future__ import annotations

import random

import dns.message
import dns.rcode
import pytest

from fastdns.plugins.local._step import LocalStep
from fastdns.plugins.whoami._step import WhoamiStep
from fastdns.serve._worker import Worker
from fastdns.serve._zones import ServerTable

pytestmark = pytest.mark.native

LABELS = ["localhost", "local", "LocalHost", "x", "0", "1", "127", "255", "in-addr", "arpa", "x" * 63]
ZONES = ["0.in-addr.arpa.", "127.in-addr.arpa.", "255.in-addr.arpa."]
LOOPBACK = "1.0.0.127.in-addr.arpa."


def reference(name: str, qtype: str, prefix: bool) -> str:
    """What becomes of a question: next, data, nodata or nxdomain."""
    name = name.lower()
    if name == "localhost.":
        return "data" if qtype in ("A", "AAAA", "SOA", "NS") else "nodata"
    if name.endswith(".localhost.") or (prefix and name.startswith("localhost.")):
        return "data" if qtype in ("A", "AAAA") else "nodata"
    for zone in ZONES:
        if name == zone:
            return "data" if qtype in ("SOA", "NS") else "nodata"
        if name.endswith("." + zone):
            if name == LOOPBACK and qtype == "PTR":
                return "data"
            return "nodata" if ("." + LOOPBACK).endswith("." + name) else "nxdomain"
    return "next"


def said(worker: Worker, name: str, qtype: str) -> str:
    raw = worker.serve(dns.message.make_query(name, qtype).to_wire())
    assert raw is not None
    reply = dns.message.from_wire(raw)
    if reply.additional:
        return "next"
    if reply.answer:
        return "data"
    assert len(reply.authority) == 1
    return "nodata" if reply.rcode() == dns.rcode.NOERROR else "nxdomain"


@pytest.mark.parametrize("prefix", [True, False])
def test_random_names(prefix: bool) -> None:
    worker = Worker(ServerTable([(".", 0, None)], [[LocalStep(prefix, 0), WhoamiStep()]]))
    draw = random.Random(15)
    ends = ["localhost.", "in-addr.arpa.", *ZONES, LOOPBACK, "0.127.in-addr.arpa.", "org.", ""]
    for _ in range(3000):
        labels = draw.choices(LABELS, k=draw.randrange(4))
        name = "".join(label + "." for label in labels) + draw.choice(ends) or "."
        qtype = draw.choice(["A", "AAAA", "SOA", "NS", "PTR", "TXT", "ANY", "DS"])
        assert said(worker, name, qtype) == reference(name, qtype, prefix), (name, qtype)
