"""Replies that do not fit, services larger than a message, names longer than a name may be."""

from __future__ import annotations

import dns.flags
import dns.message
import dns.rdatatype
import pytest

from tests.plugins.kubernetes.cases.headless import OBJECTS, endpoints
from tests.plugins.kubernetes.support import Cluster, Options, load_objects, records, summary

pytestmark = pytest.mark.native

MANY = "many.prod.svc.cluster.local."


@pytest.fixture(scope="module")
def cluster() -> Cluster:
    return Cluster(Options(), OBJECTS)


def huge(count: int, hostname: str = "") -> Cluster:
    """A headless service of count endpoints, in slices of a thousand as the API allows."""
    documents = load_objects(OBJECTS)
    service = next(one for one in documents if one["metadata"]["name"] == "many")
    slices = [
        {
            "kind": "EndpointSlice",
            "metadata": {"name": f"huge-{first}", "namespace": "prod"}
            | {"labels": {"kubernetes.io/service-name": "many"}},
            "addressType": "IPv4",
            "endpoints": [
                {"addresses": [f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}"]}
                | ({"hostname": hostname} if hostname else {})
                for n in range(first, min(first + 1000, count))
            ],
            "ports": [{"name": "web", "protocol": "TCP", "port": 80}],
        }
        for first in range(0, count, 1000)
    ]
    return Cluster(Options(), [documents[0], service, *slices], max_bytes=64 << 20)


def raw(cluster: Cluster, qname: str, qtype: str, *, tcp: bool = False, **edns) -> bytes:
    reply = cluster.ask_bytes(dns.message.make_query(qname, qtype, **edns).to_wire(), tcp=tcp)
    assert reply is not None
    return reply


@pytest.mark.parametrize("qtype", ["A", "SRV"])
@pytest.mark.parametrize("size", [None, 100, 512, 1232, 4096])
def test_udp_replies_keep_to_the_size_and_say_so(cluster, qtype, size):
    edns = {} if size is None else {"use_edns": 0, "payload": size}
    whole = summary(cluster.ask(MANY, qtype))
    message = raw(cluster, MANY, qtype, **edns)
    reply = dns.message.from_wire(message, one_rr_per_rrset=True)
    limit = max(512, size or 0)
    fits = len(raw(cluster, MANY, qtype, tcp=True)) + (11 if size else 0) <= limit
    assert len(message) <= limit
    assert bool(reply.flags & dns.flags.TC) == (not fits)
    assert set(records(reply.answer)) <= set(whole["answer"])
    assert reply.answer
    assert (reply.edns == 0) == (size is not None)
    if not fits:
        # What is left out is left out from the end: no glue without every answer.
        assert not reply.additional or len(reply.answer) == len(whole["answer"])


def test_negative_answers_fit_into_512_bytes(cluster):
    name = ".".join(["x" * 63, "y" * 63, "z" * 63, "w" * 30, "cluster", "local"]) + "."
    message = raw(cluster, name, "A")
    assert len(message) <= 512
    assert dns.message.from_wire(message).authority[0].rdtype == dns.rdatatype.SOA


def test_names_are_compressed(cluster):
    # Four bytes of address, ten of header, two of pointer: what an A record costs at best.
    assert len(raw(cluster, MANY, "A", tcp=True)) == 12 + len(MANY) + 1 + 4 + 101 * 16


def test_addresses_of_many_targets_point_at_them():
    """Targets are never compressed, and each brought all its suffixes: after 26 of them owners were spelled out."""
    message = raw(huge(100), MANY, "SRV", tcp=True)
    targets = [f"10-0-0-{n}.{MANY}" for n in range(100)]
    answers = sum(2 + 10 + 6 + len(target) + 1 for target in targets)
    assert len(message) == 12 + len(MANY) + 1 + 4 + answers + 100 * (2 + 10 + 4)


@pytest.mark.parametrize("count", [4000, 4160, 4161, 6000])
def test_a_service_larger_than_a_message(count):
    served = huge(count)
    message = raw(served, MANY, "A", tcp=True)
    reply = dns.message.from_wire(message, one_rr_per_rrset=True)
    assert len(message) <= 65535
    assert bool(reply.flags & dns.flags.TC) == (count * 16 > 65535 - 12 - 34)
    assert len(reply.answer) == min(count, (65535 - 12 - len(MANY) - 1 - 4) // 16)
    assert len(set(records(reply.answer))) == len(reply.answer)


@pytest.mark.parametrize("hostname", ["", "same"], ids=["names of addresses", "one hostname"])
def test_srv_records_of_a_service_larger_than_a_message(hostname):
    served = huge(6000, hostname)
    message = raw(served, MANY, "SRV", tcp=True)
    reply = dns.message.from_wire(message, one_rr_per_rrset=True)
    assert len(message) <= 65535
    assert reply.flags & dns.flags.TC
    assert {rrset[0].weight for rrset in reply.answer} == {1}
    if hostname:
        assert len(reply.answer) == 1
        assert len(set(records(reply.additional))) == len(reply.additional) > 2000
    else:
        assert not reply.additional


def test_many_ports():
    ports = ", ".join(f"{{name: p{n}, protocol: TCP, port: {n + 1}}}" for n in range(1500))
    served = Cluster(
        Options(),
        f"""
kind: Namespace
metadata: {{name: prod}}
---
kind: Service
metadata: {{name: wide, namespace: prod}}
spec: {{clusterIP: 10.96.0.1, clusterIPs: [10.96.0.1], ports: [{ports}]}}
---
kind: EndpointSlice
metadata: {{name: wide-1, namespace: prod, labels: {{kubernetes.io/service-name: wide}}}}
addressType: IPv4
endpoints: [{endpoints("10.244.0.", 3)}]
ports: [{ports}]
""",
    )
    reply = served.ask("wide.prod.svc.cluster.local.", "SRV")
    # The first 1,024 ports of a service are looked at.
    assert len(reply.answer) == 1024
    one = served.ask("_p1400._tcp.wide.prod.svc.cluster.local.", "SRV")
    assert [rrset[0].port for rrset in one.answer] == [1401]
    assert len(served.ask("10-244-0-1.wide.prod.svc.cluster.local.", "SRV").answer) == 1024


def test_targets_longer_than_a_name_are_left_out():
    zone = ".".join(["z" * 60, "z" * 60]) + "."
    served = Cluster(
        Options(zones=(zone,)),
        f"""
kind: Namespace
metadata: {{name: {"n" * 50}}}
---
kind: Service
metadata: {{name: {"s" * 50}, namespace: {"n" * 50}}}
spec: {{clusterIP: None, clusterIPs: [None], ports: [{{name: web, protocol: TCP, port: 80}}]}}
---
kind: EndpointSlice
metadata: {{name: s, namespace: {"n" * 50}, labels: {{kubernetes.io/service-name: {"s" * 50}}}}}
addressType: IPv4
endpoints: [{{addresses: [10.0.0.1], hostname: {"h" * 63}}}, {{addresses: [10.0.0.2], hostname: h}}]
ports: [{{name: web, protocol: TCP, port: 80}}]
""",
    )
    service = f"{'s' * 50}.{'n' * 50}.svc.{zone}"
    assert len(served.ask(service, "A").answer) == 2
    assert [rrset[0].target.to_text() for rrset in served.ask(service, "SRV").answer] == [f"h.{service}"]
